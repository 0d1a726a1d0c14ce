import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from 'prom-client';
import { LEVELS } from '../expiry/judge.ts';
import { CLIENT_SIGNER, SERVING_SIGNER, type Telemetry } from '../ports.ts';

/** What the gauges are computed from at each scrape, so that they cannot drift. */
export interface MetricSources {
  /** CSRs in the cluster by signer and state. */
  csrs(): Iterable<{ readonly signer: string; readonly state: string; readonly count: number }>;
  /** Work queues by controller. */
  queues(): Iterable<{
    readonly controller: string;
    readonly depth: number;
    readonly inFlight: number;
    readonly delayed: number;
  }>;
  /** End of the CA in use, ms since the epoch; undefined while none is known. */
  authorityNotAfter(): number | undefined;
  /** Ends of the CAs that sign later or signed before, ms since the epoch. */
  otherAuthorities(): Iterable<{ readonly role: string; readonly notAfter: number }>;
  /** Usable tokens by pool, and when the last to end does, ms since the epoch. */
  pools(): Iterable<{ readonly pool: string; readonly usable: number; readonly expiresAt: number | undefined }>;
  /** False while the config file says something else than what is in force. */
  configCurrent(): boolean;
  /** Keys of the config that admit nearly everything. */
  breadth(): number;
  /** Nodes whose client certificate ends or ended unrenewed. */
  late(): number;
  /** Whether the backend that signs is out. */
  signerHeld(): boolean;
  /** Things with an end, soonest first, and ms until then where it is known. */
  expiring(): Iterable<{
    readonly kind: string;
    readonly name: string;
    readonly level: string;
    readonly leftMs?: number | undefined;
  }>;
  /** When they were last looked at, ms since the epoch. */
  expiryLookedAt(): number | undefined;
  /** What is wrong with Vault, by what was being done. */
  vaultProblems(): Iterable<{ readonly operation: string; readonly why: string }>;
  /** 1 for an informer that is up to date. */
  informers(): Iterable<{ readonly informer: string; readonly fresh: boolean; readonly objects: number }>;
}

/** Whoever may create webhooks and APIServices chooses names: so many of them are samples, those that end soonest. */
const MOST_EXPIRING = 1_000;

const LATENCY_SECONDS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 900];
const CALL_SECONDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];

/** `client`, `serving` or `other`: the closed set behind the label `signer`. */
export function signerLabel(signerName: string): string {
  if (signerName === CLIENT_SIGNER) return 'client';
  return signerName === SERVING_SIGNER ? 'serving' : 'other';
}

