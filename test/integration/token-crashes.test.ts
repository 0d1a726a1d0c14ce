import { expect } from 'chai';
import { after, before, describe, it } from 'mocha';
import { Minter } from '../../src/controllers/minter.ts';
import { TokenCleaner } from '../../src/controllers/token-cleaner.ts';
import { TokenDesk } from '../../src/controllers/token-desk.ts';
import { connectCluster } from '../../src/kubernetes/kubeconfig.ts';
import { tokenSecrets } from '../../src/kubernetes/token-secrets.ts';
import type { Transport } from '../../src/kubernetes/transport.ts';
import { systemClock } from '../../src/runtime/clock.ts';
import { type Binding, groupOfBinding } from '../../src/tokens/binding.ts';
import { type TokenRecord, vaultPathOfBinding } from '../../src/tokens/token-secret.ts';
import { KeyValue, type VaultCaller } from '../../src/vault/key-value.ts';
import { VaultTokenPublications } from '../../src/vault/token-publications.ts';
import { type Fault, FaultyWays } from '../support/fault-points.ts';
import { Reports, View } from '../support/memory-ports.ts';
import { requireControlPlane } from '../support/servers.ts';
import { tokenShelf, type TokenShelf } from '../support/token-shelf.ts';
import { MOUNT, RealVault } from '../vault/real-vault.ts';

const never = new AbortController().signal;
const HOUR = 3_600_000;
/** Past the time that a publication may take, and past that in which a watch may lag. */
const LATER_MS = 6 * 60_000;
const later = { ...systemClock, now: () => systemClock.now() + LATER_MS };
/** More calls than any of the work makes. */
const MOST_CALLS = 40;
/** The token of who overtakes, and the one that the minter puts in its place, since half its life is over. */
const OVERTAKEN = 2;

interface Ways {
  readonly transport: Transport;
  readonly vault: VaultCaller;
}

