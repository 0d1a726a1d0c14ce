/**
 * How long certificates live, so that kubelets do not renew all at once. A kubelet renews at a moment that it draws
 * between 70 and 90 % of a certificate's life (client-go `certificate_manager.go`), however many nodes joined together.
 * Lifetimes that differ by less than 2/9 leave that crowd as it is, for their renewals overlap; at 2/9 those of the
 * shorter lifetime end where those of the longer begin. So lifetimes come in steps of 7/9.
 */
import { hash } from 'node:crypto';
import { planValidity, type Validity } from './certificate-plan.ts';

const EARLIEST = 0.7;
const LATEST = 0.9;
/** kube-controller-manager signs for no shorter time; what is configured below that stays as it is. */
const SHORTEST_MS = 10 * 60_000;
const HASH_RANGE = 2 ** 32;

/** A lifetime, and how much of the nodes have it: 0 to 1. */
export interface LifetimeStep {
  readonly lifetimeMs: number;
  readonly share: number;
}

/** When kubelets renew with one lifetime in the config, and what outage they survive; all in ms. */
export interface LifetimeOutlook {
  readonly lifetimeMs: number;
  /** Of the last of the steps. */
  readonly shortestMs: number;
  /** After the issue of a certificate: the soonest and the latest of all nodes. */
  readonly renewedFrom: number;
  readonly renewedTo: number;
  /** Longest outage that no node notices, whenever it begins. */
  readonly outageMs: number;
}

/**
 * The lifetimes that nodes are spread over, longest first: each 7/9 of the one before, in whole seconds, none shorter than
 * 10 minutes unless that is configured. The shares are such that renewals after a mass join come evenly.
 */
export function lifetimeSteps(lifetimeMs: number, steps: number): readonly LifetimeStep[] {
  const least = Math.min(lifetimeMs, SHORTEST_MS);
  const lifetimes = Array.from({ length: steps }, (_, step) => stepped(lifetimeMs, step)).filter((ms) => ms >= least);
  const whole = lifetimes.reduce((sum, ms) => sum + ms, 0);
  return lifetimes.map((ms) => ({ lifetimeMs: ms, share: ms / whole }));
}

/** The lifetime that is this node's, always the same one of `lifetimeSteps`, in ms: never longer than `lifetimeMs`. */
export function lifetimeOfNode(node: string, lifetimeMs: number, steps: number): number {
  let left = Number.parseInt(hash('sha256', `lifetime of ${node}`, 'hex').slice(0, 8), 16) / HASH_RANGE;
  for (const step of lifetimeSteps(lifetimeMs, steps)) {
    left -= step.share;
    if (left < 0) return step.lifetimeMs;
  }
  return lifetimeMs;
}

/** From when to when a kubelet begins to renew a certificate, in ms since the epoch; drawn anew when it restarts. */
export function renewalWindow({ notBefore, notAfter }: Validity): { readonly from: number; readonly to: number } {
  const life = notAfter - notBefore;
  return { from: notBefore + life * EARLIEST, to: notBefore + life * LATEST };
}

/**
 * How long nobody may be able to sign without this certificate ending unrenewed, at whatever moment that begins, in ms:
 * its kubelet may begin to renew no sooner than at 90 % of its life.
 */
export function outageSurvived(validity: Validity): number {
  return validity.notAfter - renewalWindow(validity).to;
}

/** For a lifetime and `signer.lifetime.steps`. */
export function lifetimeOutlook(lifetimeMs: number, steps: number): LifetimeOutlook {
  const shortestMs = Math.min(...lifetimeSteps(lifetimeMs, steps).map((step) => step.lifetimeMs));
  const shortest = validityAtZero(shortestMs);
  return {
    lifetimeMs,
    shortestMs,
    renewedFrom: renewalWindow(shortest).from,
    renewedTo: renewalWindow(validityAtZero(lifetimeMs)).to,
    outageMs: outageSurvived(shortest),
  };
}

/** Of a certificate with that lifetime that is made at 0, under a CA that does not end. */
export function validityAtZero(lifetimeMs: number): Validity {
  return planValidity({ now: 0, lifetimeMs, requestedSeconds: undefined, authorityNotAfter: Infinity });
}

function stepped(lifetimeMs: number, step: number): number {
  return step === 0 ? lifetimeMs : Math.floor((lifetimeMs * 7 ** step) / (9 ** step * 1000)) * 1000;
}
