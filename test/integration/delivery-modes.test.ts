import { createSign, generateKeyPairSync, type KeyObject } from 'node:crypto';
import { chmodSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { after, afterEach, before, describe, it } from 'mocha';
import { parse } from 'yaml';
import { runProgram } from '../../scripts/servers/service.ts';
import { type Machine, newMachine } from '../support/cloud-init-machine.ts';
import { requireTokenCli } from '../support/token-cli.ts';
import { wrappedAnswer } from '../support/wrapping.ts';

const PREFIX = 'delivery-modes';
const MACHINES = 'delivery-machines';
const JWT = 'delivery-jwt';

/** An identity token as a cloud signs it (RFC 7519, ES256). */
function identityToken(key: KeyObject, claims: object): string {
  const part = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url');
  const now = Math.floor(Date.now() / 1_000);
  const signed = `${part({ alg: 'ES256', typ: 'JWT' })}.${part({ iat: now, exp: now + 300, ...claims })}`;
  const signature = createSign('sha256').update(signed).sign({ key, dsaEncoding: 'ieee-p1363' });
  return `${signed}.${signature.toString('base64url')}`;
}

describe('how a machine gets at its token, on a real OpenBao that vault setup made ready', function () {
  this.timeout(60_000);
  const cli = requireTokenCli(PREFIX, ['delivery-blue']);
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const machines: Machine[] = [];
  const tokens = new Map<string, string>();
  afterEach(() => machines.splice(0).forEach((machine) => machine.remove()));

  before('set up Vault, and issue for two neighbours', async () => {
    const { openBao, folder } = cli();
    const args = ['--machine-mount', MACHINES, '--jwt-mount', JWT, '--jwt-role', 'nodes', '--jwt-user-claim', 'node'];
    const made = await runProgram(
      'kubelet-bootstrap',
      ['vault', 'setup', '--config', join(folder, 'config.yaml'), '--for-node', 'delivery-1', 'delivery-2', ...args],
      { VAULT_TOKEN: openBao.rootToken },
    );
    expect(made.code, made.stderr).to.equal(0);
    const pem = publicKey.export({ type: 'spki', format: 'pem' });
    await openBao.root('POST', `auth/${JWT}/config`, { jwt_validation_pubkeys: [pem] });
    for (const node of ['delivery-1', 'delivery-2']) tokens.set(node, (await cli().issue(node)).token);
    const pool = await cli().run(['issue', '--pool', 'delivery-blue']);
    tokens.set('delivery-blue', pool.stdout.trimEnd());
  });
  after('remove the auth methods', async () => {
    for (const mount of [MACHINES, JWT]) await cli().openBao.root('DELETE', `sys/auth/${mount}`);
  });

  function machineOf(node: string, path = `nodes/${node}`): Machine {
    const { openBao } = cli();
    const machine = newMachine(node);
    machines.push(machine);
    Object.assign(machine.settings, {
      VAULT_ADDR: openBao.address,
      VAULT_CACERT: openBao.caFile,
      KV_PATH: `${PREFIX}/${path}`,
      APPROLE_MOUNT: MACHINES,
      JWT_MOUNT: JWT,
    });
    return machine;
  }
  const newSecretId = async (role: string): Promise<string> => {
    const path = `auth/${MACHINES}/role/${role}/secret-id`;
    return ((await cli().openBao.root('POST', path)) as { data: { secret_id: string } }).data.secret_id;
  };
  const wrapSecretId = (role: string): Promise<string> =>
    wrappedAnswer(cli().openBao, 'POST', `auth/${MACHINES}/role/${role}/secret-id`);

  async function expectToken(machine: Machine, of: string, ...secrets: readonly string[]): Promise<void> {
    const run = machine.run();
    expect(await run.ended, run.output()).to.equal(0);
    expect(parse(readFileSync(machine.kubeconfig, 'utf8')).users[0].user.token).to.equal(tokens.get(of));
    for (const secret of [...secrets, tokens.get(of)?.slice(7) ?? '']) expect(run.output()).not.to.contain(secret);
  }
  async function expectDenied(machine: Machine): Promise<void> {
    const run = machine.run();
    expect(await run.ended, run.output()).to.equal(5);
    expect(run.output()).to.contain('permission denied: this credential may not read secret/data/');
    expect(machine.written()).to.deep.equal([]);
  }
  function withAppRole(machine: Machine, role: string, secretId: string): Machine {
    machine.settings['ROLE_ID_FILE'] = machine.file('role-id', role);
    machine.settings['SECRET_ID_FILE'] = machine.file('secret-id', secretId);
    return machine;
  }

  describe('AppRole', () => {
    it("fetches its node's token, and not its neighbour's", async () => {
      const secretId = await newSecretId('delivery-1');
      await expectToken(withAppRole(machineOf('delivery-1'), 'delivery-1', secretId), 'delivery-1', secretId);
      await expectDenied(withAppRole(machineOf('delivery-1', 'nodes/delivery-2'), 'delivery-1', secretId));
    });

    it("fetches the token of its pool, and no node's", async () => {
      const secretId = await newSecretId('pool-delivery-blue');
      const machine = machineOf('blue-1', 'pools/delivery-blue');
      await expectToken(withAppRole(machine, 'pool-delivery-blue', secretId), 'delivery-blue', secretId);
      await expectDenied(withAppRole(machineOf('delivery-1'), 'pool-delivery-blue', secretId));
    });
  });

  describe('AppRole with a wrapped secret_id', () => {
    function withWrapped(machine: Machine, role: string, wrapping: string): Machine {
      machine.settings['ROLE_ID_FILE'] = machine.file('role-id', role);
      machine.settings['SECRET_ID_FILE'] = join(machine.dir, 'kept-secret-id');
      machine.settings['WRAPPED_SECRET_ID_FILE'] = machine.file('wrapped-secret-id', wrapping);
      return machine;
    }

    it('unwraps it once, keeps it for itself, and logs in with it again when the kubelet starts again', async () => {
      const wrapping = await wrapSecretId('delivery-1');
      const machine = withWrapped(machineOf('delivery-1'), 'delivery-1', wrapping);
      await expectToken(machine, 'delivery-1', wrapping);
      const kept = join(machine.dir, 'kept-secret-id');
      expect(statSync(kept).mode & 0o777).to.equal(0o600);
      await expectToken(machine, 'delivery-1', wrapping, readFileSync(kept, 'utf8').trimEnd());
    });

    it('reports one that somebody used before as possible theft, with 9, and does not try again', async () => {
      const wrapping = await wrapSecretId('delivery-1');
      await expectToken(withWrapped(machineOf('delivery-1'), 'delivery-1', wrapping), 'delivery-1');
      const run = withWrapped(machineOf('delivery-1'), 'delivery-1', wrapping).run();
      expect(await run.ended, run.output()).to.equal(9);
      expect(run.output()).to.contain('possible theft').and.not.to.contain('attempt').and.not.to.contain(wrapping);
    });

    it('leaves whole one that was made for another role, and ends with 9', async () => {
      const wrapping = await wrapSecretId('delivery-2');
      const run = withWrapped(machineOf('delivery-1'), 'delivery-1', wrapping).run();
      expect(await run.ended, run.output()).to.equal(9);
      expect(run.output()).to.contain(`was made at auth/${MACHINES}/role/delivery-2/secret-id`);
      await expectToken(withWrapped(machineOf('delivery-2'), 'delivery-2', wrapping), 'delivery-2');
    });
  });

  describe('JWT', () => {
    const jwtOf = (claims: object): string => identityToken(privateKey, { aud: 'vault', ...claims });
    function withJwt(machine: Machine, jwt: string): Machine {
      machine.settings['ROLE'] = 'nodes';
      machine.settings['JWT_FILE'] = machine.file('jwt', jwt);
      return machine;
    }

    it("fetches its node's token with an identity token from a file, and not its neighbour's", async () => {
      const jwt = jwtOf({ node: 'delivery-1' });
      await expectToken(withJwt(machineOf('delivery-1'), jwt), 'delivery-1', jwt);
      await expectDenied(withJwt(machineOf('delivery-1', 'nodes/delivery-2'), jwt));
    });

    it('takes one from a program, which is asked at each login', async () => {
      const jwt = jwtOf({ node: 'delivery-2' });
      const machine = machineOf('delivery-2');
      const program = machine.file('identity', `#!/bin/sh\nprintf '%s\\n' '${jwt}'\n`);
      chmodSync(program, 0o700);
      Object.assign(machine.settings, { ROLE: 'nodes', JWT_COMMAND: program });
      await expectToken(machine, 'delivery-2', jwt);
    });

    for (const [what, made] of [
      ['for another audience', () => jwtOf({ node: 'delivery-1', aud: 'somebody' })],
      ['without the claim', () => jwtOf({})],
      ['that is over', () => jwtOf({ node: 'delivery-1', exp: Math.floor(Date.now() / 1_000) - 600 })],
      [
        'of another issuer',
        () =>
          identityToken(generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey, {
            node: 'delivery-1',
            aud: 'vault',
          }),
      ],
    ] as const) {
      it(`is refused ${what}: tried until the deadline, since Vault says the same while it lacks the keys`, async () => {
        const jwt = made();
        const machine = withJwt(machineOf('delivery-1'), jwt);
        machine.settings['DEADLINE'] = '4';
        const run = machine.run();
        expect(await run.ended, run.output()).to.equal(3);
        expect(run.output())
          .to.contain('Vault refuses the identity token for role nodes (400)')
          .and.not.to.contain(jwt);
        expect(machine.written()).to.deep.equal([]);
      });
    }
  });

  it('Vault token: of an agent, read from its file', async () => {
    const { openBao } = cli();
    const { auth } = (await openBao.root('POST', `auth/${MACHINES}/login`, {
      role_id: 'delivery-1',
      secret_id: await newSecretId('delivery-1'),
    })) as { auth: { client_token: string } };
    const machine = machineOf('delivery-1');
    machine.settings['TOKEN_FILE'] = machine.file('vault-token', auth.client_token);
    await expectToken(machine, 'delivery-1', auth.client_token);
  });
});
