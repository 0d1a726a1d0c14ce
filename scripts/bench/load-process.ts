/** Makes the load of the bench (`load-calls.ts`), told by its parent what to do. Its first message is its settings. */
import PQueue from 'p-queue';
import { CLIENT_SIGNER } from '../../src/ports.ts';
import { buildCsrPem } from '../../test/support/csr-builder.ts';
import { csrBody, SERVING } from '../../test/support/crowd.ts';
import { HttpsClient } from '../servers/https-client.ts';
import { readKubeconfig } from '../servers/kubeconfig.ts';
import { type Following, follow } from './following.ts';
import { certifier, type Identity, nodeIdentity, tokenIdentities } from './identities.ts';
import type { Answer, Call, Kind, LoadCalls, LoadSettings } from './load-calls.ts';

const AT_ONCE = 16;
const SAMPLE_MS = 250;

const nameOf = (kind: Kind, node: string): string => `${kind}-${node}`;
const addressOf = (index: number): string => `10.${index >> 16}.${(index >> 8) & 255}.${index & 255}`;
const wait = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

function load(settings: LoadSettings, seen: Following): LoadCalls {
  const byToken = tokenIdentities(settings);
  const certificate = certifier(settings.ca);
  const createdAt = new Map<string, number>();
  let samples: number[] = [];
  let beating: AbortController | undefined;
  let addresses = 0;
  setInterval(() => samples.push(createdAt.size - seen.issuedAt.size), SAMPLE_MS).unref();

  const identityOf = (kind: Kind, node: string): Identity => {
    if (kind === 'pool') return byToken(settings.poolToken);
    if (kind === 'exact') return byToken(settings.exactTokens[node] ?? '');
    return nodeIdentity(settings, certificate(node));
  };
  const create = async (kind: Kind, node: string, by: Identity, name = nameOf(kind, node)): Promise<void> => {
    const commonName = `system:node:${node}`;
    const serves = kind === 'serving';
    const pem = buildCsrPem(serves ? { commonName, dns: [node], ips: [addressOf((addresses += 1))] } : { commonName });
    const options = serves ? SERVING : { signerName: CLIENT_SIGNER, expirationSeconds: 86_400 };
    createdAt.set(name, performance.now());
    await by.create(csrBody(name, pem, options));
  };
  const createOne = async (kind: Kind, node: string): Promise<void> => {
    const by = identityOf(kind, node);
    await create(kind, node, by);
    await by.close();
  };
  /** Calls `start` at its time for each, while it `goesOn`, and waits for all. */
  const paced = async (
    count: number,
    perSecond: number,
    start: (index: number) => Promise<void>,
    goesOn = (): boolean => true,
  ): Promise<void> => {
    const from = performance.now();
    const started: Promise<void>[] = [];
    for (let index = 0; index < count && goesOn(); index += 1) {
      const left = from + (index * 1_000) / perSecond - performance.now();
      if (left > 0) await wait(left);
      started.push(start(index));
    }
    await Promise.all(started);
  };

  return {
    make: async (kind, nodes) => {
      const gate = new PQueue({ concurrency: AT_ONCE });
      await gate.addAll(nodes.map((node) => () => createOne(kind, node)));
    },
    oneByOne: async (kind, nodes, mostMs, apartMs = 0) => {
      const endAt = performance.now() + mostMs;
      for (const node of nodes) {
        if (apartMs > 0) await wait(apartMs);
        await createOne(kind, node);
        if (!(await seen.until(() => seen.issuedAt.has(nameOf(kind, node)), endAt - performance.now()))) return;
      }
    },
    pace: (kind, nodes, perSecond) => paced(nodes.length, perSecond, (index) => createOne(kind, nodes[index] ?? '')),
    paceUntilGone: (kind, prefix, perSecond, count, mostMs) => {
      const endAt = performance.now() + mostMs;
      const goesOn = (): boolean => seen.gone.count < count && performance.now() < endAt;
      return paced(Infinity, perSecond, (index) => createOne(kind, `${prefix}-${index}`), goesOn);
    },
    flood: async (node, count, perSecond) => {
      const by = identityOf('renewal', node);
      await paced(count, perSecond, (index) => create('renewal', node, by, `flood-${index}`));
      await by.close();
    },
    join: async (nodes, mostMs) => {
      const serving = new PQueue({ concurrency: AT_ONCE });
      const failed = Promise.withResolvers<never>();
      const serve = async (node: string, pem: string): Promise<void> => {
        const by = nodeIdentity(settings, pem);
        await create('serving', node, by);
        await by.close();
      };
      for (const node of nodes) {
        seen.once(nameOf('pool', node), (pem) => void serving.add(() => serve(node, pem)).catch(failed.reject));
      }
      const gate = new PQueue({ concurrency: AT_ONCE });
      await gate.addAll(nodes.map((node) => () => createOne('pool', node)));
      return Promise.race([failed.promise, seen.until(() => seen.issuedOf('serving') >= nodes.length, mostMs)]);
    },
    issued: (kind, count, mostMs) => seen.until(() => seen.issuedOf(kind) >= count, mostMs),
    waited: (kind) =>
      Promise.resolve(
        [...createdAt]
          .filter(([name]) => name.startsWith(kind))
          .map(([name, at]) => ({
            node: name.slice(kind.length + 1),
            createdAt: at,
            issuedAt: seen.issuedAt.get(name),
          })),
      ),
    gone: async (count, mostMs) => {
      await seen.until(() => seen.gone.count >= count, mostMs);
      return { count: seen.gone.count, ms: seen.gone.lastAt - seen.gone.firstAt };
    },
    inFlight: () => Promise.resolve(samples),
    heartbeats: (nodes, perSecond) => {
      const admin = new HttpsClient(readKubeconfig(settings.kubeconfig));
      const beats = new AbortController();
      beating = beats;
      const beat = async (): Promise<void> => {
        for (let index = 0; !beats.signal.aborted; index += 1) {
          const node = nodes[index % nodes.length] ?? '';
          const conditions = [{ type: 'Ready', status: 'True', lastHeartbeatTime: new Date().toISOString() }];
          const patch = { status: { conditions } };
          await admin.send('PATCH', `/api/v1/nodes/${node}/status`, patch, 'application/strategic-merge-patch+json');
          await wait(1_000 / perSecond);
        }
        await admin.close();
      };
      void beat();
      return Promise.resolve();
    },
    forget: () => {
      createdAt.clear();
      seen.forget();
      samples = [];
      beating?.abort();
      return Promise.resolve();
    },
  };
}

process.once('message', (settings: LoadSettings) => {
  const ready = follow(settings.kubeconfig).then((seen) => load(settings, seen));
  process.on('message', ({ id, name, args }: Call) => {
    const answer = async (): Promise<Answer> => {
      try {
        const calls = (await ready) as unknown as Record<string, (...given: readonly unknown[]) => Promise<unknown>>;
        return { id, value: await calls[name]?.(...args) };
      } catch (error) {
        return { id, error: String(error) };
      }
    };
    void answer().then((value) => process.send?.(value));
  });
});
process.on('disconnect', () => process.exit());
