/** Objects of a cluster whose `caBundle` ends when a test says. */
import { testAuthority } from './test-authority.ts';

export const DAY_MS = 86_400_000;
export const WEBHOOKS = '/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations';
export const MUTATING = '/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations';
export const DEFINITIONS = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions';
export const API_SERVICES = '/apis/apiregistration.k8s.io/v1/apiservices';

/** PEM of a certificate that its owner made and signed, good for so many days from now of a life of a year. */
export async function selfMade(
  name: string,
  daysLeft: number,
): Promise<{ readonly certPem: string; readonly keyPem: string }> {
  const notAfter = new Date(Date.now() + daysLeft * DAY_MS);
  const notBefore = new Date(Math.min(Date.now(), notAfter.getTime()) - (365 - Math.max(0, daysLeft)) * DAY_MS);
  return testAuthority('P-256', { subject: `CN=${name}`, notBefore, notAfter });
}

const base64 = (text: string): string => Buffer.from(text).toString('base64');

/** A configuration with a webhook that nothing calls, good for both kinds. */
export function webhookConfiguration(name: string, ...bundles: readonly string[]): object {
  return {
    metadata: { name },
    webhooks: bundles.map((bundle, at) => ({
      name: `w${at}.${name}.example.org`,
      admissionReviewVersions: ['v1'],
      sideEffects: 'None',
      failurePolicy: 'Ignore',
      clientConfig: { url: 'https://127.0.0.1:1/', caBundle: base64(bundle) },
      rules: [],
    })),
  };
}

/** A definition in `example.org` that converts by webhook. */
export function convertingDefinition(plural: string, bundle: string): object {
  const schema = { openAPIV3Schema: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true } };
  const names = { plural, singular: plural, kind: plural.replace(/^./, (letter) => letter.toUpperCase()) };
  const clientConfig = { url: 'https://127.0.0.1:1/', caBundle: base64(bundle) };
  return {
    metadata: { name: `${plural}.example.org` },
    spec: {
      group: 'example.org',
      scope: 'Cluster',
      names,
      versions: [{ name: 'v1', served: true, storage: true, schema }],
      conversion: { strategy: 'Webhook', webhook: { conversionReviewVersions: ['v1'], clientConfig } },
    },
  };
}

/** An APIService of a Service that is not there. */
export function apiService(group: string, bundle: string): object {
  return {
    metadata: { name: `v1.${group}` },
    spec: {
      group,
      version: 'v1',
      groupPriorityMinimum: 100,
      versionPriority: 100,
      service: { name: 'nobody', namespace: 'default' },
      caBundle: base64(bundle),
    },
  };
}
