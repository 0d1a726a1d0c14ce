/** README's "Rotating the CA" on real servers, step by step, and what is refused on the way. */
import { X509Certificate } from 'node:crypto';
import { join } from 'node:path';
import { expect } from 'chai';
import { after, before, beforeEach, describe, it } from 'mocha';
import { writePair } from '../../scripts/servers/pki.ts';
import { tokenClient, until } from '../support/crowd.ts';
import { KubeletStandIn } from '../support/kubelet-stand-in.ts';
import { BUNDLE, requireRotation, type RotationScene } from '../support/rotation-scene.ts';
import { testAuthority } from '../support/test-authority.ts';

const NODES = ['rotated-1', 'rotated-2'];

describe('the rotation of a CA in Vault KV', function () {
  this.timeout(180_000);
  const scene = requireRotation('90s');
  let ca: RotationScene['ca'];
  const nodes: KubeletStandIn[] = [];
  let first: string;
  let second: string;

  before('two nodes join', async () => {
    const { plane, supervisor } = scene();
    ({ ca } = scene());
    first = plane.ca.certificate;
    for (const [index, name] of NODES.entries()) {
      const { kubeconfig } = await tokenClient(plane, { kind: 'node', node: name });
      const ips = [`10.50.0.${index + 1}`];
      const node = new KubeletStandIn({ name, ips, bootstrapKubeconfig: kubeconfig, dir: supervisor.folder(name) });
      nodes.push(node);
      await node.bootstrap();
      await node.register();
      await node.requestServing();
    }
  });
  beforeEach('they renew, as they would with a longer life', async () => {
    for (const node of nodes) await node.renew();
  });
  after('close their connections', async () => {
    await Promise.all(nodes.map((node) => node.close()));
  });

  const refused = async (code: string, ...args: string[]): Promise<void> => {
    const before = await scene().entry();
    const result = await ca('rotate', ...args);
    expect([result.code, result.stdout], result.stderr).to.deep.equal([4, '']);
    expect(result.stderr).to.contain(`- ${code}: `);
    expect(await scene().entry()).to.deep.equal(before);
  };
  const done = async (...args: string[]): Promise<string> => {
    const result = await ca('rotate', ...args);
    expect(result.code, result.stderr).to.equal(0);
    return result.stdout;
  };
  const issuerOf = (pem = ''): string => new X509Certificate(pem).issuer;

  it('is nothing to do while one CA lasts', async () => {
    const { code, stdout } = await ca('status');
    expect([code, stdout.trimEnd().split('\n').at(-1)]).to.deep.equal([0, 'Rest: Nothing: one CA signs, and lasts.']);
    expect(await scene().bundle()).to.equal(first);
    for (const flag of ['--finish', '--cancel']) await refused(flag === '--finish' ? 'NoPrevious' : 'NoNext', flag);
    await refused('NoNext', '--sign-from', 'now', '--force');
  });

  it('begins with a next CA that is published and signs nothing', async () => {
    const before = await scene().entry();
    expect(await done('--dry-run')).to.match(/^would be written to Vault KV secret\/rotation\/ca: a next CA/);
    expect(await scene().entry()).to.deep.equal(before);
    const said = await done('--common-name', 'next cluster CA');
    expect(said).to.contain('kubectl -n kubelet-bootstrap get configmap kubelet-bootstrap-cas');
    const { next_cert: cert = '', next_key: key = '', ...others } = await scene().entry();
    expect(others).to.deep.equal(before);
    expect(said).not.to.contain(key.split('\n')[1]);
    second = cert;
    await until('it is published', async () => (await scene().bundle()) === first + second);
    expect((await scene().reach('Trust')).cas.map(({ role, trusted }) => [role, trusted])).to.deep.equal([
      ['signing', true],
      ['next', false],
    ]);
    expect(issuerOf((await nodes[0]?.renew())?.certificate)).to.equal('CN=local cluster CA');
    expect(await scene().service.metric('kubelet_bootstrap_ca_expiry_timestamp_seconds', { role: 'next' })).to.equal(
      new X509Certificate(second).validToDate.getTime() / 1000,
    );
  });

  it('goes no further while the API server does not trust it', async () => {
    await refused('NextNotTrusted', '--sign-from', 'now');
    await refused('NextIsThere');
    expect((await ca('status')).code).to.equal(10);
  });

  it('puts the published bundle right when somebody edits or deletes it', async () => {
    const { admin } = scene().plane;
    const nonsense = { data: { 'ca.crt': 'nonsense' } };
    expect((await admin.send('PATCH', BUNDLE, nonsense, 'application/merge-patch+json')).status).to.equal(200);
    await until('it is right again', async () => (await scene().bundle()) === first + second);
    await admin.must('DELETE', BUNDLE);
    await until('it is there again', async () => (await admin.send('GET', BUNDLE)).status === 200);
    expect(await scene().bundle()).to.equal(first + second);
  });

  it('has it sign once the API server trusts it', async () => {
    scene().trust(second);
    await scene().reach('SetTime');
    await done('--sign-from', new Date(Date.now() + 3_600_000).toISOString());
    expect((await scene().standing()).step).to.equal('AwaitTime');
    await done('--sign-from', 'now');
    const { service } = scene();
    await until('it signs', async () => {
      const end = await service.metric('kubelet_bootstrap_ca_expiry_timestamp_seconds', { role: 'previous' });
      return end > 0;
    });
    expect(issuerOf((await nodes[0]?.renew())?.certificate)).to.equal('CN=next cluster CA');
    const { step, cas, safeToDrop } = await scene().standing();
    expect([step, safeToDrop]).to.deep.equal(['AwaitNodes', false]);
    expect(cas.map(({ role }) => role)).to.deep.equal(['signing', 'previous']);
    const held = cas[1]?.held.filter(({ replaced, usage }) => !replaced && usage === 'client') ?? [];
    expect(held.map(({ node }) => node)).to.deep.equal(['rotated-2']);
    expect((await ca('status')).stdout).to.contain('- StillHeld: 2 nodes hold certificates (rotated-1, rotated-2)');
  });

  it('lets nobody drop the first one while its certificates are about, and both are good meanwhile', async () => {
    await refused('StillHeld', '--finish');
    await refused('StillHeld', '--cancel');
    for (const node of nodes) await node.renewLease();
  });

  it('says that it is safe when the last certificate of the first one is replaced and over', async () => {
    for (const node of nodes) await node.requestServing();
    const replaced = (await scene().standing()).cas.find(({ role }) => role === 'previous')?.held ?? [];
    expect(replaced.filter((held) => !held.replaced && held.usage === 'client')).to.deep.equal([]);
    const { safeToDrop, objections } = await until('it is safe', async () => {
      for (const node of nodes) await node.renew();
      const standing = await scene().standing();
      return standing.step === 'Finish' && standing;
    });
    expect([safeToDrop, objections]).to.deep.equal([true, []]);
  });

  it('ends with the new one alone, and with every node as it was', async () => {
    const said = await done('--finish');
    expect(said).to.contain('bao kv destroy');
    const { cert, note, ...others } = await scene().entry();
    expect([cert, note, Object.keys(others)]).to.deep.equal([second, 'kept', ['key']]);
    await until('it is published alone', async () => (await scene().bundle()) === second);
    expect((await scene().standing()).step).to.equal('Rest');
    for (const node of nodes) expect(issuerOf((await node.renew()).certificate)).to.equal('CN=next cluster CA');
  });

  it('renews a certificate for the same key without anything to wait for', async () => {
    await done('--same-key', '--lifetime', '9000h');
    await done('--sign-from', 'now');
    expect((await scene().reach('Finish')).cas[0]?.keyId).to.equal((await scene().standing()).cas[1]?.keyId);
    await done('--finish');
    for (const node of nodes) await node.renew();
  });

  it('takes an intermediate whose root is trusted, hands nodes its chain, and goes back when forced to', async () => {
    const root = await testAuthority('P-256', { subject: 'CN=root' });
    const below = await testAuthority('P-256', { subject: 'CN=below', issuer: root });
    const dir = scene().supervisor.folder('intermediate');
    const pair = { certificate: below.certPem + root.certPem, key: below.keyPem };
    const certificate = writePair(dir, 'ca', pair);
    await done('--certificate', certificate, '--key', join(dir, 'ca.key'));
    await scene().reach('Trust');
    scene().trust(root.certPem);
    await scene().reach('SetTime');
    await done('--sign-from', 'now');
    const chain = await until('it signs', async () => {
      const pem = (await nodes[0]?.renew())?.certificate;
      return issuerOf(pem) === 'CN=below' && pem;
    });
    expect(chain.match(/BEGIN CERTIFICATE/g)).to.have.length(2);
    expect(chain.endsWith(below.certPem)).to.equal(true);
    await nodes[0]?.renewLease();
    await refused('StillHeld', '--cancel');
    const forced = await ca('rotate', '--cancel', '--force');
    expect(`${forced.code},${forced.stderr}`).to.match(/^0,forced, although StillHeld: 1 node holds certificates/);
  });

  it('keeps a next CA out that cannot be used', async () => {
    const { caFile, caKeyFile } = scene().plane;
    const { code, stderr } = await ca('rotate', '--certificate', caFile, '--key', caFile);
    expect([code, stderr.split(':')[1]], stderr).to.deep.equal([1, ' the key cannot be read']);
    expect((await ca('rotate', '--certificate', caFile)).code).to.equal(2);
    await done('--certificate', caFile, '--key', caKeyFile);
    await done('--cancel');
    expect(Object.keys(await scene().entry()).toSorted()).to.deep.equal(['cert', 'key', 'note']);
  });
});
