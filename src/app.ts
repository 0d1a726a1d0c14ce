/** The composition root: from a config to the wired service. */
import { breadthOf, type Config, runningControllers } from './config.ts';
import { allOrEveryProblem, messageOf } from './errors.ts';
import { tokenListWatch } from './kubernetes/token-secrets.ts';
import type { HealthCheck } from './ops/health.ts';
import { Metrics } from './ops/metrics.ts';
import { OpsServer } from './ops/server.ts';
import type { CertificateSigner, Log } from './ports.ts';
import { type Clock, deadline } from './runtime/clock.ts';
import type { Controller } from './runtime/controller.ts';
import { Foreground } from './runtime/foreground.ts';
import type { Informer } from './runtime/informer.ts';
import { type Part, startAll } from './runtime/lifecycle.ts';
import type { TokenRecord } from './tokens/token-secret.ts';
import { GivenAddresses } from './controllers/given-addresses.ts';
import { addressSide } from './wiring/addresses.ts';
import { type CaSide, caSide } from './wiring/cas.ts';
import { checkFiles, openCluster, openTokenDesk, openVault, type Vault } from './wiring/connections.ts';
import { type Context, informerOf } from './wiring/context.ts';
import { type CsrSide, csrSide } from './wiring/csrs.ts';
import { type NodeState, nodeState } from './wiring/node-state.ts';
import { type ExpirySide, expirySide } from './wiring/expiry.ts';
import { ConfigInForce } from './wiring/reload.ts';
import { gaugesOf, type Observed } from './wiring/gauges.ts';
import { type TokenSide, tokenSide } from './wiring/tokens.ts';
import { type WatchedBackend, watched } from './wiring/watched-backend.ts';

export interface AppOptions {
  readonly config: Config;
  readonly clock: Clock;
  readonly random: () => number;
  readonly log: Log;
  /** Reads the config again, for what can be put in force without a restart; never where it is undefined. */
  readonly reload?: () => Promise<Config>;
}

export interface RunningApp {
  /** Port of /livez, /readyz and /metrics. */
  readonly opsPort: number;
  /** Finishes what is in hand within the configured time. Never rejects. */
  stop(): Promise<void>;
}

/**
 * Wires the service and starts it. Resolves when it runs, whether or not the API server and Vault can be reached: it
 * waits for them and says so in /readyz. Throws ConfigError for what the config got wrong.
 */
export async function startApp(options: AppOptions): Promise<RunningApp> {
  const { config, log } = options;
  const { parts, ops } = await wire(options);
  let opsPort = 0;
  const server: Part = {
    name: 'ops server',
    start: async () => {
      opsPort = await ops.start();
    },
    stop: () => ops.stop(),
  };
  const stop = await startAll([server, ...parts], (name, error) => {
    log.error({ part: name, error: messageOf(error) }, 'part did not stop cleanly');
  });
  const controllers = [...runningControllers(config)];
  for (const { path, message } of breadthOf(config)) log.warn({ path }, `admits nearly everything: ${message}`);
  log.info({ mode: config.mode, controllers, opsPort }, 'service started');
  return { opsPort, stop: () => stop(deadline(config.ops.shutdown)) };
}

