import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { before, describe, it } from 'mocha';
import { stringify } from 'yaml';
import { HttpsClient } from '../../scripts/servers/https-client.ts';
import { readKubeconfig } from '../../scripts/servers/kubeconfig.ts';
import { configFor, runProgram } from '../../scripts/servers/service.ts';
import { csrBody, CSRS, nodeNames, type SeenCsr, seenCsrs, tokenClient, until } from '../support/crowd.ts';
import { buildCsrPem } from '../support/csr-builder.ts';
import { type ManagedCluster, requireManagedCluster } from '../support/managed-cluster.ts';
import { differs, type Requester, UPSTREAM_ROWS } from '../support/upstream-rows.ts';

const nameOf = (index: number): string => `case-${index}`;

describe("upstream's approve and sign cases, on a real kube-controller-manager", function () {
  this.timeout(120_000);
  const cluster = requireManagedCluster();
  let plane: ManagedCluster['plane'];
  /** As kube-controller-manager left them, and as it left them after an admin approved the rest. */
  let decided = new Map<string, SeenCsr>();
  let settled = new Map<string, SeenCsr>();
  /** Our verdict where it is another one. */
  let otherwise = new Map<string, string>();

  const all = async (): Promise<Map<string, SeenCsr>> =>
    new Map((await seenCsrs(plane)).map((csr) => [csr.metadata.name, csr]));
  const approvedBy = (csr: SeenCsr | undefined): string | undefined =>
    csr?.status.conditions?.find(({ type }) => type === 'Approved')?.reason;
  const clientOf = (kubeconfig: string): HttpsClient => new HttpsClient(readKubeconfig(kubeconfig));

  before('make every request and let kube-controller-manager decide', async () => {
    ({ plane } = cluster());
    const token = await tokenClient(plane, { kind: 'node', node: 'worker-1' });
    await cluster().kubectl('create', 'clusterrolebinding', 'x', '--clusterrole=system:node-bootstrapper', '--user=x');
    const clients: Record<Requester, HttpsClient> = {
      token: token.client,
      node: clientOf(await plane.nodeKubeconfig('worker-1')),
      stranger: clientOf(await plane.clientKubeconfig('stranger', 'x')),
      admin: plane.admin,
    };
    await until('the binding is in force', async () => (await clients.stranger.send('GET', CSRS)).status === 200);
    for (const [index, { by, signer, usages, expirationSeconds, request }] of UPSTREAM_ROWS.entries()) {
      const more = expirationSeconds === undefined ? {} : { expirationSeconds };
      const body = csrBody(nameOf(index), request, { signerName: signer, usages, ...more });
      await clients[by].must('POST', CSRS, body);
    }
    // It takes them in turn, five at a time: when ten later ones are approved, none of these is still to come.
    const last = nodeNames('last', 10);
    for (const name of last) await token.client.must('POST', CSRS, csrBody(name, buildCsrPem()));
    const expected = UPSTREAM_ROWS.flatMap(({ approver }, index) => (approver === 'approves' ? [nameOf(index)] : []));
    await until('it approved what it should, and the last ones', async () => {
      const seen = [...(await all()).values()].filter((csr) => approvedBy(csr) !== undefined);
      const names = new Set(seen.map(({ metadata }) => metadata.name));
      return [...expected, ...last].every((name) => names.has(name));
    });
    decided = await all();

    const { supervisor } = cluster();
    const recorded = join(supervisor.dir, 'recorded.yaml');
    writeFileSync(recorded, await cluster().kubectl('get', 'csr', '-o', 'yaml'));
    const config = join(supervisor.dir, 'simulate.yaml');
    const addresses = { serving: { addressRanges: ['10.60.0.0/16'], admitsAnyAddress: false } };
    writeFileSync(config, stringify(configFor({ controlPlane: plane }, addresses)));
    const { stdout } = await runProgram('kubelet-bootstrap', [
      'simulate',
      '--config',
      config,
      '-f',
      recorded,
      '-o',
      'json',
    ]);
    const differences = JSON.parse(stdout) as { csr: string; wouldBe: string }[];
    otherwise = new Map(differences.map(({ csr, wouldBe }) => [csr, wouldBe]));

    for (const [name, csr] of decided) {
      if (approvedBy(csr) !== undefined) continue;
      const conditions = [{ type: 'Approved', status: 'True', reason: 'ByAnAdmin', message: '' }];
      await plane.admin.must('PUT', `${CSRS}/${name}/approval`, { ...csr, status: { conditions } });
    }
    await until('everything is signed or failed', async () => {
      settled = await all();
      return [...settled.values()].every(
        ({ status }) => status.certificate !== undefined || status.conditions?.some(({ type }) => type === 'Failed'),
      );
    });
    await Promise.all([clients.token, clients.node, clients.stranger].map((client) => client.close()));
  });

  for (const [index, row] of UPSTREAM_ROWS.entries()) {
    const { title, approver, signerDoes, ours } = row;
    const here = ours === 'approve' ? 'is approved here' : `waits here with ${ours}`;
    it(`${title}: it ${approver} it and ${signerDoes} it; ${here}`, () => {
      const approvedFirst = approvedBy(decided.get(nameOf(index))) === 'AutoApproved';
      expect(approvedFirst ? 'approves' : 'leaves').to.equal(approver);
      const { certificate } = settled.get(nameOf(index))?.status ?? {};
      expect(certificate === undefined ? 'fails' : 'signs').to.equal(signerDoes);
      const other = ours === 'approve' ? 'approve' : `wait ${ours}`;
      const told = otherwise.get(nameOf(index));
      if (differs(row)) {
        expect(told).to.match(new RegExp(`^${other}\\b`));
      } else {
        expect(told).to.equal(undefined);
      }
    });
  }
});
