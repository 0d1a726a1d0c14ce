import type { Context } from 'mocha';
import { MissingToolError } from '../../scripts/servers/binaries.ts';
import { findCsrReader, readWithGo } from '../../scripts/servers/csr-reader.ts';
import { skipFor } from '../support/skip.ts';
import { type Seen, seenByGo } from './parsers.ts';

/** What Go makes of these requests, in their order; skips the test where it cannot be built. */
export async function seenByGoOf(context: Context, requests: readonly Uint8Array[]): Promise<(Seen | string)[]> {
  const program = await findCsrReader().catch((error: unknown) => {
    if (!(error instanceof MissingToolError)) throw error;
    skipFor(context, error.message);
    return '';
  });
  return (await readWithGo(program, requests)).map(seenByGo);
}