describe('tokens on the real API server and OpenBao, cut short at every single call', function () {
  this.timeout(120_000);
  const controlPlane = requireControlPlane();
  const real = new RealVault();
  let transport: Transport;
  let shelf: TokenShelf;
  let count = 0;

  before(() => {
    const options = { clock: systemClock, timeoutMs: 30_000, connections: 8, onCall: () => {} };
    ({ transport } = connectCluster(controlPlane().adminKubeconfig, options));
    shelf = tokenShelf(controlPlane(), real.bao, '', MOUNT);
  });
  after(async () => {
    await transport.close();
    await shelf.close();
  });

  /** Desk, minter and cleaner of one process; its store is what the API server has now. */
  async function processOf({ transport: api, vault }: Ways, prefix: string, pool: string) {
    const reports = new Reports();
    const { telemetry, log } = reports;
    const secrets = tokenSecrets(api);
    const publications = new VaultTokenPublications(new KeyValue(vault, MOUNT), prefix, systemClock);
    const desk = new TokenDesk({
      secrets,
      publications,
      clock: systemClock,
      randomBytes: (length) => crypto.getRandomValues(new Uint8Array(length)),
      cluster: { server: 'https://api.example.internal:6443', caCertificate: 'PEM' },
      telemetry,
      log,
    });
    const tokens = new View<TokenRecord>();
    const group = groupOfBinding({ kind: 'pool', pool });
    for (const token of await tokenSecrets(transport).list(never)) {
      if (token.groups.includes(group)) tokens.put(token.id, token);
    }
    const shared = { tokens, publications, telemetry, log };
    const pools = [{ name: pool, lifetimeMs: 4 * HOUR, uses: undefined }];
    const minter = new Minter({ ...shared, pools, desk, usesOf: () => 0, clock: systemClock });
    const cleaner = new TokenCleaner({ ...shared, secrets, isSpent: () => false, dryRun: false, clock: later });
    return { desk, minter, cleaner, secrets };
  }
  const unhurt = (): Ways => ({ transport, vault: real.open() });
  const poolOf = (pool: string): Binding => ({ kind: 'pool', pool });

  /** The promise of DESIGN D11: what a machine would fetch at this moment logs in. */
  async function expectWorks(prefix: string, binding: Binding): Promise<string | undefined> {
    const { status, data } = await shelf.entry(`${prefix}/${vaultPathOfBinding(binding)}`);
    if (status !== 200) return undefined;
    const [id = '', secret] = (data?.['token'] ?? '').split('.');
    const stored = await shelf.secret(id);
    expect(stored?.data['token-secret'], `the Secret of ${id}, which can be fetched`).to.equal(secret);
    expect(Date.parse(stored?.data['expiration'] ?? '')).to.be.greaterThan(Date.now());
    return id;
  }

  /** What the service does within one cycle after it was started again. */
  async function cycle(prefix: string, pool: string): Promise<void> {
    for (const step of ['mint', 'sweep', 'mint'] as const) {
      const { minter, cleaner } = await processOf(unhurt(), prefix, pool);
      if (step === 'mint') await minter.reconcile(pool, never);
      else await cleaner.sweep(never);
      await expectWorks(prefix, poolOf(pool));
    }
  }

  /** `most` Secrets may be there in the end; every one is whole, and one of them can be fetched. */
  async function expectClean(prefix: string, pool: string, most: number): Promise<void> {
    expect(await expectWorks(prefix, poolOf(pool)), 'a token can be fetched').not.to.equal(undefined);
    const left = await shelf.secretsOf(groupOfBinding(poolOf(pool)));
    expect(left.length).to.be.within(1, most);
    for (const { metadata } of left) {
      expect(metadata.annotations).not.to.have.property('kubelet-bootstrap/publishing-until');
    }
    const path = `${MOUNT}/metadata/${prefix}/pools/${pool}`;
    const { data } = (await real.bao.root('GET', path)) as { data: { versions: object } };
    expect(Object.keys(data.versions).length, 'versions in Vault').to.equal(1);
    for (const { data: token } of left) await shelf.removeSecret(token['token-id'] ?? '');
  }

  const works = {
    mint: { before: 0, run: ({ minter }, pool) => minter.reconcile(pool, never) },
    rotate: { before: 1, run: ({ minter }, pool) => minter.reconcile(pool, never) },
    // The service beside it is to mint another then.
    revoke: {
      before: 1,
      run: async ({ desk, secrets }, pool) => {
        const group = groupOfBinding(poolOf(pool));
        const held = (await secrets.list(never)).filter(({ groups }) => groups.includes(group));
        for (const record of held) await desk.revoke(record, never);
      },
    },
  } as const satisfies Record<
    string,
    {
      readonly before: number;
      readonly run: (all: Awaited<ReturnType<typeof processOf>>, pool: string) => Promise<unknown>;
    }
  >;
  const faults: Fault[] = ['killed before', 'killed after', 'answer lost', 'refused', 'overtaken'];

  for (const [name, { before: issued, run }] of Object.entries(works)) {
    for (const fault of faults) {
      it(`${name}, ${fault} each call in turn: what can be fetched works, and a cycle later nothing is left behind`, async () => {
        let points = 0;
        for (let at = 0; at < MOST_CALLS; at += 1) {
          count += 1;
          const [prefix, pool] = [`crash-${count}`, `crash-${count}`];
          const issue = async (): Promise<void> => {
            const { desk } = await processOf(unhurt(), prefix, pool);
            // Half of the life that the minter gives is over.
            await desk.issue({ binding: poolOf(pool), lifetimeMs: HOUR }, never);
          };
          if (issued > 0) await issue();
          const ways = new FaultyWays(transport, real.open(), { fault, at, overtake: issue });
          await Promise.resolve(run(await processOf(ways, prefix, pool), pool)).catch(() => {});
          await expectWorks(prefix, poolOf(pool));
          await cycle(prefix, pool);
          await expectClean(prefix, pool, issued + 1 + (fault === 'overtaken' ? OVERTAKEN : 0));
          if (!ways.wasMet) break;
          points += 1;
        }
        expect(points, 'calls that were cut short').to.be.within(3, MOST_CALLS - 1);
      });
    }
  }
});
