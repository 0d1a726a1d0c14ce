/** Objects that are put into etcd, and taken out of it, past the API server. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { ControlPlane } from '../servers/control-plane.ts';
import { HttpsClient } from '../servers/https-client.ts';

/** A client of it, to be closed. */
export function etcdClient({ etcdDir, etcdPort }: Pick<ControlPlane, 'etcdDir' | 'etcdPort'>): HttpsClient {
  const file = (name: string): string => readFileSync(join(etcdDir, name), 'utf8');
  const [ca, certificate, key] = [file('ca.crt'), file('client.crt'), file('client.key')];
  return new HttpsClient({ server: `https://127.0.0.1:${etcdPort}`, ca, certificate, key });
}

/** etcd takes no larger transactions. */
const MOST_PUTS = 100;
const BETWEEN_PUTS_MS = 20;

/** Puts objects there, each under its key without the `/registry/` in front. */
export async function store(
  etcd: HttpsClient,
  objects: Iterable<readonly [key: string, value: Buffer]>,
): Promise<void> {
  let puts: object[] = [];
  const send = async (): Promise<void> => {
    if (puts.length > 0) await etcd.must('POST', '/v3/kv/txn', { success: puts });
    puts = [];
    // The API server ends watches that are too slow for what comes.
    await sleep(BETWEEN_PUTS_MS);
  };
  for (const [key, value] of objects) {
    puts.push({ request_put: { key: base64(`/registry/${key}`), value: value.toString('base64') } });
    if (puts.length === MOST_PUTS) await send();
  }
  await send();
}

/** Removes everything under this prefix, which ends with a slash. */
export async function removeAll(etcd: HttpsClient, prefix: string): Promise<void> {
  const [key, range_end] = [base64(`/registry/${prefix}`), base64(`/registry/${prefix.slice(0, -1)}0`)];
  await etcd.must('POST', '/v3/kv/deleterange', { key, range_end });
}

const base64 = (text: string): string => Buffer.from(text).toString('base64');
