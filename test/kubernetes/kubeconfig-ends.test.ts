import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { after, before, describe, it } from 'mocha';
import { stringify } from 'yaml';
import { kubeconfigEnds } from '../../src/kubernetes/kubeconfig-ends.ts';
import { systemClock } from '../../src/runtime/clock.ts';
import { failureOf } from '../controllers/world.ts';
import { testAuthority } from '../support/test-authority.ts';
import { never } from './fixture.ts';

const base64 = (text: string): string => Buffer.from(text).toString('base64');

describe('kubernetes/kubeconfig-ends', () => {
  let dir: string;
  let pem: string;
  before(async () => {
    dir = mkdtempSync(join(tmpdir(), 'kubelet-bootstrap-ends-'));
    pem = (await testAuthority('P-256', { subject: 'CN=one' })).certPem;
    writeFileSync(join(dir, 'client.pem'), pem);
  });
  after(() => rmSync(dir, { recursive: true }));
  const write = (text: string): string => {
    const file = join(dir, 'config');
    writeFileSync(file, text);
    return file;
  };
  const read = async (file: string): Promise<(readonly string[])[]> =>
    (await kubeconfigEnds(file, systemClock).read(never)).map(({ name, reading }) => [
      name.replace(`${file} `, ''),
      reading.kind,
      reading.note,
    ]);

  it('reads every user and every cluster, wherever their certificates are', async () => {
    const jwt = ['{}', '{"exp":4000000000}', ''].map((part) => Buffer.from(part).toString('base64url')).join('.');
    const file = write(
      stringify({
        users: [
          { name: 'inline', user: { 'client-certificate-data': base64(pem), 'client-key-data': base64('KEY') } },
          { name: 'file', user: { 'client-certificate': 'client.pem' } },
          { name: 'away', user: { 'client-certificate': 'gone.pem' } },
          { name: 'garbage', user: { 'client-certificate-data': 'AAAA' } },
          { name: 'token', user: { token: jwt } },
          { name: 'plain', user: { token: 'abcdef.0123456789abcdef' } },
          { name: 'exec', user: { exec: { command: 'x' } } },
        ],
        clusters: [
          { name: 'a', cluster: { server: 'https://a', 'certificate-authority-data': base64(pem) } },
          { name: 'b', cluster: { server: 'https://b' } },
        ],
        contexts: [],
      }),
    );
    expect(await read(file)).to.deep.equal([
      ['user inline', 'ends', 'CN=one'],
      ['user file', 'ends', 'CN=one'],
      ['user away', 'unreadable', `ENOENT: no such file or directory, open '${join(dir, 'gone.pem')}'`],
      ['user garbage', 'unusable', 'holds no certificate that can be read'],
      ['user token', 'ends', 'token'],
      ['user plain', 'none', 'a token that does not say when it ends'],
      ['user exec', 'none', 'neither a certificate nor a token stands in the file'],
      ['cluster a', 'ends', 'CN=one'],
    ]);
  });

  it('quotes nothing of a file that is no kubeconfig', async () => {
    for (const text of ['', 'users: [{ name: a, user: { token: "SECRET" }', '- SECRET', 'users: SECRET', '7']) {
      const file = write(text);
      const outcome = await read(file).catch(String);
      expect(JSON.stringify(outcome), text).to.not.include('SECRET');
    }
  });

  it('throws that there is no file', async () => {
    expect(String(await failureOf(read(join(dir, 'gone'))))).to.include('ENOENT');
  });
});
