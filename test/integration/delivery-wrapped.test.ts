import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, it } from 'mocha';
import { expect } from 'chai';
import { parse } from 'yaml';
import { type FetchRun, type Machine, newMachine } from '../support/cloud-init-machine.ts';
import { requireTokenCli } from '../support/token-cli.ts';
import { isWhole, wrappedAnswer } from '../support/wrapping.ts';
import { waitUntil } from '../../scripts/servers/long-step.ts';

const PREFIX = 'delivery-wrapped';

describe('a response-wrapped token in user-data, on the real API server and OpenBao', function () {
  this.timeout(60_000);
  const cli = requireTokenCli(PREFIX, []);
  const machines: Machine[] = [];
  afterEach(() => machines.splice(0).forEach((machine) => machine.remove()));

  /** A machine whose user-data brought this wrapping token and nothing else. */
  function machineWith(node: string, wrapping: string): Machine {
    const { openBao } = cli();
    const machine = newMachine(node);
    machines.push(machine);
    Object.assign(machine.settings, {
      VAULT_ADDR: openBao.address,
      VAULT_CACERT: openBao.caFile,
      KV_PATH: `${PREFIX}/nodes/${node}`,
      WRAPPED_TOKEN_FILE: machine.file('wrapped-token', `${wrapping}\n`),
    });
    return machine;
  }

  async function wrappedFor(node: string, ...more: string[]): Promise<string> {
    const { code, stdout, stderr } = await cli().run(['issue', '--for-node', node, '--wrap-ttl', '1h', ...more]);
    expect(code, stderr).to.equal(0);
    expect(stderr).to.match(/^token [a-z0-9]{6} issued for node .*\n(?:token [a-z0-9]{6} revoked\n)?$/);
    return stdout.trimEnd();
  }

  const tokenOf = (machine: Machine): string =>
    parse(readFileSync(machine.kubeconfig, 'utf8')).users[0].user.token as string;
  /** Ends with 9 in the first attempt, says so, leaves nothing, and says no secret. */
  async function expectTheft(machine: Machine, wrapping: string, reason: RegExp): Promise<FetchRun> {
    const run = machine.run();
    expect(await run.ended, run.output()).to.equal(9);
    expect(run.output())
      .to.match(/possible theft: the wrapping token in .*wrapped-token /)
      .and.match(reason);
    expect(run.output()).to.contain(`bootstrap-token revoke --for-node ${machine.node}\n`);
    expect(run.output()).not.to.contain('attempt').and.not.to.contain(wrapping);
    expect(machine.written()).to.deep.equal([]);
    return run;
  }

  it('is printed alone, and a machine that has no other credential joins with what is in it', async () => {
    const wrapping = await wrappedFor('wrapped-1');
    expect(wrapping)
      .to.match(/^[\w.-]{20,}$/)
      .and.not.match(/^[a-z0-9]{6}\.[a-z0-9]{16}$/);
    const machine = machineWith('wrapped-1', wrapping);
    const run = machine.run();
    expect(await run.ended, run.output()).to.equal(0);
    expect((await cli().shelf.whoIs(tokenOf(machine)))?.groups).to.include('system:bootstrappers:node:wrapped-1');
    expect(run.output()).not.to.contain(tokenOf(machine).slice(7)).and.not.to.contain(wrapping);
    expect(machine.written()).to.deep.equal(['bootstrap-kubelet.conf']);
  });

  it('is printed for each node of a file, and again when the same command is run again', async () => {
    const file = join(cli().folder, 'nodes');
    writeFileSync(file, 'wrapped-a\nwrapped-b\n');
    const args = ['issue', '--nodes', file, '--wrap-ttl', '1h', '-o', 'token'];
    const first = await cli().run(args);
    const again = await cli().run(args);
    expect(again.code, again.stderr).to.equal(0);
    expect(again.stderr).to.contain('2 kept');
    const [, ofB] = again.stdout.trimEnd().split('\n');
    expect(first.stdout)
      .to.match(/^[\w.-]{20,}\n[\w.-]{20,}\n$/)
      .and.not.equal(again.stdout);
    const machine = machineWith('wrapped-b', ofB ?? '');
    const run = machine.run();
    expect(await run.ended, run.output()).to.equal(0);
    expect((await cli().shelf.whoIs(tokenOf(machine)))?.groups).to.include('system:bootstrappers:node:wrapped-b');
  });

  it('is not asked for again when the kubelet restarts before it has a certificate', async () => {
    const machine = machineWith('wrapped-2', await wrappedFor('wrapped-2'));
    expect(await machine.run().ended).to.equal(0);
    const kubeconfig = readFileSync(machine.kubeconfig, 'utf8');
    machine.settings['VAULT_ADDR'] = 'https://127.0.0.1:1';
    const again = machine.run();
    expect(await again.ended, again.output()).to.equal(0);
    expect(again.output()).to.match(/has the token that was unwrapped from .*, until \d{4}-/);
    expect(readFileSync(machine.kubeconfig, 'utf8')).to.equal(kubeconfig);
  });

  it('is taken when a new one is put in the place of a used one', async () => {
    const machine = machineWith('wrapped-3', await wrappedFor('wrapped-3'));
    expect(await machine.run().ended).to.equal(0);
    const first = tokenOf(machine);
    machine.file('wrapped-token', await wrappedFor('wrapped-3', '--replace'));
    expect(await machine.run().ended).to.equal(0);
    expect(tokenOf(machine)).not.to.equal(first);
  });

  it('is reported with 9, at once and for good, when somebody has used it before', async () => {
    const wrapping = await wrappedFor('wrapped-4');
    const thief = machineWith('wrapped-4', wrapping);
    expect(await thief.run().ended).to.equal(0);
    await expectTheft(machineWith('wrapped-4', wrapping), wrapping, /was used by somebody, or has expired/);
  });

  it('is reported with 9 when its time is over', async () => {
    const wrapping = await wrappedFor('wrapped-5', '--wrap-ttl', '1s');
    await waitUntil(async () => !(await isWhole(cli().openBao, wrapping)), AbortSignal.timeout(30_000), 50);
    await expectTheft(machineWith('wrapped-5', wrapping), wrapping, /or has expired/);
  });

  it("is reported with 9 and left whole when it is a neighbour's, or was made by anybody", async () => {
    const neighbours = await wrappedFor('wrapped-6');
    const reason = new RegExp(`was made at secret/data/${PREFIX}/nodes/wrapped-6 and not at .*/wrapped-7: `);
    await expectTheft(machineWith('wrapped-7', neighbours), neighbours, reason);
    expect(await isWhole(cli().openBao, neighbours)).to.equal(true);
    const token = await wrappedAnswer(cli().openBao, 'POST', 'sys/wrapping/wrap', { data: {} });
    await expectTheft(machineWith('wrapped-7', token), token, /was made at sys\/wrapping\/wrap and not at/);
    expect(await isWhole(cli().openBao, token)).to.equal(true);
  });

  it('ends with 4 when the token in it has been over before it was unwrapped', async () => {
    const { openBao } = cli();
    const path = `${PREFIX}/nodes/wrapped-8`;
    await openBao.root('POST', `secret/data/${path}`, { data: { expires_at: '2020-01-01T00:00:00Z' } });
    await openBao.root('DELETE', `secret/data/${path}`);
    const machine = machineWith('wrapped-8', await wrappedAnswer(openBao, 'GET', `secret/data/${path}`));
    const run = machine.run();
    expect(await run.ended, run.output()).to.equal(4);
    expect(run.output()).to.contain('is expired or revoked');
  });

  it('is masked in json unless asked for, with what an admin needs to end it', async () => {
    const args = ['issue', '--for-node', 'wrapped-9', '--wrap-ttl', '30m', '-o', 'json'];
    const { stdout } = await cli().run(args);
    const { wrapping, token } = JSON.parse(stdout);
    expect(token).to.match(/\*{16}$/);
    expect(wrapping).to.deep.include({
      token: '********',
      creationPath: `secret/data/${PREFIX}/nodes/wrapped-9`,
      ttlSeconds: 1_800,
    });
    const shown = await cli().run([...args.slice(0, 2), 'wrapped-10', ...args.slice(3), '--show-secret']);
    const { token: whole, accessor } = JSON.parse(shown.stdout).wrapping;
    expect(await isWhole(cli().openBao, whole)).to.equal(true);
    await cli().openBao.root('POST', 'auth/token/revoke-accessor', { accessor });
    expect(await isWhole(cli().openBao, whole)).to.equal(false);
  });

  it('says which token to revoke when Vault lets it neither be wrapped nor be taken back', async () => {
    const { openBao, shelf } = cli();
    const policy = ['data', 'metadata', 'destroy']
      .map(
        (part) => `path "secret/${part}/*" { capabilities = ["create", "update"${part === 'data' ? '' : ', "read"'}] }`,
      )
      .join('\n');
    await openBao.root('PUT', `sys/policies/acl/${PREFIX}`, { policy });
    const made = (await openBao.root('POST', 'auth/token/create', { policies: [PREFIX] })) as {
      auth: { client_token: string };
    };
    const env = { VAULT_TOKEN: made.auth.client_token };
    const { code, stdout, stderr } = await cli().run(['issue', '--for-node', 'wrapped-11', '--wrap-ttl', '1h'], env);
    expect({ code, stdout }, stderr).to.deep.equal({ code: 6, stdout: '' });
    const [id] = (await shelf.secretsOf('system:bootstrappers:node:wrapped-11')).map(({ data }) => data['token-id']);
    expect(stderr).to.contain(`token ${id} could not be wrapped; revoke it: `);
  });

  const wrong: Record<string, readonly string[]> = {
    'is no duration': ['--wrap-ttl', 'soon'],
    'no longer than the token lives': ['--wrap-ttl', '2h', '--ttl', '1h'],
    'would show what is to be wrapped': ['--wrap-ttl', '1h', '-o', 'bootstrap-kubeconfig'],
  };
  for (const [message, args] of Object.entries(wrong)) {
    it(`--wrap-ttl is refused before anything is issued: ${message}`, async () => {
      const { code, stderr } = await cli().run(['issue', '--for-node', 'wrapped-12', ...args]);
      expect(code).to.equal(2);
      expect(stderr).to.contain(message);
      expect(await cli().shelf.secretsOf('system:bootstrappers:node:wrapped-12')).to.deep.equal([]);
    });
  }
});
