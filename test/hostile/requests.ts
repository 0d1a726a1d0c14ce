/** Requests of every kind of wrong, by chance. */
import * as fc from 'fast-check';
import { buildCsrDer, testKey } from '../support/csr-builder.ts';
import { CHANGES } from './changes.ts';
import { changed, goodRequest, inPem, type Seed } from './corpus.ts';
import type { Change } from './der-tree.ts';

/** Bytes as in `spec.request`: good requests with changed values, bytes or fields, and now and then no request at all. */
export function anyRequest(all: readonly Seed[]): fc.Arbitrary<Uint8Array> {
  const seed = fc.constantFrom(...all);
  const der = fc.oneof(
    { weight: 6, arbitrary: seed.chain(withChanges) },
    { weight: 2, arbitrary: edited(seed.map(goodRequest)) },
    { weight: 1, arbitrary: edited(seed.chain(withChanges)) },
    { weight: 2, arbitrary: withFields },
  );
  return fc.oneof(
    { weight: 20, arbitrary: der.map(inPem) },
    { weight: 1, arbitrary: edited(der.map(inPem)) },
    { weight: 1, arbitrary: fc.uint8Array({ maxLength: 300 }).map(inPem) },
    { weight: 1, arbitrary: fc.uint8Array({ maxLength: 300 }) },
  );
}

/** One to four changes of values, signed afresh. */
function withChanges(seed: Seed): fc.Arbitrary<Uint8Array> {
  const place = fc.constantFrom(...seed.nodes.map(({ path }) => path));
  const change: fc.Arbitrary<readonly [string, Change]> = fc.constantFrom(...CHANGES);
  return fc
    .array(fc.tuple(place, change), { minLength: 1, maxLength: 4 })
    .map((changes) => changed(seed, new Map(changes.map(([path, [, change]]) => [path, change]))));
}

/** Octets overwritten, put in and taken out, with no respect for what they are. */
function edited(bytes: fc.Arbitrary<Uint8Array>): fc.Arbitrary<Uint8Array> {
  const edit = fc.record({ at: fc.nat(), remove: fc.nat(4), insert: fc.uint8Array({ maxLength: 4 }) });
  return fc.tuple(bytes, fc.array(edit, { minLength: 1, maxLength: 6 })).map(([bytes, edits]) =>
    edits.reduce((found, { at, remove, insert }) => {
      const start = at % (found.length + 1);
      return Buffer.concat([found.subarray(0, start), insert, found.subarray(start + remove)]);
    }, bytes),
  );
}

const label = fc.stringMatching(/^[a-z0-9]([a-z0-9-]{0,8}[a-z0-9])?$/);
const dnsName = fc.array(label, { minLength: 1, maxLength: 4 }).map((labels) => labels.join('.'));
const name = fc.oneof(
  { weight: 20, arbitrary: dnsName },
  { weight: 1, arbitrary: fc.string() },
  { weight: 1, arbitrary: fc.stringMatching(/^[-a-zA-Z0-9_.*]{0,12}$/) },
);
const address = fc.oneof(
  { weight: 10, arbitrary: fc.uint8Array({ minLength: 4, maxLength: 4 }) },
  { weight: 10, arbitrary: fc.uint8Array({ minLength: 16, maxLength: 16 }) },
  { weight: 1, arbitrary: fc.uint8Array({ maxLength: 20 }) },
);
/** Well-formed on the outside, with fields that are mostly good. */
const withFields = fc
  .record({
    commonName: fc.oneof(dnsName, fc.string({ unit: 'grapheme' })).map((text) => `system:node:${text}`),
    organization: fc.oneof(
      { weight: 9, arbitrary: fc.constant('system:nodes') },
      { weight: 1, arbitrary: fc.string() },
    ),
    dns: fc.array(name, { maxLength: 6 }),
    ips: fc.array(address, { maxLength: 6 }),
  })
  .map((parts) => buildCsrDer({ ...parts, key: testKey('Ed25519') }));
