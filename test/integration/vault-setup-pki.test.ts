import { execFile } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { expect } from 'chai';
import { after, before, describe, it } from 'mocha';
import { parse, stringify } from 'yaml';
import { findBinaries } from '../../scripts/servers/binaries.ts';
import { HttpsClient } from '../../scripts/servers/https-client.ts';
import { type CommandResult, runProgram } from '../../scripts/servers/service.ts';
import { buildCsrPem, testAuthority } from '../support/csr-builder.ts';
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

  it('--import-ca takes a bundle, and --print prints commands that make the same', async () => {
    const { root, address, caFile, rootToken } = cli().openBao;
    await root('DELETE', `sys/mounts/${PKI}`);
    const above = await testAuthority('P-256', { subject: 'CN=above' });
    const ca = await testAuthority('P-256', { subject: 'CN=kubelets', issuer: above });
    const file = join(cli().folder, 'bundle.pem');
    writeFileSync(file, ca.certPem + above.certPem + ca.keyPem, { mode: 0o600 });
    const imported = await pkiSetup('--import-ca', file);
    expect(imported.code, imported.stderr).to.equal(0);
    expect(await root('GET', `${PKI}/issuer/kubelets`)).to.have.nested.property(
      'data.usage',
      'issuing-certificates,read-only',
    );
    await root('DELETE', `sys/mounts/${PKI}`);
    const { stdout } = await pkiSetup('--print', '--import-ca', file);
    expect(stdout).not.to.contain('PRIVATE KEY');
    const lines = stdout.split('\n').filter((line) => line.includes(PKI));
    const script = join(cli().folder, 'setup-pki.sh');
    writeFileSync(script, `set -eu\n${lines.filter((line) => line.startsWith('bao')).join('\n')}\n`);
    const { bao } = await findBinaries(['bao']);
    await promisify(execFile)('sh', [script], {
      env: {
        PATH: `${dirname(bao)}:${process.env['PATH']}`,
        HOME: cli().folder,
        BAO_ADDR: address,
        BAO_CACERT: caFile,
        BAO_TOKEN: rootToken,
      },
    });
    const checked = await pkiSetup('--check');
    expect(checked.code, checked.stdout).to.equal(0);
  });

  it('with its policy the service signs with the four roles as it has to, and can do nothing beside it', async () => {
    const { root } = cli().openBao;
    const created = await root('POST', 'auth/token/create', { policies: ['kubelet-bootstrap'], ttl: '5m' });
    const { auth } = created as { auth: { client_token: string } };
    const { openBao } = cli();
    const client = new HttpsClient({
      server: openBao.address,
      ca: openBao.ca,
      headers: { 'x-vault-token': auth.client_token },
    });
    const csr = buildCsrPem();
    const body = { csr, ttl: '600s', exclude_cn_from_sans: true };
    const at = `/v1/${PKI}/issuer/kubelets`;
    const tries: readonly (readonly [string, string, object, number])[] = [
      ['the way the service asks', `${at}/sign/kubelet-client`, body, 200],
      ['without what keeps the name out', `${at}/sign/kubelet-client`, { csr, ttl: '600s' }, 403],
      ['with the name let in', `${at}/sign/kubelet-client`, { ...body, exclude_cn_from_sans: false }, 403],
      ['with names besides', `${at}/sign/kubelet-serving`, { ...body, alt_names: 'evil' }, 403],
      ['as the CSR says', `${at}/sign-verbatim`, body, 403],
      ['by the default issuer', `/v1/${PKI}/sign/kubelet-client`, body, 403],
      ['with a key of its own making', `${at}/issue/kubelet-client`, { common_name: 'system:node:x' }, 403],
      ['to change a role', `/v1/${PKI}/roles/kubelet-client`, {}, 403],
    ];
    for (const [what, path, sent, status] of tries) {
      expect((await client.send('POST', path, sent)).status, what).to.equal(status);
    }
    await client.close();
  });
});
