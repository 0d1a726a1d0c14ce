/** The CAs of the running service: who signs, and what is published of them. */
import type { Authorities } from '../ports/ca.ts';
import type { Config } from '../config.ts';
import { CaWatch } from '../controllers/ca-watch.ts';
import { rotatingSigner } from '../controllers/rotating-signer.ts';
import { trustBundle } from '../kubernetes/trust-bundle.ts';
import type { Transport } from '../kubernetes/transport.ts';
import type { CertificateSigner } from '../ports.ts';
import type { Part } from '../runtime/lifecycle.ts';
import { periodic } from '../runtime/periodic.ts';
import { openAuthorities } from './authorities.ts';
import type { Vault } from './connections.ts';
import type { Context } from './context.ts';
import { longestLifeMs } from './longest-life.ts';
import type { ConfigInForce } from './reload.ts';

export interface CaSide {
  readonly authorities: Authorities;
  readonly backend: CertificateSigner;
  readonly watch: CaWatch;
  /** Look at the CAs and keep their bundle published. */
  readonly parts: readonly Part[];
}

/** Wires it; nothing is read before its parts are started. */
export function caSide(
  { config, clock, log }: Pick<Context, 'config' | 'clock' | 'log'>,
  transport: Transport,
  inForce: ConfigInForce,
  vault: Vault | undefined,
): CaSide {
  let merged: { readonly of: Config; readonly config: Config } | undefined;
  // Of which kinds there are certificates needs a restart, whatever the file says by now.
  const current = (): Config => {
    const live = inForce.config;
    if (merged?.of !== live) {
      const serving = { ...live.serving, enabled: config.serving.enabled };
      merged = { of: live, config: { ...live, serving } };
    }
    return merged.config;
  };
  const authorities = openAuthorities(current, { clock, vault, log });
  const watch = new CaWatch({
    authorities,
    bundle: trustBundle(transport, config.state.namespace),
    longestLifeMs: () => longestLifeMs(current()),
    clock,
    log,
  });
  return {
    authorities,
    backend: rotatingSigner(authorities, clock),
    watch,
    parts: [periodic('CAs to trust', config.signer.ca.refresh, clock, (signal) => watch.look(signal), 'atOnce')],
  };
}
