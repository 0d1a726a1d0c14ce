import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { before, describe, it } from 'mocha';
import PQueue from 'p-queue';
import { stringify } from 'yaml';
import { configFor, runProgram } from '../../scripts/servers/service.ts';
import { emptyRecord, type NodeRecord } from '../../src/nodes/node-record.ts';
import { formatRecord, readShard, shardOf } from '../../src/nodes/record-format.ts';
import { lifetimeOfNode } from '../../src/pki/lifetimes.ts';
import { createBootstrapCsrs, nodeNames, seenCsrs, tokenClient, until } from '../support/crowd.ts';
import { requireService } from '../support/running-service.ts';

const HOUR = 3_600_000;
const NAMES = nodeNames('fleet-plan', 24);
const [GONE = '', ...THERE] = NAMES;

interface Outage {
  readonly seconds: number;
  readonly node: string;
}
interface Plan {
  readonly nodes: Readonly<Record<'counted' | 'banned' | 'gone' | 'unrecorded' | 'unreadable', number>>;
  readonly certificates: readonly {
    readonly usage: string;
    readonly valid: number;
    readonly outageFromNow: Outage | null;
    readonly outageAtAnyTime: Outage | null;
  }[];
  readonly hours: readonly { readonly client: number; readonly joining: number }[];
  readonly highestHour: { readonly all: number };
}