/** Every metric of this service, declared once, on a registry of its own. */
export class Metrics implements Telemetry {
  readonly registry = new Registry();
  readonly #decisions = this.#counter('decisions_total', 'Decisions on CSRs', ['signer', 'verdict', 'reason']);
  readonly #remarks = this.#counter('remarks_total', 'Approvals that were worth a remark', ['signer', 'code']);
  readonly #reloadFailures = this.#counter('config_reload_failures_total', 'Config files that were wrong', []);
  readonly #withheld = this.#counter('signatures_withheld_total', 'Approved CSRs that were not signed', [
    'signer',
    'reason',
  ]);
  readonly #failed = this.#counter('failed_total', 'Approved CSRs that were marked Failed', ['signer', 'reason']);
  readonly #notAsPlanned = this.#counter(
    'certificates_not_as_planned_total',
    'Certificates thrown away because they differ from their plan; never expected',
    ['signer'],
  );
  readonly #issued = new Histogram({
    name: 'kubelet_bootstrap_issue_seconds',
    help: 'Seconds from the creation of a CSR to its certificate',
    labelNames: ['signer'],
    buckets: LATENCY_SECONDS,
    registers: [this.registry],
  });
  readonly #removedCsrs = this.#counter('csrs_removed_total', 'CSRs that the cleaner removed', ['why']);
  readonly #removedTokens = this.#counter('tokens_removed_total', 'Tokens that were removed', ['why']);
  readonly #reportedStolen = this.#counter(
    'tokens_reported_stolen_total',
    'Tokens that were revoked because somebody reported them stolen',
    [],
  );
  readonly #minted = this.#counter('tokens_minted_total', 'Tokens that were issued', ['kind']);
  readonly #mintFailures = this.#counter('mint_failures_total', 'Attempts to mint a pool token that failed', ['pool']);
  readonly #retries = this.#counter('retries_total', 'Attempts of a controller that failed and are repeated', [
    'controller',
  ]);
  readonly #events = this.#counter('events_dropped_total', 'Events that were not written', ['why']);
  readonly #apiCalls = this.#calls('api_call_seconds', 'Calls to the API server', ['verb', 'resource', 'status']);
  readonly #vaultCalls = this.#calls('vault_call_seconds', 'Calls to Vault', ['operation', 'outcome']);

  constructor(sources: MetricSources) {
    // In ms; its default of 10 takes a quarter of the CPU of an idle service.
    collectDefaultMetrics({ register: this.registry, eventLoopMonitoringPrecision: 100 });
    this.#gauge('csrs', 'CSRs in the cluster; lower is better', ['signer', 'state'], (set) => {
      for (const { signer, state, count } of sources.csrs()) set({ signer, state }, count);
    });
    this.#gauge('queue_depth', 'Keys that wait for a free place', ['controller'], (set) => {
      for (const { controller, depth } of sources.queues()) set({ controller }, depth);
    });
    this.#gauge('queue_in_flight', 'Keys that are being worked on', ['controller'], (set) => {
      for (const { controller, inFlight } of sources.queues()) set({ controller }, inFlight);
    });
    this.#gauge('queue_delayed', 'Keys that wait for their time', ['controller'], (set) => {
      for (const { controller, delayed } of sources.queues()) set({ controller }, delayed);
    });
    const caEnds = 'End of each CA: role is signing, next or previous';
    this.#gauge('ca_expiry_timestamp_seconds', caEnds, ['role'], (set) => {
      const notAfter = sources.authorityNotAfter();
      if (notAfter !== undefined) set({ role: 'signing' }, notAfter / 1000);
      for (const { role, notAfter: end } of sources.otherAuthorities()) set({ role }, end / 1000);
    });
    this.#gauge('pool_tokens', 'Usable tokens of a pool', ['pool'], (set) => {
      for (const { pool, usable } of sources.pools()) set({ pool }, usable);
    });
    this.#gauge('pool_token_expiry_timestamp_seconds', 'End of the last usable token of a pool', ['pool'], (set) => {
      for (const { pool, expiresAt } of sources.pools()) if (expiresAt !== undefined) set({ pool }, expiresAt / 1000);
    });
    this.#gauge('config_current', '1 while the config file says what is in force', [], (set) => {
      set({}, sources.configCurrent() ? 1 : 0);
    });
    this.#gauge('config_admits_nearly_everything', 'Keys of the config that admit nearly everything', [], (set) => {
      set({}, sources.breadth());
    });
    this.#gauge('signer_held', '1 while nothing can be signed because the CA cannot be used', [], (set) => {
      set({}, sources.signerHeld() ? 1 : 0);
    });
    const whatVaultSaid = 'What the last calls of a kind to Vault came to, where it was no good';
    this.#gauge('vault_problem', whatVaultSaid, ['operation', 'cause'], (set) => {
      for (const { operation, why } of sources.vaultProblems()) set({ operation, cause: why }, 1);
    });
    this.#gauge('nodes_late', 'Nodes whose client certificate ends or ended unrenewed', [], (set) => {
      set({}, sources.late());
    });
    this.#gauge(
      'expiry_seconds',
      'Seconds until it ends, negative after that; the 1,000 that end soonest',
      ['kind', 'name'],
      (set) => {
        let samples = 0;
        for (const { kind, name, leftMs } of sources.expiring()) {
          if (leftMs === undefined) continue;
          samples += 1;
          if (samples > MOST_EXPIRING) break;
          set({ kind, name }, leftMs / 1000);
        }
      },
    );
    this.#gauge('expiry_things', 'Things with an end, by how near it is', ['kind', 'level'], (set) => {
      const things = [...sources.expiring()];
      const levels = Object.keys(LEVELS);
      for (const [kind, those] of Map.groupBy(things, (thing) => thing.kind)) {
        for (const level of levels) set({ kind, level }, those.filter((thing) => thing.level === level).length);
      }
    });
    this.#gauge('expiry_looked_timestamp_seconds', 'When everything with an end was last looked at', [], (set) => {
      const at = sources.expiryLookedAt();
      if (at !== undefined) set({}, at / 1000);
    });
    this.#gauge('informer_fresh', '1 while the copy of the objects is up to date', ['informer'], (set) => {
      for (const { informer, fresh } of sources.informers()) set({ informer }, fresh ? 1 : 0);
    });
    this.#gauge('informer_objects', 'Objects in the copy', ['informer'], (set) => {
      for (const { informer, objects } of sources.informers()) set({ informer }, objects);
    });
  }

  decided(signerName: string, verdict: 'approve' | 'wait' | 'deny', reason: string): void {
    this.#decisions.inc({ signer: signerLabel(signerName), verdict, reason });
  }

  issued(signerName: string, seconds: number): void {
    this.#issued.observe({ signer: signerLabel(signerName) }, Math.max(0, seconds));
  }

  reloadFailed(): void {
    this.#reloadFailures.inc();
  }

  remarked(signerName: string, code: string): void {
    this.#remarks.inc({ signer: signerLabel(signerName), code });
  }

  withheld(signerName: string, reason: string): void {
    this.#withheld.inc({ signer: signerLabel(signerName), reason });
  }

  failed(signerName: string, reason: string): void {
    this.#failed.inc({ signer: signerLabel(signerName), reason });
  }

  notAsPlanned(signerName: string): void {
    this.#notAsPlanned.inc({ signer: signerLabel(signerName) });
  }

  removedCsr(why: string): void {
    this.#removedCsrs.inc({ why });
  }

  removedToken(why: string): void {
    this.#removedTokens.inc({ why });
  }

  reportedStolen(): void {
    this.#reportedStolen.inc();
  }

  minted(kind: string): void {
    this.#minted.inc({ kind });
  }

  mintFailed(pool: string): void {
    this.#mintFailures.inc({ pool });
  }

  retried(controller: string): void {
    this.#retries.inc({ controller });
  }

  eventDropped(why: string): void {
    this.#events.inc({ why });
  }

  apiCall(call: { verb: string; resource: string; status: string; seconds: number }): void {
    const { verb, resource, status, seconds } = call;
    this.#apiCalls.observe({ verb, resource, status }, seconds);
  }

  vaultCall(call: { operation: string; outcome: string; seconds: number }): void {
    const { operation, outcome, seconds } = call;
    this.#vaultCalls.observe({ operation, outcome }, seconds);
  }

  #counter(name: string, help: string, labelNames: string[]): Counter {
    return new Counter({ name: `kubelet_bootstrap_${name}`, help, labelNames, registers: [this.registry] });
  }

  #calls(name: string, help: string, labelNames: string[]): Histogram {
    const registers = [this.registry];
    return new Histogram({ name: `kubelet_bootstrap_${name}`, help, labelNames, buckets: CALL_SECONDS, registers });
  }

  #gauge(
    name: string,
    help: string,
    labelNames: string[],
    collect: (set: (labels: Record<string, string>, value: number) => void) => void,
  ): void {
    const gauge: Gauge = new Gauge({
      name: `kubelet_bootstrap_${name}`,
      help,
      labelNames,
      registers: [this.registry],
      collect: () => {
        gauge.reset();
        // A gauge without labels is reset to 0, and a CA that is not known did not end in 1970.
        gauge.remove({});
        collect((labels, value) => gauge.set(labels, value));
      },
    });
  }
}