async function wire(options: AppOptions): Promise<{ parts: readonly Part[]; ops: OpsServer }> {
  const { config, clock, log } = options;
  let cas: CaSide | undefined;
  let csrs: CsrSide | undefined;
  let expiry: ExpirySide | undefined;
  const controllers: Controller[] = [];
  const informers: Observed['informers'][number][] = [];
  const metrics: Metrics = new Metrics(
    gaugesOf({
      csrs: () => requireWired(csrs).csrs,
      tokens: () => tokens,
      pools: Object.keys(config.pools),
      controllers,
      informers,
      authorityNotAfter: () => backend.notAfter(),
      otherAuthorities: () => requireWired(cas).watch.otherEnds(),
      configCurrent: () => inForce.current,
      breadth: () => breadthOf(inForce.config).length,
      late: () => state.late(),
      signerHeld: () => requireWired(csrs).signerHeld() || backend.isSick(),
      expiry: () => requireWired(expiry).watch,
      vaultProblems: () => vault?.problems() ?? [],
      now: () => clock.now(),
    }),
  );
  const inForce: ConfigInForce = new ConfigInForce(config, { clock, log, metrics });
  const context: Context = { ...options, foreground: new Foreground(clock), metrics };
  const observers = {
    onApiCall: metrics.apiCall.bind(metrics),
    onVaultCall: metrics.vaultCall.bind(metrics),
  };

  const [cluster, vault] = await allOrEveryProblem([
    Promise.resolve().then(() => openCluster(config, clock, observers)),
    config.vault === undefined ? undefined : openVault(config, clock, observers, { holdsBack: true }),
    checkFiles(config),
  ]);
  const tokens: Informer<TokenRecord> = informerOf(context, 'tokens', tokenListWatch(cluster.transport));
  cas = caSide(context, cluster.transport, inForce, vault);
  const backend: WatchedBackend = watched(cas.backend, clock, log);
  const state: NodeState = nodeState(context, cluster.transport, tokens);
  const given = new GivenAddresses(tokens);
  tokens.subscribe({ put: (token, before) => given.put(token, before), gone: (token) => given.gone(token) });
  const { records, nodes } = state;
  const addresses = await addressSide(context, cluster.transport, { records, nodes, given });
  csrs = csrSide(context, cluster.transport, tokens, inForce, state, addresses.sources, backend.backend);
  const { transport } = cluster;
  expiry = expirySide(context, { transport, authorities: cas.authorities, vault }, csrs.events);
  tokens.subscribe({ put: csrs.tokenChanged, gone: csrs.tokenChanged });
  tokens.subscribe({ put: () => {}, gone: (token) => countStolen(token, context) });
  const minted: TokenSide =
    vault === undefined
      ? { controllers: [], parts: [] }
      : tokenSide(
          context,
          cluster.transport,
          tokens,
          vault,
          state,
          config.controllers.includes('minter')
            ? await openTokenDesk(config, clock, cluster, vault, { telemetry: metrics, log })
            : undefined,
        );
  const watches = [...csrs.informers, tokens, state.informer, state.nodes];
  informers.push(...watches);
  controllers.push(...csrs.controllers, ...minted.controllers);

  const close: Part = {
    name: 'connections',
    start: () => {},
    stop: async () => {
      vault?.session.stop();
      await cluster.transport.close();
    },
  };
  const parts = [
    close,
    ...watches.map(partOfInformer),
    ...state.parts,
    ...addresses.parts,
    ...(options.reload === undefined ? [] : [inForce.part(options.reload)]),
    ...(runningControllers(config).has('signer') ? cas.parts : []),
    ...csrs.parts,
    ...(runningControllers(config).has('signer') ? [backend.part] : []),
    ...controllers.map((controller) =>
      partOfController(controller, Promise.all([addresses.tried, ...watches.map(({ synced }) => synced)])),
    ),
    ...minted.parts,
    ...expiry.parts,
  ];
  const readiness = healthChecks(config, watches, vault, backend.backend);
  return { parts, ops: new OpsServer({ listen: config.ops.listen, registry: metrics.registry, readiness }) };
}

function requireWired<T>(part: T | undefined): T {
  if (part === undefined) throw new TypeError('used before it was wired');
  return part;
}

/** The admin's command leaves its mark on the Secret before that goes. */
function countStolen({ id, reportedStolen }: TokenRecord, { metrics, log }: Context): void {
  if (!reportedStolen) return;
  metrics.reportedStolen();
  log.warn({ tokenId: id }, 'token was reported stolen and is revoked');
}

function healthChecks(
  config: Config,
  informers: readonly Pick<Informer<unknown>, 'name' | 'fresh'>[],
  vault: Vault | undefined,
  backend: CertificateSigner,
): HealthCheck[] {
  const checks: HealthCheck[] = informers.map((informer) => ({
    name: `informer-${informer.name}`,
    check: () => (informer.fresh() ? undefined : 'no complete, recent copy of the objects'),
  }));
  if (vault !== undefined) checks.push({ name: 'vault', check: (signal) => vault.session.check(signal) });
  if (runningControllers(config).has('signer')) {
    checks.push({
      name: 'authority',
      check: async (signal) => {
        await backend.authority(signal);
        return backend.problem(signal);
      },
    });
  }
  return checks;
}

function partOfInformer(informer: Pick<Informer<unknown>, 'name' | 'start' | 'stop'>): Part {
  return { name: `informer ${informer.name}`, start: () => informer.start(), stop: () => informer.stop() };
}

function partOfController({ name, queue }: Controller, synced: Promise<unknown>): Part {
  return {
    name: `controller ${name}`,
    start: () => void synced.then(() => queue.start()),
    stop: (signal) => queue.stop(signal),
  };
}
