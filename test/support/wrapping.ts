/** What an admin of a test's OpenBao has wrapped by hand. */
import { HttpsClient } from '../../scripts/servers/https-client.ts';
import type { OpenBao } from '../../scripts/servers/openbao.ts';

/** The wrapping token, good for an hour, for what this call as root answers. A 404 is wrapped, too. */
export async function wrappedAnswer(
  { address, ca, rootToken }: OpenBao,
  method: 'GET' | 'POST',
  path: string,
  body?: unknown,
): Promise<string> {
  const headers = { 'x-vault-token': rootToken, 'x-vault-wrap-ttl': '1h' };
  const client = new HttpsClient({ server: address, ca, headers });
  try {
    const answer = (await client.must(method, `/v1/${path}`, body)) as { wrap_info: { token: string } };
    return answer.wrap_info.token;
  } finally {
    await client.close();
  }
}

/** Has nobody unwrapped it, and is its time not over? */
export async function isWhole({ root }: OpenBao, wrapping: string): Promise<boolean> {
  try {
    await root('POST', 'sys/wrapping/lookup', { token: wrapping });
    return true;
  } catch {
    return false;
  }
}
