import { execFile } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { expect } from 'chai';
import { after, before, describe, it } from 'mocha';
import { parse, stringify } from 'yaml';
import { findBinaries } from '../../scripts/servers/binaries.ts';
import { type CommandResult, runProgram } from '../../scripts/servers/service.ts';
import { requireTokenCli } from '../support/token-cli.ts';

const MOUNT = 'setup-kv';
const MACHINES = 'setup/machines';

describe('kubelet-bootstrap vault setup, on a real OpenBao', function () {
  this.timeout(60_000);
  const cli = requireTokenCli('vault-setup', ['setup-blue']);
  let config = '';
  before('a config with mounts of its own', () => {
    const base = parse(readFileSync(join(cli().folder, 'config.yaml'), 'utf8'));
    config = join(cli().folder, 'setup.yaml');
    writeFileSync(config, stringify({ ...base, vault: { ...base.vault, mount: MOUNT } }));
  });
  const removeAll = async (): Promise<void> => {
    const { root } = cli().openBao;
    for (const path of [`sys/mounts/${MOUNT}`, `sys/auth/${MACHINES}`, 'sys/auth/setup-jwt'])
      await root('DELETE', path);
  };
  after('remove what was made', removeAll);

  const setup = (...args: string[]): Promise<CommandResult> => {
    const shared = ['--config', config, '--machine-mount', MACHINES, '--jwt-mount', 'setup-jwt'];
    const jwt = ['--jwt-role', 'nodes', '--jwt-user-claim', 'node'];
    const env = { VAULT_TOKEN: cli().openBao.rootToken };
    return runProgram('kubelet-bootstrap', ['vault', 'setup', ...shared, ...jwt, ...args], env);
  };
  const NODES = ['--for-node', 'setup-1', 'setup-2.example.internal'];

  it('makes everything, and run again it changes nothing', async () => {
    const first = await setup(...NODES);
    expect(first.code, first.stderr).to.equal(0);
    expect(first.stdout)
      .to.match(/KV engine setup-kv\/ +created/)
      .and.not.to.match(/differs|missing/);
    const again = await setup(...NODES);
    expect(again).to.deep.include({ code: 0, stdout: '' });
    expect(again.stderr).to.match(/^(\d+) of \1 items were as wanted\n$/);
  });

  it('--check says the same and ends with 0', async () => {
    expect(await setup('--check', ...NODES)).to.deep.include({ code: 0, stdout: '' });
  });

  it('--check finds what somebody changed or removed, and ends with 11; setup mends just that', async () => {
    const { root } = cli().openBao;
    await root('POST', `auth/${MACHINES}/role/setup-1`, { token_policies: ['root-like', 'kubelet-bootstrap-node'] });
    await root('DELETE', `auth/${MACHINES}/role/setup-2.example.internal`);
    await root('POST', 'sys/policies/acl/kubelet-bootstrap-node', {
      policy: `path "${MOUNT}/data/vault-setup/nodes/*" {\n  capabilities = ["read"]\n}\n`,
    });
    const { code, stdout } = await setup('--check', ...NODES);
    expect(code).to.equal(11);
    expect(stdout)
      .to.match(
        /role\/setup-1 +differs +token_policies is kubelet-bootstrap-node,root-like, wanted kubelet-bootstrap-node\n/,
      )
      .and.match(/role\/setup-2\.example\.internal +missing/)
      .and.match(/policy kubelet-bootstrap-node +differs +.*nodes\/\* allows read, wanted nothing/)
      .and.not.contain('jwt');
    const mended = await setup(...NODES);
    expect(mended.stdout)
      .to.match(/role\/setup-1 +changed/)
      .and.match(/setup-2\.example\.internal +created/);
    expect((await setup('--check', ...NODES)).code).to.equal(0);
  });

  it('--print prints commands that make the same, and no secret', async () => {
    await removeAll();
    const { code, stdout } = await setup('--print', ...NODES);
    expect(code).to.equal(0);
    expect(stdout).not.to.contain(cli().openBao.rootToken);
    const { bao } = await findBinaries(['bao']);
    const { address, caFile, rootToken } = cli().openBao;
    const script = join(cli().folder, 'setup.sh');
    writeFileSync(script, stdout);
    await promisify(execFile)('sh', [script], {
      env: {
        PATH: `${dirname(bao)}:${process.env['PATH']}`,
        HOME: cli().folder,
        BAO_ADDR: address,
        BAO_CACERT: caFile,
        BAO_TOKEN: rootToken,
      },
    });
    const checked = await setup('--check', ...NODES);
    expect(checked.code, checked.stdout).to.equal(0);
  });

  it('writes nothing when something else stands at one of the mounts, and says what', async () => {
    const { root } = cli().openBao;
    await removeAll();
    await root('POST', `sys/mounts/${MOUNT}`, { type: 'kv', options: { version: '1' } });
    const { code, stdout, stderr } = await setup(...NODES);
    expect({ code, stdout }).to.deep.equal({ code: 4, stdout: '' });
    expect(stderr).to.contain('KV engine setup-kv/ is a KV engine of version 1');
    expect(((await root('GET', 'sys/auth')) as { data: object }).data).not.to.have.property(`${MACHINES}/`);
  });

  it('with a token that may not look ends with 6, and names the path', async () => {
    const { root } = cli().openBao;
    const { auth } = (await root('POST', 'auth/token/create', { policies: ['default'], ttl: '5m' })) as {
      auth: { client_token: string };
    };
    const run = await runProgram('kubelet-bootstrap', ['vault', 'setup', '--config', config], {
      VAULT_TOKEN: auth.client_token,
    });
    expect(run.code).to.equal(6);
    expect(run.stderr)
      .to.match(/GET sys\/\S+: 403/)
      .and.not.contain(auth.client_token);
  });
});
