import type { ObjectReference } from '../expiry/thing.ts';
import type { EventSink, Notice } from '../ports.ts';
import type { Clock } from '../runtime/clock.ts';
import type { Transport } from './transport.ts';

/** Namespace of the Events: cluster-scoped objects have theirs in `default`, where `kubectl describe` looks. */
const NAMESPACE = 'default';
const PATH = `/apis/events.k8s.io/v1/namespaces/${NAMESPACE}/events`;
const QUIET_MS = 10 * 60_000;
const PER_SECOND = 10;
/** In bytes. */
const LONGEST_NOTE = 1024;
/** Sources that are remembered; past it the oldest is forgotten and may repeat itself. */
const MOST_SOURCES = 10_000;

export interface EventOptions {
  readonly transport: Transport;
  readonly clock: Clock;
  /** Name of this instance, for `reportingInstance`. */
  readonly instance: string;
  /** A unique suffix for the name of each Event. */
  readonly unique: () => string;
  readonly onDropped: (why: 'limited' | 'failed') => void;
}

/** Events at most once per source and reason in ten minutes, and ten a second overall (DESIGN D2). */
export class Events implements EventSink {
  readonly #options: EventOptions;
  readonly #told = new Map<string, number>();
  readonly #stopping = new AbortController();
  readonly #underWay = new Set<Promise<void>>();
  #second = 0;
  #inSecond = 0;

  constructor(options: EventOptions) {
    this.#options = options;
  }

  warn(notice: Notice): boolean {
    const now = this.#options.clock.monotonic();
    const key = `${notice.source} ${notice.reason}`;
    const told = this.#told.get(key);
    if (told !== undefined && now - told < QUIET_MS) return true;
    const second = Math.floor(now / 1000);
    if (second !== this.#second) {
      this.#second = second;
      this.#inSecond = 0;
    }
    if (this.#inSecond >= PER_SECOND) {
      this.#options.onDropped('limited');
      return false;
    }
    this.#inSecond += 1;
    this.#remember(key, now);
    const written = this.#write(notice)
      .catch(() => {
        this.#told.delete(key);
        this.#options.onDropped('failed');
      })
      .finally(() => this.#underWay.delete(written));
    this.#underWay.add(written);
    return true;
  }

  /** Waits for the Events that are being written, until `signal` aborts. */
  async stop(signal: AbortSignal): Promise<void> {
    if (signal.aborted) this.#stopping.abort();
    else signal.addEventListener('abort', () => this.#stopping.abort(), { once: true });
    await Promise.all(this.#underWay);
  }

  #remember(key: string, now: number): void {
    this.#told.delete(key);
    this.#told.set(key, now);
    if (this.#told.size > MOST_SOURCES) {
      const [oldest] = this.#told.keys();
      if (oldest !== undefined) this.#told.delete(oldest);
    }
  }

  async #write(notice: Notice): Promise<void> {
    const at = new Date(this.#options.clock.now()).toISOString().replace('Z', '000Z');
    const regarding = 'csr' in notice ? referenceTo(notice.csr) : notice.object;
    const body = {
      apiVersion: 'events.k8s.io/v1',
      kind: 'Event',
      metadata: { name: `${labelOf(regarding.name)}.${this.#options.unique()}` },
      eventTime: at,
      type: 'Warning',
      reason: notice.reason,
      action: 'Review',
      note: shortened(notice.message),
      reportingController: 'kubelet-bootstrap',
      reportingInstance: this.#options.instance,
      regarding,
    };
    await this.#options.transport.call({ verb: 'create', resource: 'events', path: PATH, body }, this.#stopping.signal);
  }
}

function referenceTo({ name, uid }: { readonly name: string; readonly uid: string }): ObjectReference {
  return { apiVersion: 'certificates.k8s.io/v1', kind: 'CertificateSigningRequest', name, uid };
}

/** CSRs may have names that Events may not: capitals, underscores, 254 characters. */
function labelOf(name: string): string {
  const label = name
    .toLowerCase()
    .replaceAll(/[^a-z0-9-]/g, '-')
    .slice(0, 200)
    .replaceAll(/^-+|-+$/g, '');
  return label === '' ? 'csr' : label;
}

/** Whoever asks chooses part of the message: umlauts must not make it too long to be stored. */
export function shortened(message: string): string {
  const bytes = Buffer.from(message);
  // A character that is cut in two becomes one of three bytes.
  return bytes.length <= LONGEST_NOTE ? message : bytes.subarray(0, LONGEST_NOTE - 3).toString();
}
