import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { describe, it } from 'mocha';
import { MissingToolError } from '../../scripts/servers/binaries.ts';
import { findCsrReader } from '../../scripts/servers/csr-reader.ts';

describe("Go's reader of requests", () => {
  it('names what to install when Go is not there', async () => {
    const dir = mkdtempSync(join(tmpdir(), 'csr-reader-'));
    const found: unknown = await findCsrReader({ PATH: dir, XDG_CACHE_HOME: dir }).catch((error: unknown) => error);
    rmSync(dir, { recursive: true });
    expect(found).to.be.instanceOf(MissingToolError);
    expect(String(found)).to.match(/install Go 1\.26/);
  });
});
