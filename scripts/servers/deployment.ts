/** How the image and the manifests start the service: for what is to run as it does in a cluster. */
import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { parse } from 'yaml';

const ROOT = resolve(import.meta.dirname, '..', '..');

interface Deployment {
  readonly spec: {
    readonly template: {
      readonly spec: { readonly containers: readonly { readonly env: readonly { name: string; value: string }[] }[] };
    };
  };
}

/** The flags that the image starts Node with. */
export function imageFlags(): string[] {
  const entrypoint = /^ENTRYPOINT (.*)$/m.exec(readFileSync(join(ROOT, 'Dockerfile'), 'utf8'))?.[1];
  if (entrypoint === undefined) throw new Error('the Dockerfile has no ENTRYPOINT');
  const [, ...words] = JSON.parse(entrypoint) as string[];
  return words.slice(0, -1);
}

/** The environment that the Deployment gives it. */
export function deploymentEnv(): Record<string, string> {
  const text = readFileSync(join(ROOT, 'manifests', 'base', '40-deployment.yaml'), 'utf8');
  const { env = [] } = (parse(text) as Deployment).spec.template.spec.containers[0] ?? {};
  return Object.fromEntries(env.map(({ name, value }) => [name, value]));
}
