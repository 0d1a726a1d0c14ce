import { readFileSync, statSync, writeFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { after, afterEach, before, describe, it } from 'mocha';
import { expect } from 'chai';
import { parse } from 'yaml';
import { findBinaries } from '../../scripts/servers/binaries.ts';
import { startOpenBao } from '../../scripts/servers/openbao.ts';
import type { OpenBao } from '../../scripts/servers/openbao.ts';
import { newSupervisor } from '../../scripts/servers/servers.ts';
import { newMachine } from '../support/cloud-init-machine.ts';
import type { Machine } from '../support/cloud-init-machine.ts';

const TOKEN = 'abcdef.0123456789abcdef';
const SECRET_PART = '0123456789abcdef';

describe('fetch-bootstrap-token with a real OpenBao', () => {
  const supervisor = newSupervisor({ write: () => {} });
  const machines: Machine[] = [];
  let bao: OpenBao;
  let serial = 0;

  before(async () => {
    bao = await startOpenBao(supervisor, (await findBinaries(['bao'])).bao);
    await bao.root('POST', 'sys/auth/approle', { type: 'approle' });
  });
  afterEach(() => machines.splice(0).forEach((machine) => machine.remove()));
  after(() => supervisor.stop());

  const pathOf = (machine: Machine): string => `kubelet-bootstrap/nodes/${machine.node}`;

  function entry(change: Record<string, unknown> = {}): Record<string, unknown> {
    const expires = new Date(Date.now() + 3_600_000).toISOString().replace(/\.\d+/, '');
    return { token: TOKEN, expires_at: expires, server: 'https://10.0.0.1:6443', ca_certificate: bao.ca, ...change };
  }

  const issue = (machine: Machine, change?: Record<string, unknown>): Promise<unknown> =>
    bao.root('POST', `secret/data/${pathOf(machine)}`, { data: entry(change) });

  /** A machine with an AppRole of its own, which may read its own path and no other. */
  async function machineWithRole(): Promise<{ machine: Machine; secretId: string }> {
    serial += 1;
    const machine = newMachine(`worker-${serial}.example.internal`);
    machines.push(machine);
    const role = `auth/approle/role/worker-${serial}`;
    const policy = `path "secret/data/${pathOf(machine)}" { capabilities = ["read"] }`;
    await bao.root('PUT', `sys/policies/acl/worker-${serial}`, { policy });
    await bao.root('POST', role, { token_policies: [`worker-${serial}`], token_ttl: '5m' });
    const roleId = (await bao.root('GET', `${role}/role-id`)) as { data: { role_id: string } };
    const secretId = (await bao.root('POST', `${role}/secret-id`, {})) as { data: { secret_id: string } };
    Object.assign(machine.settings, {
      VAULT_ADDR: bao.address,
      VAULT_CACERT: bao.caFile,
      ROLE_ID_FILE: machine.file('role-id', `${roleId.data.role_id}\n`),
      SECRET_ID_FILE: machine.file('secret-id', `${secretId.data.secret_id}\n`),
    });
    return { machine, secretId: secretId.data.secret_id };
  }

  it('logs in by AppRole and writes the bootstrap kubeconfig, 0600, in place of the old one', async () => {
    const { machine, secretId } = await machineWithRole();
    await issue(machine);
    writeFileSync(machine.kubeconfig, 'old', { mode: 0o644 });
    const old = statSync(machine.kubeconfig).ino;
    const run = machine.run();
    expect(await run.ended, run.output()).to.equal(0);
    const config = parse(readFileSync(machine.kubeconfig, 'utf8'));
    expect(config.clusters[0].cluster).to.deep.equal({
      server: 'https://10.0.0.1:6443',
      'certificate-authority-data': Buffer.from(bao.ca.endsWith('\n') ? bao.ca : `${bao.ca}\n`).toString('base64'),
    });
    expect(config.users[0].user).to.deep.equal({ token: TOKEN });
    expect(config['current-context']).to.equal(config.contexts[0].name);
    const stat = statSync(machine.kubeconfig);
    expect(stat.mode & 0o777).to.equal(0o600);
    expect(stat.ino, 'renamed into place').not.to.equal(old);
    expect(machine.written(), 'nothing else is kept').to.deep.equal(['bootstrap-kubelet.conf']);
    expect(run.output()).to.match(/^kubelet-bootstrap: attempt 1: wrote .* with token abcdef, which expires at /m);
    expect(run.output()).not.to.contain(SECRET_PART).and.not.to.contain(secretId);
  });

  it('takes a Vault token from a file instead', async () => {
    const { machine } = await machineWithRole();
    await issue(machine);
    const policies = [`worker-${serial}`];
    const made = (await bao.root('POST', 'auth/token/create', { policies })) as { auth: { client_token: string } };
    delete machine.settings['ROLE_ID_FILE'];
    delete machine.settings['SECRET_ID_FILE'];
    machine.settings['TOKEN_FILE'] = machine.file('token', made.auth.client_token);
    const run = machine.run();
    expect(await run.ended, run.output()).to.equal(0);
    expect(readFileSync(machine.kubeconfig, 'utf8')).to.contain(TOKEN);
    expect(run.output()).not.to.contain(made.auth.client_token);
  });

  it('waits for a token that is not issued yet, and logs in again when its login has run out meanwhile', async () => {
    const { machine } = await machineWithRole();
    const run = machine.run();
    await run.said(/attempt 1: not issued yet: .*; next in \d\.\d{3} s/);
    await bao.root('PUT', 'sys/leases/revoke-prefix/auth/approle/login', {});
    await run.said(/the login to Vault has run out/);
    await issue(machine);
    expect(await run.ended, run.output()).to.equal(0);
  });

  it('holds while Vault is sealed and while it is away, and goes on by itself', async () => {
    const { machine } = await machineWithRole();
    await issue(machine);
    await bao.seal();
    try {
      const run = machine.run();
      await run.said(/attempt 1: Vault is sealed \(503\); next in/);
      await bao.stop();
      await run.said(/no answer from Vault: curl: \(7\)/);
      await bao.start();
      expect(await run.ended, run.output()).to.equal(0);
    } finally {
      await bao.start();
    }
  });

  const gone: Record<string, (machine: Machine) => Promise<unknown>> = {
    destroyed: (machine) => bao.root('PUT', `secret/destroy/${pathOf(machine)}`, { versions: [1] }),
    deleted: (machine) => bao.root('DELETE', `secret/data/${pathOf(machine)}`),
  };
  for (const [how, remove] of Object.entries(gone)) {
    it(`ends at once with 4 when the token was ${how}, and says what an admin has to do`, async () => {
      const { machine } = await machineWithRole();
      await issue(machine);
      await remove(machine);
      const run = machine.run();
      expect(await run.ended).to.equal(4);
      expect(run.output().split('\n')[1]).to.equal(
        `kubelet-bootstrap: the token at ${pathOf(machine)} is expired or revoked: ` +
          `an admin has to issue a new one: bootstrap-token issue --for-node ${machine.node}`,
      );
      expect(machine.written()).to.deep.equal([]);
    });
  }

  it('ends at once with 4 when Vault has let the entry expire', async () => {
    const { machine } = await machineWithRole();
    await bao.root('POST', `secret/metadata/${pathOf(machine)}`, { delete_version_after: '1s' });
    await issue(machine);
    const read = (): Promise<unknown> => bao.root('GET', `secret/data/${pathOf(machine)}`).catch(() => undefined);
    while ((await read()) !== undefined) await sleep(50);
    const run = machine.run();
    expect(await run.ended, run.output()).to.equal(4);
    expect(run.output()).to.contain('is expired or revoked: an admin has to issue a new one');
  });

  it('ends at once with 4 when expires_at is over', async () => {
    const { machine } = await machineWithRole();
    await issue(machine, { expires_at: '2020-01-01T00:00:00Z' });
    const run = machine.run();
    expect(await run.ended).to.equal(4);
    expect(run.output()).to.contain('expired at 2020-01-01T00:00:00Z: an admin has to issue a new one');
    expect(machine.written()).to.deep.equal([]);
  });

  it("ends at once with 5 on a neighbour's path", async () => {
    const neighbour = (await machineWithRole()).machine;
    await issue(neighbour);
    const { machine } = await machineWithRole();
    machine.settings['KV_PATH'] = pathOf(neighbour);
    const run = machine.run();
    expect(await run.ended).to.equal(5);
    expect(run.output()).to.contain(`permission denied: this credential may not read secret/data/${pathOf(neighbour)}`);
  });

  it('tries a refused AppRole credential three times, two short of the lock, and ends with 6', async () => {
    const { machine } = await machineWithRole();
    machine.file('secret-id', 'ffffffff-ffff-ffff-ffff-ffffffffffff');
    const run = machine.run();
    expect(await run.ended).to.equal(6);
    expect(run.output().match(/Vault refuses the AppRole credential \(400\)/g)).to.have.length(3);
  });

  it('honours its deadline and names what it was waiting for', async () => {
    const { machine } = await machineWithRole();
    machine.settings['DEADLINE'] = '4';
    const started = performance.now();
    const run = machine.run();
    expect(await run.ended).to.equal(3);
    expect(performance.now() - started).to.be.greaterThan(3_900);
    expect(run.output()).to.match(/gave up after \d+ attempts, DEADLINE is 4 s: not issued yet/);
  });

  const unusable: Record<string, Record<string, unknown>> = {
    'a token of another shape': { token: 'abcdef.0123456789ABCDEF' },
    'a token with more in it': { token: `${TOKEN}0` },
    'no token': { token: undefined },
    'a server without TLS': { server: 'http://10.0.0.1:6443' },
    'a server that would end the YAML string': { server: "https://10.0.0.1' #" },
    'a CA that is not PEM': { ca_certificate: 'MIIB' },
    'an expiry that is no time': { expires_at: 'tomorrow' },
  };
  for (const [what, change] of Object.entries(unusable)) {
    it(`ends at once with 7 for an entry with ${what}`, async () => {
      const { machine } = await machineWithRole();
      await issue(machine, change);
      const run = machine.run();
      expect(await run.ended, run.output()).to.equal(7);
      expect(machine.written()).to.deep.equal([]);
    });
  }
});
