import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { after, afterEach, before, beforeEach, describe, it } from 'mocha';
import type { HttpsClient } from '../../scripts/servers/https-client.ts';
import type { Service } from '../../scripts/servers/service.ts';
import {
  createBootstrapCsrs,
  nodeNames,
  removeCsrs,
  type SeenCsr,
  seenCsrs,
  tokenClient,
  until,
} from '../support/crowd.ts';
import { requireService } from '../support/running-service.ts';
import { type GateFault, openGate, type VaultGate } from '../support/vault-gate.ts';

const CA_PATH = 'outage/ca';
const POLICY = 'outage-service';
const EVENTS = '/apis/events.k8s.io/v1/namespaces/default/events?fieldSelector=reason%3DSignerUnavailable';
const GRANTS = `path "secret/data/${CA_PATH}" { capabilities = ["read"] }
path "sys/internal/ui/mounts/secret" { capabilities = ["read"] }`;

const says =
  (status: number, text: string, headers: Record<string, string> = {}): GateFault =>
  (response) => {
    response.writeHead(status, { 'content-type': 'application/json', ...headers });
    response.end(JSON.stringify({ errors: [text] }));
  };

describe('the service while Vault is not as it should be', function () {
  this.timeout(180_000);
  const running = requireService({ pools: { outage: { nodeNames: '[a-z]+-[0-9]+' } } }, false);
  let client: HttpsClient;
  let gate: VaultGate;
  let folder: string;
  let service: Service | undefined;

  const [tokenFile, caFile] = [(): string => join(folder, 'token'), (): string => join(folder, 'ca.crt')];
  async function freshToken(): Promise<string> {
    const options = { policies: [POLICY], ttl: '1h' };
    const made = (await running().openBao.root('POST', 'auth/token/create', options)) as {
      auth: { client_token: string };
    };
    return made.auth.client_token;
  }
  const grant = (policy: string): Promise<unknown> =>
    running().openBao.root('POST', `sys/policies/acl/${POLICY}`, { policy });

  before('a gate before Vault, and the CA in it', async () => {
    const { controlPlane, openBao, supervisor } = running();
    gate = await openGate(openBao);
    folder = supervisor.folder('outage');
    ({ client } = await tokenClient(controlPlane, { kind: 'pool', pool: 'outage' }));
    const { certificate: cert, key } = controlPlane.ca;
    await openBao.root('POST', `secret/data/${CA_PATH}`, { data: { cert, key } });
    await grant(GRANTS);
    writeFileSync(tokenFile(), await freshToken(), { mode: 0o600 });
    writeFileSync(caFile(), gate.ca);
  });
  // The first one that cannot be signed is named in the Event: it is to be one of ours.
  beforeEach('no CSR waits', () => removeCsrs(running().controlPlane, ''));
  afterEach('end the service', async function () {
    this.timeout(60_000);
    await service?.stop();
    service = undefined;
  });
  after('close', async () => {
    await client?.close();
    await gate?.close();
  });

  const start = (auth: object = { method: 'tokenFile', tokenFile: tokenFile() }): Promise<Service> =>
    running().start(
      {
        controllers: ['approver', 'signer'],
        signer: { ca: { vaultPath: CA_PATH, refresh: '1s' } },
        vault: { address: gate.address, caFile: caFile(), timeout: '2s', auth },
      },
      false,
    );
  /** Gives up in time to say what it waited for. */
  const soon = <T>(what: string, probe: () => Promise<T | undefined | false>): Promise<T> =>
    until(what, probe, 50, 40_000);
  const csrsOf = (name: string): Promise<SeenCsr[]> => seenCsrs(running().controlPlane, `csr-${name}-`);
  async function allIssued(name: string, count: number): Promise<void> {
    await soon(`all of ${name} are issued`, async () =>
      (await csrsOf(name)).every(({ status }) => (status.certificate ?? '') !== ''),
    );
    const found = await csrsOf(name);
    const conditions = found.flatMap(({ status }) => status.conditions?.map(({ type }) => type) ?? []);
    expect(conditions).to.deep.equal(Array(count).fill('Approved'));
  }

  interface Row {
    readonly name: string;
    readonly what: string;
    readonly cause: string;
    /** Said in readyz and in the Event. */
    readonly text: RegExp;
    readonly break: () => Promise<unknown> | void;
    readonly mend: () => Promise<unknown> | void;
  }
  const byGate = (fault: GateFault): Pick<Row, 'break' | 'mend'> => ({
    break: () => void (gate.fault = fault),
    mend: () => void (gate.fault = undefined),
  });
  const rows: Row[] = [
    {
      name: 'sealed',
      what: 'is sealed',
      cause: 'sealed',
      text: /sealed/i,
      break: () => running().openBao.seal(),
      mend: () => running().openBao.unseal(),
    },
    {
      name: 'standby',
      what: 'is a standby without an active node',
      cause: 'standby',
      text: /local node not active/,
      ...byGate(says(500, 'local node not active but active cluster node not found')),
    },
    {
      name: 'slow',
      what: 'answers 429 without Retry-After',
      cause: 'asked-to-wait',
      text: /429 rate limit/,
      ...byGate(says(429, 'rate limit quota exceeded')),
    },
    {
      name: 'slower',
      what: 'answers 429 with Retry-After',
      cause: 'asked-to-wait',
      text: /429 rate limit/,
      ...byGate(says(429, 'rate limit quota exceeded', { 'retry-after': '3' })),
    },
    {
      name: 'broken',
      what: 'answers 502',
      cause: 'server-error',
      text: /502/,
      ...byGate(says(502, 'bad gateway')),
    },
    {
      name: 'hole',
      what: 'takes calls and never answers',
      cause: 'no-answer-in-time',
      text: /no answer within 2 s/,
      ...byGate(() => undefined),
    },
    {
      name: 'policy',
      what: 'does not grant what is needed',
      cause: 'forbidden',
      text: /403 .*permission denied/,
      break: () => grant('path "secret/data/other" { capabilities = ["read"] }'),
      mend: () => grant(GRANTS),
    },
    {
      name: 'revoked',
      what: 'has revoked the token in the file',
      cause: 'forbidden',
      text: /403/,
      break: async () => {
        const token = await freshToken();
        writeFileSync(tokenFile(), token);
        await running().openBao.root('POST', 'auth/token/revoke', { token });
      },
      mend: async () => writeFileSync(tokenFile(), await freshToken()),
    },
    {
      name: 'trust',
      what: 'has a certificate of another CA',
      cause: 'not-trusted',
      text: /not vouched for/,
      break: () => gate.renewCa(),
      mend: () => writeFileSync(caFile(), gate.ca),
    },
  ];

  for (const { name, what, cause, text, break: breakIt, mend } of rows) {
    it(`that ${what}: holds, says ${cause} everywhere, asks little, and issues all when that is over`, async () => {
      const prefix = `outage${name}`;
      await breakIt();
      try {
        service = await start();
        const seen = service;
        await createBootstrapCsrs(client, nodeNames(prefix, 10));
        await soon('readyz says it', async () => {
          const { status, body } = await seen.ops('/readyz');
          return status === 503 && text.test(body);
        });
        await soon(
          'the metric says it',
          async () => (await seen.metric('kubelet_bootstrap_vault_problem', { cause })) > 0,
        );
        await soon('an Event says it', async () => {
          const { items } = (await running().controlPlane.admin.must('GET', EVENTS)) as {
            items: { note: string; regarding: { name: string } }[];
          };
          return items.some(({ note, regarding }) => regarding.name.startsWith(`csr-${prefix}-`) && text.test(note));
        });
        expect((await csrsOf(prefix)).every(({ status }) => (status.certificate ?? '') === '')).to.equal(true);
      } finally {
        await mend();
      }
      await allIssued(prefix, 10);
      await soon('it is ready', async () => (await service?.ops('/readyz'))?.status === 200);
      expect(await service?.metric('kubelet_bootstrap_vault_problem')).to.equal(0);
    });
  }

  it('asks little while Vault is away: calls do not grow with the CSRs that wait', async () => {
    gate.fault = says(503, 'Vault is sealed');
    try {
      service = await start();
      await createBootstrapCsrs(client, nodeNames('outagemany', 200));
      await soon('all are approved', async () =>
        (await csrsOf('outagemany')).every(({ status }) => status.conditions?.[0]?.type === 'Approved'),
      );
      const before = gate.calls;
      await soon('five calls more', () => Promise.resolve(gate.calls >= before + 5));
      expect(before).to.be.lessThan(100);
    } finally {
      gate.fault = undefined;
    }
    await allIssued('outagemany', 200);
  });

  it('logins, renewals and a revoked login cost no CSR more than one retry', async () => {
    const { openBao } = running();
    await openBao.root('POST', 'sys/auth/outage-approle', { type: 'approle' });
    const role = 'auth/outage-approle/role/service';
    await openBao.root('POST', role, { token_policies: POLICY, token_ttl: '2s', token_max_ttl: '4s' });
    const roleId = (await openBao.root('GET', `${role}/role-id`)) as { data: { role_id: string } };
    const secretId = (await openBao.root('POST', `${role}/secret-id`, {})) as { data: { secret_id: string } };
    const [roleIdFile, secretIdFile] = [join(folder, 'role-id'), join(folder, 'secret-id')];
    writeFileSync(roleIdFile, roleId.data.role_id);
    writeFileSync(secretIdFile, secretId.data.secret_id);
    try {
      service = await start({ method: 'approle', mount: 'outage-approle', roleIdFile, secretIdFile });
      const seen = service;
      const names = nodeNames('outagelogin', 240);
      const logins = (): Promise<number> =>
        seen.metric('kubelet_bootstrap_vault_call_seconds_count', { operation: 'login', outcome: 'ok' });
      // Else its first login would be taken for the one after the first revocation.
      await soon('it has logged in', async () => (await logins()) > 0);
      for (let from = 0; from < names.length; from += 80) {
        const before = await logins();
        await createBootstrapCsrs(client, names.slice(from, from + 80));
        await openBao.root('POST', 'sys/leases/revoke-prefix/auth/outage-approle/login', {});
        await soon('it has logged in again', async () => (await logins()) > before);
      }
      await allIssued('outagelogin', names.length);
      const renewed = await seen.metric('kubelet_bootstrap_vault_call_seconds_count', { operation: 'renew' });
      expect((await logins()) + renewed).to.be.at.least(4);
      const retries = new Map<string, number>();
      for (const line of seen.lines() as unknown as { message: string; controller?: string; key?: string }[]) {
        if (line.message !== 'held, to be tried again' || line.controller !== 'signer') continue;
        retries.set(line.key ?? '', (retries.get(line.key ?? '') ?? 0) + 1);
      }
      expect(Math.max(0, ...retries.values()), 'retries of one CSR').to.be.at.most(1);
    } finally {
      await openBao.root('DELETE', 'sys/auth/outage-approle');
    }
  });
});
