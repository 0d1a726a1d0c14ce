/** What ends in a kubeconfig: certificates and tokens of its users, CAs of its clusters. */
import { readFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { KubeConfig } from '@kubernetes/client-node';
import { bundleReading, chainReading, readPem } from '../expiry/certificates.ts';
import { tokenReading } from '../expiry/tokens.ts';
import type { Reading, Thing } from '../expiry/thing.ts';
import type { ExpirySource } from '../ports.ts';
import type { Clock } from '../runtime/clock.ts';

/** Such as a program that fetches a credential. */
const NOT_HERE: Reading = { kind: 'none', note: 'neither a certificate nor a token stands in the file' };

/** Reads one kubeconfig file, every user and cluster of it. */
export function kubeconfigEnds(file: string, clock: Pick<Clock, 'now'>): ExpirySource {
  const kind = 'kubeconfig';
  return {
    kind,
    name: file,
    read: async () => {
      const config = parsed(file, await readFile(file, 'utf8'));
      const thing = (of: string, reading: Reading): Thing => ({
        kind,
        name: `${file} ${of}`,
        object: undefined,
        reading,
      });
      const users = config.users.map(async ({ name, certData, certFile, token }) => {
        const pem = await pemOf(certData, certFile);
        if (typeof pem !== 'string') return [thing(`user ${name}`, pem)];
        if (pem !== '') return [thing(`user ${name}`, chainReading(readPem(pem), clock.now()))];
        const isToken = typeof token === 'string' && token !== '';
        return [thing(`user ${name}`, isToken ? tokenReading(token) : NOT_HERE)];
      });
      const clusters = config.clusters.map(async ({ name, caData, caFile }) => {
        const pem = await pemOf(caData, caFile);
        if (typeof pem !== 'string') return [thing(`cluster ${name}`, pem)];
        return pem === '' ? [] : [thing(`cluster ${name}`, bundleReading(readPem(pem), clock.now()))];
      });
      return (await Promise.all([...users, ...clusters])).flat();
    },
  };
}

/** The message of the parser would quote the file, which has keys in it. */
function parsed(file: string, text: string): KubeConfig {
  const config = new KubeConfig();
  try {
    config.loadFromString(text);
    config.makePathsAbsolute(dirname(file));
  } catch {
    throw new Error(`${file} is no kubeconfig`);
  }
  return config;
}

/** '' where there is neither; what is wrong where the file cannot be read. */
async function pemOf(data: string | undefined, file: string | undefined): Promise<string | Reading> {
  if (typeof data === 'string' && data !== '') return Buffer.from(data, 'base64').toString('latin1');
  if (typeof file !== 'string' || file === '') return '';
  try {
    return await readFile(file, 'latin1');
  } catch (error) {
    return { kind: 'unreadable', note: error instanceof Error ? error.message : String(error) };
  }
}
