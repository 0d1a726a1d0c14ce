import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { after, before, describe, it } from 'mocha';
import { CLIENT_SIGNER } from '../../src/ports.ts';
import { buildCsrPem } from '../support/csr-builder.ts';
import { withValues } from '../support/config-text.ts';
import { ran } from './fake-io.ts';

const POOL = ['system:bootstrappers', 'system:bootstrappers:pool:workers'];

function recorded(name: string, node: string, approved: boolean): object {
  const conditions = approved ? [{ type: 'Approved', status: 'True', reason: 'AutoApproved', message: '' }] : [];
  return {
    apiVersion: 'certificates.k8s.io/v1',
    kind: 'CertificateSigningRequest',
    metadata: { name, uid: name, resourceVersion: '1', creationTimestamp: '2027-01-01T00:00:00Z' },
    spec: {
      request: Buffer.from(buildCsrPem({ commonName: `system:node:${node}` })).toString('base64'),
      signerName: CLIENT_SIGNER,
      username: 'system:bootstrap:abcdef',
      groups: POOL,
      usages: ['digital signature', 'client auth'],
    },
    status: { conditions },
  };
}

describe('cli/simulate', () => {
  let dir = '';
  const at = (name: string): string => join(dir, name);
  const config = (pattern: string): string => withValues({ pools: { workers: { nodeNames: pattern } } });
  const simulate = (...more: readonly string[]): ReturnType<typeof ran> =>
    ran('kubelet-bootstrap', ['simulate', '--config', at('new.yaml'), ...more]);

  before(async () => {
    dir = await mkdtemp(join(tmpdir(), 'kubelet-bootstrap-simulate-'));
    await writeFile(at('new.yaml'), config('worker-[0-9]'));
    await writeFile(at('old.yaml'), config('worker-.*'));
    const items = [recorded('csr-1', 'worker-1', true), recorded('csr-10', 'worker-10', true)];
    await writeFile(
      at('list.json'),
      JSON.stringify({ kind: 'List', items: [...items, recorded('csr-2', 'db-1', false)] }),
    );
    await writeFile(at('bad.yaml'), 'kind: Secret\n');
  });
  after(() => rm(dir, { recursive: true }));

  it('prints only what would be decided otherwise than on record', async () => {
    const { code, out, err } = await simulate('-f', at('list.json'));
    expect([code, err]).to.deep.equal([0, '1 of 3 CSRs would be decided otherwise\n']);
    expect(out).to.match(/csr-10 +system:bootstrap:abcdef +worker-10 +approve +wait NodeNameNotInPool/);
    expect(out).to.not.include('csr-1 ').and.not.include('csr-2');
  });

  it('prints only what another config decides otherwise', async () => {
    const { code, out } = await simulate('-f', at('list.json'), '--baseline', at('old.yaml'), '-o', 'json');
    expect(code).to.equal(0);
    const [only, ...more] = JSON.parse(out) as { csr: string; was: string; wouldBe: string }[];
    expect(more).to.deep.equal([]);
    expect(only).to.include({ csr: 'csr-10', was: 'approve BootstrapApproved', wouldBe: 'wait NodeNameNotInPool' });
  });

  it('prints nothing where nothing would change', async () => {
    const { code, out, err } = await simulate('-f', at('list.json'), '--baseline', at('new.yaml'));
    expect([code, out, err]).to.deep.equal([0, '', '0 of 3 CSRs would be decided otherwise\n']);
  });

  for (const [what, file, said] of [
    ['a file that is not there', 'none.yaml', /none\.yaml: ENOENT/],
    ['a file with another object', 'bad.yaml', /bad\.yaml: a Secret and no CertificateSigningRequest/],
    ['a folder with such a file', '.', /a (undefined|Secret|List)? ?/],
  ] as const) {
    it(`ends with 2 for ${what}`, async () => {
      const { code, out, err } = await simulate('-f', at(file));
      expect([code, out]).to.deep.equal([2, '']);
      expect(err).to.match(said);
    });
  }
});
