import * as z from 'zod';
import type { VaultCaller } from './key-value.ts';
import { readAs } from './reply.ts';

const answerSchema = z.object({ data: z.record(z.string(), z.unknown()) });
const capabilitiesSchema = z.array(z.string());

/**
 * What the caller's own token may do at each of these paths: `read`, `update`, `root`, `deny` and so on. The right to
 * ask is part of the `default` policy. Throws RemoteError.
 */
export async function readCapabilities(
  caller: VaultCaller,
  paths: readonly string[],
  signal: AbortSignal,
): Promise<ReadonlyMap<string, readonly string[]>> {
  const path = ['sys', 'capabilities-self'];
  const { body } = await caller.call({ operation: 'lookup', method: 'POST', path, body: { paths } }, signal);
  const { data } = readAs(answerSchema, body, 'capabilities-self');
  return new Map(paths.map((each) => [each, readAs(capabilitiesSchema, data[each], `capabilities of ${each}`)]));
}
