import type { Foreground } from '../../src/runtime/foreground.ts';

/** Has something in hand, as a CSR that is being signed is, until it is told that this is done. */
export function inHand(foreground: Foreground): () => void {
  const { promise, resolve } = Promise.withResolvers<void>();
  void foreground.hold(() => promise);
  return resolve;
}
