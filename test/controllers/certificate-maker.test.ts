import { expect } from 'chai';
import { describe, it } from 'mocha';
import type { CertificateSigner } from '../../src/ports.ts';
import { never, World } from './world.ts';

describe('controllers/certificate-maker', () => {
  it('holds certificates against their plans as the backend has it that signed them, be it for the same CA', async () => {
    let backend = (real: CertificateSigner): CertificateSigner => real;
    const world = await World.make({
      backend: (real) => ({
        ...real,
        authority: (signal) => backend(real).authority(signal),
        sign: (...asked) => backend(real).sign(...asked),
      }),
    });
    const [first, second] = [world.addCsr(), world.addRenewal()];
    await world.signer.reconcile(world.approveByHand(first).name, never);
    backend = (real) => ({
      ...real,
      authority: async (signal) => ({ ...(await real.authority(signal)), latitude: { extras: [], timesMs: 60_000 } }),
      sign: (plan, ...rest) => real.sign({ ...plan, notAfter: plan.notAfter - 1_000 }, ...rest),
    });
    await world.signer.reconcile(world.approveByHand(second).name, never);
    expect(world.csrs.stored(second.name)?.issued).to.equal(true);
  });
});