describe('fleet plan, on the real API server', function () {
  this.timeout(180_000);
  const running = requireService({ pools: { fleet: { nodeNames: 'fleet-plan-.*' } } }, false);
  const plane = (): ReturnType<typeof running>['controlPlane'] => running().controlPlane;
  const configMaps = (namespace: string): string => `/api/v1/namespaces/${namespace}/configmaps`;

  /** Runs the command with this namespace for the records; there is no service that knows of it. */
  async function plan(namespace: string, ...args: readonly string[]): Promise<Plan & { readonly text: string }> {
    const { ca } = configFor(running())['signer'] as { ca: object };
    const lifetime = { client: '24h', serving: '48h' };
    const config = configFor(running(), { state: { namespace }, signer: { ca, lifetime } });
    const file = join(running().supervisor.folder('fleet-plan'), `${namespace}.yaml`);
    writeFileSync(file, stringify(config));
    const shared = ['fleet', 'plan', '--config', file, '--kubeconfig', plane().adminKubeconfig, ...args];
    const done = await runProgram('kubelet-bootstrap', [...shared, '-o', 'json']);
    expect(done.code, done.stderr).to.equal(0);
    const { stdout } = await runProgram('kubelet-bootstrap', shared);
    return { ...(JSON.parse(done.stdout) as Plan), text: stdout };
  }
  const createNamespace = (name: string): Promise<unknown> =>
    plane().admin.must('POST', '/api/v1/namespaces', { metadata: { name } }, [409]);
  const sum = (hours: Plan['hours']): number => hours.reduce((total, { client }) => total + client, 0);

  before('make Node objects', async () => {
    for (const name of THERE) await plane().admin.must('POST', '/api/v1/nodes', { metadata: { name } }, [409]);
  });

  describe('of records that the service has written', () => {
    const NAMESPACE = 'fleet-plan-written';
    const recorded = new Map<string, NodeRecord>();

    before('have the service sign for every node', async () => {
      await createNamespace(NAMESPACE);
      const { ca } = configFor(running())['signer'] as { ca: object };
      await running().start({ state: { namespace: NAMESPACE }, signer: { ca, lifetime: { client: '24h' } } });
      const { client } = await tokenClient(plane(), { kind: 'pool', pool: 'fleet' });
      await createBootstrapCsrs(client, NAMES);
      await until('every CSR is signed', async () => {
        const csrs = await seenCsrs(plane(), 'csr-fleet-plan-');
        return csrs.length === NAMES.length && csrs.every(({ status }) => status.certificate !== undefined);
      });
      await until('every certificate is on record', async () => {
        const { items } = (await plane().admin.must('GET', configMaps(NAMESPACE))) as {
          items: { data?: Record<string, string> }[];
        };
        for (const [node, record] of items.flatMap(({ data }) => [...readShard(data ?? {})])) {
          if (record.known) recorded.set(node, record.value);
        }
        return NAMES.every((name) => recorded.has(name));
      });
    });

    it('finds that each node got the lifetime that its name has, and that its record says from when to when', () => {
      const lives = NAMES.map((name) => {
        const { notBefore = 0, notAfter = 0 } = recorded.get(name)?.certificates[0] ?? {};
        return notAfter - notBefore;
      });
      expect(lives).to.deep.equal(NAMES.map((name) => lifetimeOfNode(name, 24 * HOUR, 2)));
      expect(new Set(lives).size).to.equal(2);
    });

    it('expects each node that is there once in the next day, and finds what the first of them would notice', async () => {
      const { nodes, certificates, hours } = await plan(NAMESPACE, '--hours', '22');
      expect(nodes.gone).to.be.at.least(1);
      expect(nodes.counted).to.be.at.least(THERE.length);
      const [client] = certificates;
      expect(client?.valid).to.equal(nodes.counted);
      expect(client?.outageAtAnyTime?.seconds).to.equal((24 * 3_600 * 7) / 9 / 10);
      expect(client?.outageFromNow?.node).not.to.equal(GONE);
      expect(client?.outageFromNow?.seconds).to.be.within(18 * 3_600, 18.7 * 3_600);
      for (const { client: renewals } of hours.slice(0, 12)) expect(renewals).to.be.lessThan(0.5);
      expect(sum(hours)).to.be.closeTo(nodes.counted, 0.5);
    });
  });

  describe('of 10,000 records', () => {
    const NAMESPACE = 'fleet-plan-10000';

    before('write them', async () => {
      await createNamespace(NAMESPACE);
      const now = Date.now();
      const data = new Map<string, Record<string, string>>();
      const others = nodeNames('fleet-plan-other', 10_000 - THERE.length);
      for (const [index, node] of [...THERE, ...others].entries()) {
        // Half of their life is over: each is renewed within 4.8 to 9.6 hours.
        const certificate = { notBefore: now - 12 * HOUR, notAfter: now + 12 * HOUR, issuedAt: now - 12 * HOUR };
        const record = {
          ...emptyRecord(node),
          certificates: [{ fingerprint: String(index).padStart(64, '0'), issuer: '', ...certificate }],
        };
        data.set(shardOf(node), { ...data.get(shardOf(node)), [node]: formatRecord(record) });
      }
      const gate = new PQueue({ concurrency: 4 });
      await gate.addAll(
        [...data].map(([name, records]) => async () => {
          const metadata = { name, labels: { 'kubelet-bootstrap/state': 'node-records' } };
          await plane().admin.must('POST', configMaps(NAMESPACE), { metadata, data: records }, [409]);
        }),
      );
    });

    it('reads them all, and counts those of nodes that are there', async () => {
      const { nodes, certificates, hours, text } = await plan(NAMESPACE, '--hours', '10');
      expect(nodes).to.deep.include({ counted: THERE.length, gone: 10_000 - THERE.length, banned: 0, unreadable: 0 });
      expect(certificates[0]?.outageFromNow?.seconds).to.be.within(11 * 3_600, 12 * 3_600);
      expect(certificates[0]?.outageAtAnyTime?.seconds).to.equal(2.4 * 3_600);
      expect(certificates[1]).to.deep.include({ usage: 'serving', valid: 0, outageAtAnyTime: null });
      expect(sum(hours)).to.be.closeTo(THERE.length, 0.01);
      expect(text).to.match(new RegExp(`^nodes: ${THERE.length} counted; .* ${10_000 - THERE.length} without a Node`));
      expect(text).to.match(/^highest hour: .* of what the signer does at 160 a second$/m);
    });

    it('adds nodes that join at once', async () => {
      const { hours, highestHour, text } = await plan(NAMESPACE, '--join', '10000', '--hours', '48');
      // Client certificates of 24 hours and serving certificates of 48.
      expect(hours.reduce((total, { joining }) => total + joining, 0)).to.be.within(30_000, 40_000);
      expect(highestHour.all).to.be.within(1_500, 2_500);
      expect(text).to.include('joining: 20000 certificates for 10000 nodes at once, signed in 2m5s');
    });
  });
});
