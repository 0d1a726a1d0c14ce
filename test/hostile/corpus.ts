/** Requests that no kubelet sends, by systematic change of good ones: the same changes in every run, to new keys. */
import { sign } from 'node:crypto';
import { bitString } from '../../src/pki/der-writer.ts';
import { formatPem } from '../../src/pki/pem.ts';
import {
  buildCsrDer,
  type CsrParts,
  defaultHash,
  testKey,
  type TestKey,
  type TestKeyName,
} from '../support/csr-builder.ts';
import { CHANGES } from './changes.ts';
import { type Change, type DerNode, nodesOf, readTree, writeTree } from './der-tree.ts';

/** A good request, taken to pieces. */
export interface Seed {
  readonly name: string;
  readonly key: TestKey;
  readonly tree: DerNode;
  /** All of the tree. */
  readonly nodes: readonly DerNode[];
}

export interface HostileCase {
  readonly name: string;
  /** As in `spec.request`. */
  readonly request: Uint8Array;
}

const KEYS = ['P-256', 'P-384', 'P-521', 'Ed25519', 'RSA-2048'] as const;
const SERVING: CsrParts = { dns: ['worker-1', 'worker-1.example.org'], ips: ['10.0.0.1', '2001:db8::1'] };

/** A serving request of every kind of key, and a client request. */
export function seeds(): Seed[] {
  return [...KEYS.map((key) => seed(`${key} serving`, key, SERVING)), seed('P-256 client', 'P-256', {})];
}

function seed(name: string, keyName: TestKeyName, parts: CsrParts): Seed {
  const tree = readTree(buildCsrDer({ ...parts, key: keyName }));
  return { name, key: testKey(keyName), tree, nodes: nodesOf(tree) };
}

/** DER of the good request. */
export function goodRequest({ tree }: Seed): Uint8Array {
  return writeTree(tree, NO_CHANGES);
}

/** The request in PEM. */
export function inPem(request: Uint8Array): Uint8Array {
  return Buffer.from(formatPem('CERTIFICATE REQUEST', request));
}

/** DER of the good request with these changes, by path, signed afresh when they are in what is signed. */
export function changed({ tree, key: { privateKey } }: Seed, changes: ReadonlyMap<string, Change>): Uint8Array {
  const [info, algorithm, signature] = tree.children;
  if (info === undefined || algorithm === undefined || signature === undefined) throw new Error('no request');
  const signed = writeTree(info, changes);
  if (Buffer.compare(signed, writeTree(info, NO_CHANGES)) === 0) return writeTree(tree, changes);
  const fresh = readTree(bitString(sign(defaultHash(privateKey), signed, privateKey)), signature.path);
  return writeTree({ ...tree, children: [info, algorithm, fresh] }, changes);
}
const NO_CHANGES: ReadonlyMap<string, Change> = new Map();

/** Changes of the text around the DER. */
const TEXTS: Readonly<Record<string, (pem: string) => string>> = {
  twice: (pem) => pem + pem,
  'no newline at the end': (pem) => pem.trimEnd(),
  'a newline in front': (pem) => `\n${pem}`,
  'a newline behind': (pem) => `${pem}\n`,
  'a word in front': (pem) => `x${pem}`,
  'a line in front': (pem) => `x\n${pem}`,
  'a line behind': (pem) => `${pem}x\n`,
  'a header': (pem) => pem.replace('-----\n', '-----\nProc-Type: 4\n\n'),
  'carriage returns': (pem) => pem.replaceAll('\n', '\r\n'),
  'carriage returns alone': (pem) => pem.replaceAll('\n', '\r'),
  'blanks at the ends of lines': (pem) => pem.replaceAll('\n', ' \n'),
  'tabs in front of lines': (pem) => pem.replaceAll('\n', '\n\t'),
  'one line of base64': (pem) => pem.replaceAll(/(?<!-)\n(?!-)/g, ''),
  'lines of 4': (pem) => pem.replaceAll(/(?<=\n[A-Za-z0-9+/=]*)[A-Za-z0-9+/=]{4}(?!\n)/g, '$&\n'),
  'no padding': (pem) => pem.replace(/=+\n/, '\n'),
  'more padding': (pem) => pem.replace('\n-----END', '=\n-----END'),
  'a letter after the padding': (pem) => pem.replace('\n-----END', 'A\n-----END'),
  'the alphabet of URLs': (pem) => pem.replaceAll('+', '-').replaceAll('/', '_'),
  'another label': (pem) => pem.replaceAll('CERTIFICATE REQUEST', 'NEW CERTIFICATE REQUEST'),
  'the label of a certificate': (pem) => pem.replaceAll('CERTIFICATE REQUEST', 'CERTIFICATE'),
  'a label in lower case': (pem) => pem.replaceAll('CERTIFICATE REQUEST', 'certificate request'),
  'two labels': (pem) => pem.replace('END CERTIFICATE REQUEST', 'END CERTIFICATE'),
  'no end': (pem) => pem.slice(0, pem.indexOf('-----END')),
  'no begin': (pem) => pem.slice(pem.indexOf('\n') + 1),
  'a NUL behind': (pem) => `${pem}\0`,
  'a byte order mark': (pem) => `\xef\xbb\xbf${pem}`,
  'base64 alone': (pem) => pem.replaceAll(/-----.*-----\n/g, ''),
  '20,000 newlines behind': (pem) => pem + '\n'.repeat(20_000),
};

/**
 * The corpus: every change of every value of every good request, its text changed, its bytes cut short, and pairs of
 * changes at places that `random` picks.
 */
export function* hostileRequests(all: readonly Seed[], pairs: number): Generator<HostileCase> {
  for (const seed of all) {
    const good = goodRequest(seed);
    for (const { path, tag } of seed.nodes) {
      for (const [name, change] of CHANGES) {
        const der = changed(seed, new Map([[path, change]]));
        if (Buffer.compare(der, good) === 0) continue;
        yield { name: `${seed.name}: ${path} (tag ${tag.toString(16)}): ${name}`, request: inPem(der) };
      }
    }
    for (const [name, change] of Object.entries(TEXTS)) {
      const pem = change(Buffer.from(inPem(good)).toString('latin1'));
      yield { name: `${seed.name}: ${name}`, request: Buffer.from(pem, 'latin1') };
    }
    for (let length = 0; length < good.length; length += 7) {
      yield { name: `${seed.name}: cut after ${length}`, request: inPem(good.subarray(0, length)) };
    }
  }
  yield* pairsOfChanges(all, pairs);
}

/** Pairs of changes, always the same ones. */
function* pairsOfChanges(all: readonly Seed[], count: number): Generator<HostileCase> {
  const random = lcg(4);
  const names = [...CHANGES.keys()];
  const pick = <T>(from: readonly T[]): T => from[Math.floor(random() * from.length)] as T;
  for (let index = 0; index < count; index += 1) {
    const seed = pick(all);
    const places = [pick(seed.nodes).path, pick(seed.nodes).path];
    const picked = [pick(names), pick(names)];
    const changes = new Map(places.map((path, at) => [path, CHANGES.get(picked[at] ?? '') as Change]));
    const name = `${seed.name}: ${places.map((path, at) => `${path}: ${picked[at]}`).join(' and ')}`;
    yield { name, request: inPem(changed(seed, changes)) };
  }
}

/** Numbers from 0 to 1, the same ones for the same start (the generator of Numerical Recipes, 32 bits). */
function lcg(start: number): () => number {
  let state = start;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}
