import { after, before } from 'mocha';
import { PkiEngine } from '../../scripts/servers/pki-engine.ts';
import { requireOpenBao } from './servers.ts';

const WEEK = 7 * 24 * 3_600_000;

/** A PKI engine in the shared OpenBao, for the suite it is called in, with the CA of the bundle that `bundle` answers; lifetimes of `longestMs` at most, a week unless told. */
export function requirePkiEngine(
  mount: string,
  bundle: () => string | Promise<string>,
  longestMs = WEEK,
): () => PkiEngine {
  const openBao = requireOpenBao();
  let engine: PkiEngine | undefined;
  before('set up a PKI engine', async () => {
    engine = new PkiEngine(openBao(), mount, longestMs);
    await engine.setUp(await bundle());
  });
  after('remove the PKI engine', () => engine?.remove());
  return () => {
    if (engine === undefined) throw new Error('the PKI engine is only there in hooks and tests');
    return engine;
  };
}
