/** `bootstrap-token report-stolen`. */
import { isRemote, RefusedError } from '../../errors.ts';
import { csrListWatch } from '../../kubernetes/csrs.ts';
import { allPages } from '../../kubernetes/list-watch.ts';
import { stateMaps } from '../../kubernetes/state-maps.ts';
import { warnOfToken } from '../../kubernetes/token-events.ts';
import type { Transport } from '../../kubernetes/transport.ts';
import { claimsMapOf } from '../../nodes/record-format.ts';
import { stateOf } from '../../policy/csr-state.ts';
import { nodeNameOfUser, viewRequest } from '../../policy/request.ts';
import { CLIENT_SIGNER, type Csr, type StateMap } from '../../ports.ts';
import { systemClock } from '../../runtime/clock.ts';
import { describeBinding } from '../../tokens/binding.ts';
import { tokenIdOfUser } from '../../tokens/bootstrap-token.ts';
import { formatTime, type TokenRecord } from '../../tokens/token-secret.ts';
import type { Io } from '../io.ts';
import { formatJson, formatOption, formatTable } from '../output.ts';
import { loadConfig, type SharedFlags } from '../settings.ts';
import { inOffice, needTokenId, type Office } from '../token-office.ts';

export interface StolenFlags extends SharedFlags {
  readonly output: string;
}

/** One use of a token that is on record somewhere. */
export interface TokenUse {
  /** Undefined where the request names no node, or is not kept. */
  readonly node: string | undefined;
  readonly csr: string | undefined;
  /** State of the CSR; `on record` or `claimed` where the CSR is gone. */
  readonly state: string;
  /** End of the client certificate, ms since the epoch. */
  readonly certificateEnds: number | undefined;
}

/**
 * Revokes the token at once, says so in an Event, and prints who used it, so that they can be banned. One that is gone
 * is looked up all the same. Throws RefusedError `NotFound` for one that nothing is known of.
 */
export async function reportStolen(id: string, flags: StolenFlags, io: Io): Promise<void> {
  const format = formatOption(flags.output, ['text', 'json'] as const);
  needTokenId(id);
  const config = await loadConfig(flags, io);
  await inOffice(config, io, async (office) => {
    const { secrets, transport } = office;
    const signal = io.interrupted;
    const record = await secrets.get(id, signal);
    // At the same time: the claims of a token go soon after it, and nothing of this may keep it from being revoked.
    const [revoked, used] = await Promise.allSettled([
      record === undefined ? Promise.resolve() : revokeAsStolen(record, office, io),
      readUses(transport, config.state.namespace, id, signal),
    ]);
    if (revoked.status === 'rejected') throw revoked.reason;
    io.err(record === undefined ? `token ${id} is not there any more\n` : `token ${id} revoked\n`);
    if (used.status === 'rejected') throw used.reason;
    const uses = used.value;
    if (record === undefined && uses.length === 0) {
      throw new RefusedError('NotFound', `nothing is known of a token ${id}`);
    }
    io.out(format === 'json' ? formatJson(uses.map(asJson)) : tableOf(uses));
    sayNext(uses, io);
    const event = {
      tokenId: id,
      uid: record?.uid,
      reason: 'TokenReportedStolen',
      message: messageFor(id, record, uses),
      at: systemClock.now(),
      instance: 'bootstrap-token',
    };
    await warnOfToken(transport, event, signal);
  });
}

/** Marked first, so that the service can count it when it goes; that must not keep it from being revoked. */
async function revokeAsStolen(record: TokenRecord, { desk, secrets }: Office, io: Io): Promise<void> {
  try {
    await secrets.markStolen(record, systemClock.now(), io.interrupted);
  } catch (error) {
    if (!isRemote(error)) throw error;
    io.err(`the report is not counted in the metrics of the service: ${error.message}\n`);
  }
  await desk.revoke(record, io.interrupted);
}

async function readUses(transport: Transport, namespace: string, id: string, signal: AbortSignal): Promise<TokenUse[]> {
  const maps = stateMaps(transport, namespace);
  const [claims, csrs, all] = await Promise.all([
    maps.get(claimsMapOf(id), signal),
    allPages(csrListWatch(transport, CLIENT_SIGNER), signal),
    maps.list(signal),
  ]);
  return usesOfToken(id, csrs, claims === undefined ? all : [...all, claims]);
}

/** Every use of a token: by its CSRs, and of nodes whose CSR is gone by their record or claim. */
export function usesOfToken(id: string, csrs: readonly Csr[], maps: readonly StateMap[]): TokenUse[] {
  const requested = csrs
    .filter(({ requester }) => tokenIdOfUser(requester.username) === id)
    .map((csr) => ({
      node: viewRequest(csr).nodeName ?? nodeNameOfUser(csr.certificate?.commonName ?? ''),
      csr: csr.name,
      state: stateOf(csr),
      certificateEnds: csr.certificate?.notAfter,
    }));
  const recorded = maps
    .flatMap(({ records }) => [...records.values()])
    .flatMap((record) => (record.known && record.value.token?.id === id ? [record.value] : []))
    .map(({ node, certificates }) => ({
      node,
      csr: undefined,
      state: 'on record',
      certificateEnds: certificates[0]?.notAfter,
    }));
  const claimed = maps
    .filter(({ name }) => name === claimsMapOf(id))
    .flatMap(({ claims }) => [...claims.keys()])
    .map((node) => ({ node, csr: undefined, state: 'claimed', certificateEnds: undefined }));
  const uses: TokenUse[] = [...requested];
  for (const use of [...recorded, ...claimed]) if (!uses.some(({ node }) => node === use.node)) uses.push(use);
  return uses.toSorted((a, b) => ((a.node ?? '') < (b.node ?? '') ? -1 : 1));
}

function nodesOf(uses: readonly TokenUse[]): string[] {
  return [...new Set(uses.flatMap(({ node }) => node ?? []))];
}

function asJson({ node, csr, state, certificateEnds }: TokenUse): object {
  const ends = certificateEnds === undefined ? null : formatTime(certificateEnds);
  return { node: node ?? null, csr: csr ?? null, state, certificateEnds: ends };
}

function tableOf(uses: readonly TokenUse[]): string {
  const rows = uses.map(({ node, csr, state, certificateEnds }) => [
    node ?? '<unknown>',
    csr ?? '<gone>',
    state,
    certificateEnds === undefined ? '<none>' : formatTime(certificateEnds),
  ]);
  return formatTable(['NODE', 'CSR', 'STATE', 'CERTIFICATE ENDS'], rows);
}

function sayNext(uses: readonly TokenUse[], io: Io): void {
  if (uses.length === 0) return io.err('nobody has used it, as far as is on record\n');
  io.err('A certificate cannot be revoked. To end the renewals of a node that you do not trust:\n');
  for (const node of nodesOf(uses)) io.err(`  kubelet-bootstrap node ban ${node} --reason "stolen token"\n`);
}

function messageFor(id: string, record: TokenRecord | undefined, uses: readonly TokenUse[]): string {
  const whose = record?.binding === undefined ? '' : ` of ${describeBinding(record.binding)}`;
  const csrs = uses.flatMap(({ csr }) => csr ?? []);
  const by = uses.length === 0 ? 'nobody, as far as is on record' : `nodes ${nodesOf(uses).join(', ') || 'unknown'}`;
  return `token ${id}${whose} was reported stolen and is revoked; used by ${by}${csrs.length === 0 ? '' : ` (CSRs ${csrs.join(', ')})`}`;
}
