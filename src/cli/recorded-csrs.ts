/** CSRs from files, as `kubectl get csr -o yaml` writes them. */
import { readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { parseAllDocuments } from 'yaml';
import { messageOf, UsageError } from '../errors.ts';
import { readCsr } from '../kubernetes/csrs.ts';
import type { Csr } from '../ports.ts';

const ENDINGS = /\.(ya?ml|json)$/;

/**
 * The CSRs in a file, or in the YAML and JSON files of a folder: single objects, several documents, or lists. Throws
 * UsageError, with the file, for what cannot be read or holds none.
 */
export async function recordedCsrs(path: string): Promise<Csr[]> {
  const isFolder = await stat(path).then(
    (found) => found.isDirectory(),
    (error: unknown) => {
      throw new UsageError(`${path}: ${messageOf(error)}`);
    },
  );
  const files = isFolder ? (await readdir(path)).filter((name) => ENDINGS.test(name)).toSorted() : [];
  const csrs: Csr[] = [];
  for (const file of isFolder ? files.map((name) => join(path, name)) : [path]) csrs.push(...(await csrsIn(file)));
  if (csrs.length === 0) throw new UsageError(`${path}: no CertificateSigningRequest in it`);
  return csrs;
}

async function csrsIn(file: string): Promise<Csr[]> {
  try {
    const documents = parseAllDocuments(await readFile(file, 'utf8'));
    return [...documents].flatMap((document) => {
      const [problem] = document.errors;
      if (problem !== undefined) throw problem;
      return objectsIn(document.toJS() as unknown).map((object) => readCsr(withIdentity(object), true));
    });
  } catch (error) {
    throw new UsageError(`${file}: ${messageOf(error)}`);
  }
}

function objectsIn(value: unknown): unknown[] {
  const items: unknown = typeof value === 'object' && value !== null ? Reflect.get(value, 'items') : undefined;
  return Array.isArray(items) ? items : value === null || value === undefined ? [] : [value];
}

/** One that was written by hand has never been in a cluster. */
function withIdentity(object: unknown): unknown {
  if (typeof object !== 'object' || object === null) throw new TypeError('no Kubernetes object');
  const kind: unknown = Reflect.get(object, 'kind');
  if (kind !== 'CertificateSigningRequest') throw new TypeError(`a ${String(kind)} and no CertificateSigningRequest`);
  const metadata: unknown = Reflect.get(object, 'metadata');
  return { ...object, metadata: { name: 'unnamed', uid: 'none', resourceVersion: '0', ...(metadata as object) } };
}
