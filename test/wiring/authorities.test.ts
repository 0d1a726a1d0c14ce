import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { after, before, beforeEach, describe, it } from 'mocha';
import { type Config, readConfig } from '../../src/config.ts';
import { systemClock } from '../../src/runtime/clock.ts';
import { openAuthorities } from '../../src/wiring/authorities.ts';
import { withValues } from '../support/config-text.ts';
import { testAuthority } from '../support/test-authority.ts';
import { never } from '../controllers/world.ts';

describe('wiring/authorities', () => {
  let folder: string;
  const pems: Record<string, string> = {};
  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'cas-'));
  });
  after(() => rmSync(folder, { recursive: true }));
  beforeEach(async () => {
    for (const name of ['one', 'two']) {
      const { certPem, keyPem } = await testAuthority();
      pems[name] = certPem;
      writeFileSync(join(folder, `${name}.crt`), certPem);
      writeFileSync(join(folder, `${name}.key`), keyPem);
    }
  });

  const source = (name: string): object => ({
    certificateFile: join(folder, `${name}.crt`),
    keyFile: join(folder, `${name}.key`),
  });
  const config = (ca: object): Config => readConfig('config.yaml', withValues({ 'signer.ca': ca }));
  const log = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} };

  it('follows the config: a next CA comes, gets its time, and takes the place of the first', async () => {
    let current = config(source('one'));
    const authorities = openAuthorities(() => current, { clock: systemClock, vault: undefined, log });
    const seen = async (): Promise<unknown> => {
      const next = await authorities.next(never);
      const first = (await authorities.current.authority(never)).certificatePem;
      return [first, (await next?.backend.authority(never))?.certificatePem, next?.from];
    };
    expect(await seen()).to.deep.equal([pems['one'], undefined, undefined]);
    current = config({ ...source('one'), next: source('two') });
    expect(await seen()).to.deep.equal([pems['one'], pems['two'], undefined]);
    current = config({ ...source('one'), next: { ...source('two'), from: '2027-01-31T00:00:00Z' } });
    expect(await seen()).to.deep.equal([pems['one'], pems['two'], Date.UTC(2027, 0, 31)]);
    current = config(source('two'));
    expect(await seen()).to.deep.equal([pems['two'], undefined, undefined]);
  });

  it('keeps what it has read of one CA while the other changes', async () => {
    let current = config({ ...source('one'), next: source('two') });
    const authorities = openAuthorities(() => current, { clock: systemClock, vault: undefined, log });
    await authorities.current.authority(never);
    await (await authorities.next(never))?.backend.authority(never);
    for (const name of ['one', 'two']) rmSync(join(folder, `${name}.key`));
    current = config({ ...source('one'), next: { ...source('two'), from: '2027-01-31T00:00:00Z' } });
    expect((await authorities.current.authority(never)).certificatePem).to.equal(pems['one']);
    expect((await (await authorities.next(never))?.backend.authority(never))?.certificatePem).to.equal(pems['two']);
  });
});
