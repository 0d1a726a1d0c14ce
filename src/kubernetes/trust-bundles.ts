/** Objects with a `caBundle`, by which the API server checks whom it calls. Lists in pages; nothing is watched. */
import { bundleReading, readPem } from '../expiry/certificates.ts';
import type { ExpiryKind, Reading, Thing } from '../expiry/thing.ts';
import type { ExpirySource } from '../ports.ts';
import type { Clock } from '../runtime/clock.ts';
import { listAll } from './list-watch.ts';
import type { Transport } from './transport.ts';
import { listAt, objectAt, readMeta, textAt, type WireObject } from './wire.ts';

interface Bundle {
  /** What it is for, where the object has several. */
  readonly use: string;
  readonly clientConfig: WireObject;
}

interface Holder {
  readonly kind: ExpiryKind;
  readonly group: string;
  readonly object: string;
  readonly resource: string;
  /** Objects of a page. Schemas make some of them large. */
  readonly page?: number;
  readonly bundles: (object: WireObject) => readonly Bundle[];
}

const ADMISSION = 'admissionregistration.k8s.io/v1';

const HOLDERS: readonly Holder[] = [
  {
    kind: 'validating-webhook',
    group: ADMISSION,
    object: 'ValidatingWebhookConfiguration',
    resource: 'validatingwebhookconfigurations',
    bundles: ofWebhooks,
  },
  {
    kind: 'mutating-webhook',
    group: ADMISSION,
    object: 'MutatingWebhookConfiguration',
    resource: 'mutatingwebhookconfigurations',
    bundles: ofWebhooks,
  },
  {
    kind: 'conversion-webhook',
    group: 'apiextensions.k8s.io/v1',
    object: 'CustomResourceDefinition',
    resource: 'customresourcedefinitions',
    page: 50,
    bundles: ofDefinition,
  },
  {
    kind: 'api-service',
    group: 'apiregistration.k8s.io/v1',
    object: 'APIService',
    resource: 'apiservices',
    bundles: ofService,
  },
];

function ofWebhooks(object: WireObject): Bundle[] {
  return listAt(object['webhooks']).map((webhook) => {
    const { name, clientConfig } = objectAt(webhook);
    return { use: textAt(name), clientConfig: objectAt(clientConfig) };
  });
}

function ofDefinition(object: WireObject): Bundle[] {
  const conversion = objectAt(objectAt(object['spec'])['conversion']);
  if (conversion['strategy'] !== 'Webhook') return [];
  return [{ use: '', clientConfig: objectAt(objectAt(conversion['webhook'])['clientConfig']) }];
}

/** Those without a Service are answered by the API server itself. */
function ofService(object: WireObject): Bundle[] {
  const spec = objectAt(object['spec']);
  return spec['service'] === undefined || spec['service'] === null ? [] : [{ use: '', clientConfig: spec }];
}

/** One source for each kind of these objects. */
export function trustBundles(transport: Transport, clock: Pick<Clock, 'now'>): ExpirySource[] {
  return HOLDERS.map((holder) => {
    const { kind, group, resource, page } = holder;
    return {
      kind,
      read: async (signal) => {
        const now = clock.now();
        const path = `/apis/${group}/${resource}`;
        // Read into the few facts at once: the texts of 2,000 bundles are not kept.
        const read = (object: unknown): Thing[] => thingsOf(holder, object, now);
        return (await listAll({ transport, resource, path, selectors: {}, page, read }, signal)).flat();
      },
    };
  });
}

/** One for each bundle that differs: most configurations have the same in all of their webhooks. */
function thingsOf({ kind, group, object: objectKind, bundles }: Holder, wire: unknown, now: number): Thing[] {
  const { name, uid } = readMeta(wire);
  const object = { apiVersion: group, kind: objectKind, name, uid };
  const byText = new Map<string, Bundle>();
  for (const bundle of bundles(objectAt(wire))) {
    const text = keyOf(bundle);
    if (!byText.has(text)) byText.set(text, bundle);
  }
  return [...byText.values()].map((bundle, at) => ({
    kind,
    // The first has the name of the object alone, and keeps it when others come.
    name: at === 0 ? name : `${name}/${bundle.use}`,
    object,
    reading: readingOf(bundle, byText.size > 1, now),
  }));
}

function keyOf({ clientConfig }: Bundle): string {
  return `${textAt(clientConfig['caBundle'])} ${clientConfig['insecureSkipTLSVerify'] === true}`;
}

function readingOf({ use, clientConfig }: Bundle, several: boolean, now: number): Reading {
  if (clientConfig['insecureSkipTLSVerify'] === true) {
    return { kind: 'none', note: 'insecureSkipTLSVerify: no certificate is checked' };
  }
  const base64 = textAt(clientConfig['caBundle']);
  if (base64 === '') return { kind: 'none', note: "no caBundle: checked with the API server's own list of CAs" };
  const reading = bundleReading(readPem(Buffer.from(base64, 'base64').toString('latin1')), now);
  return several ? { ...reading, note: `${use}: ${reading.note}` } : reading;
}
