/** Token desk, minter and token cleaner over ports in memory. */
import { type MintedPool, Minter } from '../../src/controllers/minter.ts';
import { TokenCleaner } from '../../src/controllers/token-cleaner.ts';
import { TokenDesk } from '../../src/controllers/token-desk.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { Calls, Reports } from '../support/memory-ports.ts';
import { MemoryPublications, MemoryTokenSecrets } from '../support/memory-tokens.ts';

export const NODE = { kind: 'node', node: 'worker-17' } as const;
export const POOL = { kind: 'pool', pool: 'workers' } as const;
export const NODE_PATH = 'nodes/worker-17';
export const POOL_PATH = 'pools/workers';
export const HOUR = 3_600_000;

export class TokenWorld {
  readonly clock = new FakeClock();
  readonly calls = new Calls();
  readonly secrets = new MemoryTokenSecrets(this.calls);
  readonly publications = new MemoryPublications(this.calls, this.clock);
  readonly reports = new Reports();
  readonly desk: TokenDesk;
  readonly minter: Minter;
  readonly cleaner: TokenCleaner;
  /** How many nodes have used a token. */
  readonly uses = new Map<string, number>();
  /** IDs of tokens that nobody needs any more. */
  readonly spent = new Set<string>();
  /** What the next draws are made of, 32 bytes each; after that every draw is another. */
  readonly draws: Uint8Array[] = [];
  #drawn = 0;

  constructor(options: { pools?: readonly MintedPool[]; dryRun?: boolean } = {}) {
    const { clock, secrets, publications } = this;
    const { telemetry, log } = this.reports;
    this.desk = new TokenDesk({
      secrets,
      publications,
      clock,
      randomBytes: () => {
        this.#drawn += 1;
        const numbered = Uint8Array.from({ length: 32 }, (_, index) => (index < 2 ? this.#drawn : index));
        return this.draws.shift() ?? numbered;
      },
      cluster: { server: 'https://api.example.internal:6443', caCertificate: 'PEM' },
      telemetry,
      log,
    });
    const shared = { tokens: secrets.view, publications, clock, telemetry, log };
    this.minter = new Minter({
      ...shared,
      pools: options.pools ?? [{ name: 'workers', lifetimeMs: 10 * HOUR, uses: undefined }],
      desk: this.desk,
      usesOf: (id) => this.uses.get(id) ?? 0,
    });
    secrets.view.subscribe({ put: () => {}, gone: (token) => this.minter.gone(token) });
    this.cleaner = new TokenCleaner({
      ...shared,
      secrets,
      isSpent: ({ id }) => this.spent.has(id),
      dryRun: options.dryRun ?? false,
    });
    secrets.view.subscribe({
      put: (token) => this.cleaner.changed(token),
      gone: (token) => this.cleaner.changed(token),
    });
  }

  /** Names of the calls so far, in order, reads left out; forgets them. */
  writes(): string[] {
    const writes = this.calls.made.filter((call) => !/^(state|list|get|reveal)/.test(call));
    this.calls.made.length = 0;
    return writes;
  }
}
