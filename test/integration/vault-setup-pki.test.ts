import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { after, before, describe, it } from 'mocha';
import { parse, stringify } from 'yaml';
import { type CommandResult, runProgram } from '../../scripts/servers/service.ts';
import { requireTokenCli } from '../support/token-cli.ts';

const PKI = 'setup-pki';
const KV = 'kv-beside-pki';
const MACHINES = 'setup-of-pki-machines';

describe('kubelet-bootstrap vault setup for the PKI engine, on a real OpenBao', function () {
  this.timeout(60_000);
  const cli = requireTokenCli('vault-setup-pki', []);
  let pkiConfig = '';
  before('a config that signs with it', () => {
    const base = parse(readFileSync(join(cli().folder, 'config.yaml'), 'utf8'));
    pkiConfig = join(cli().folder, 'setup-pki.yaml');
    const signer = { lifetime: { client: '48h', serving: '24h' }, ca: { pki: { mount: PKI, issuer: 'kubelets' } } };
    const more = {
      vault: { ...base.vault, mount: KV },
      controllers: ['minter', 'signer'],
      serving: { addressRanges: ['10.0.0.0/8'] },
    };
    writeFileSync(pkiConfig, stringify({ ...base, ...more, signer }));
  });
  after('remove what was made', async () => {
    for (const path of [`sys/mounts/${PKI}`, `sys/mounts/${KV}`, 'sys/policies/acl/kubelet-bootstrap']) {
      await cli().openBao.root('DELETE', path);
    }
  });
  const pkiSetup = (...args: string[]): Promise<CommandResult> => {
    const shared = ['vault', 'setup', '--config', pkiConfig, '--machine-mount', MACHINES];
    return runProgram('kubelet-bootstrap', [...shared, ...args], { VAULT_TOKEN: cli().openBao.rootToken });
  };

  it('makes no CA unasked, and says so with 11; with --make-ca it makes one, and run again it changes nothing', async () => {
    const first = await pkiSetup();
    expect(first.code, first.stderr).to.equal(11);
    expect(first.stdout)
      .to.match(/PKI engine setup-pki\/ +created/)
      .and.match(/issuer setup-pki\/issuer\/kubelets +missing +is not there, and is made only with --import-ca or/)
      .and.match(/setup-pki\/roles\/kubelet-serving-encipherment +created/);
    const second = await pkiSetup('--make-ca');
    expect(second.code, second.stderr).to.equal(0);
    expect(second.stdout).to.match(/issuer setup-pki\/issuer\/kubelets +created/);
    expect(await pkiSetup('--make-ca')).to.deep.include({ code: 0, stdout: '' });
  });

  it('--check finds a role, a policy and an issuer that were changed; setup mends just those', async () => {
    const { root } = cli().openBao;
    const { data } = (await root('GET', `${PKI}/roles/kubelet-client`)) as { data: object };
    await root('POST', `${PKI}/roles/kubelet-client`, { ...data, ou: ['x'], max_ttl: 360_000 });
    await root('POST', `${PKI}/issuer/kubelets`, { issuer_name: 'kubelets', usage: 'read-only' });
    await root('POST', 'sys/policies/acl/kubelet-bootstrap', {
      policy: `path "${PKI}/issuer/kubelets/sign/*" {\n  capabilities = ["update"]\n}\n`,
    });
    const { code, stdout } = await pkiSetup('--check');
    expect(code).to.equal(11);
    expect(stdout)
      .to.match(/roles\/kubelet-client +differs +ou is x, wanted empty; max_ttl is 360000, wanted 172800/)
      .and.match(/issuer setup-pki\/issuer\/kubelets +differs +usage is read-only/)
      .and.match(
        /policy kubelet-bootstrap +differs +.*sign\/kubelet-client allows nothing, wanted update allowed_parameters/,
      )
      .and.not.match(/kubelet-serving +differs/);
    expect((await pkiSetup()).code).to.equal(0);
    expect((await pkiSetup('--check')).code).to.equal(0);
  });
});
