import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { afterEach, beforeEach, describe, it } from 'mocha';
import { configReader } from '../../src/cli/settings.ts';
import { ConfigError } from '../../src/errors.ts';
import { LEAST, withValues } from '../support/config-text.ts';

describe('cli/settings: reading a config again and again', () => {
  let dir: string;
  let path: string;
  beforeEach(() => {
    dir = mkdtempSync(join(tmpdir(), 'kubelet-bootstrap-settings-'));
    path = join(dir, 'config.yaml');
  });
  afterEach(() => rmSync(dir, { recursive: true }));

  it('parses only what is another text, and says what is wrong each time', async () => {
    const read = configReader({ config: path }, { env: {} });
    writeFileSync(path, LEAST);
    const first = await read();
    expect(await read()).to.equal(first);
    writeFileSync(path, withValues({ 'ops.logLevel': 'debug' }));
    expect((await read()).ops.logLevel).to.equal('debug');
    writeFileSync(path, 'wrong: true');
    for (let count = 0; count < 2; count += 1) {
      const failed = await read().then(
        () => undefined,
        (error: unknown) => error,
      );
      expect(failed).to.be.instanceOf(ConfigError);
    }
    writeFileSync(path, LEAST);
    expect((await read()).ops.logLevel).to.equal(first.ops.logLevel);
  });
});
