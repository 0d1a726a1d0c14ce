import type * as z from 'zod';
import { RemoteError } from '../errors.ts';

/** `body` as `schema` has it. Throws `Unreadable` naming the place, never the value: it may be a secret. */
export function readAs<S extends z.ZodType>(schema: S, body: unknown, what: string): z.infer<S> {
  const parsed = schema.safeParse(body);
  if (!parsed.success) {
    const places = parsed.error.issues.map((issue) => issue.path.join('.')).join(', ');
    throw new RemoteError('vault', 'Unreadable', `Vault: ${what}: the answer is not of the known shape (${places})`);
  }
  return parsed.data;
}
