import { expect } from 'chai';
import { describe, it } from 'mocha';
import { EXIT_CODES, EXIT_MEANINGS, exitCodeOf } from '../../src/cli/exit-codes.ts';
import {
  ConfigError,
  RefusedError,
  type RefusedCode,
  RemoteError,
  type RemoteErrorCode,
  UsageError,
} from '../../src/errors.ts';

const REMOTE: Readonly<Record<RemoteErrorCode, number>> = {
  NotFound: 3,
  Conflict: 4,
  AlreadyExists: 4,
  Invalid: 1,
  Unauthorized: 6,
  Forbidden: 6,
  Expired: 5,
  TooManyRequests: 5,
  Sealed: 5,
  Unavailable: 5,
  TooLarge: 1,
  Unreadable: 1,
};

const REFUSED: Readonly<Record<RefusedCode, number>> = {
  AuthorityEndsFirst: 1,
  Unsafe: 4,
  NotFound: 3,
  AlreadyExists: 4,
  ClockOff: 1,
  Declined: 1,
  AuthorityUnusable: 1,
  CertificateNotAsPlanned: 1,
};

describe('cli/exit-codes', () => {
  for (const [code, exit] of Object.entries(REMOTE)) {
    it(`ends with ${exit} when Kubernetes or Vault answers ${code}`, () => {
      for (const system of ['kubernetes', 'vault'] as const) {
        expect(exitCodeOf(new RemoteError(system, code as RemoteErrorCode, 'x'))).to.equal(exit);
      }
    });
  }

  for (const [code, exit] of Object.entries(REFUSED)) {
    it(`ends with ${exit} when it is refused as ${code}`, () => {
      expect(exitCodeOf(new RefusedError(code as RefusedCode, 'x'))).to.equal(exit);
    });
  }

  it('ends with 2 for a wrong command line or config', () => {
    expect(exitCodeOf(new UsageError('x'))).to.equal(2);
    expect(exitCodeOf(new ConfigError('x', []))).to.equal(2);
  });

  it('ends with 1 for whatever else is thrown', () => {
    for (const thrown of [new Error('x'), new TypeError('x'), 'x', undefined, null, 3, { code: 'NotFound' }]) {
      expect(exitCodeOf(thrown)).to.equal(1);
    }
  });

  it('has a meaning for each code, and no code twice', () => {
    expect(Object.keys(EXIT_MEANINGS)).to.have.members(Object.keys(EXIT_CODES));
    expect(new Set(Object.values(EXIT_CODES)).size).to.equal(Object.keys(EXIT_CODES).length);
    expect(EXIT_CODES).to.deep.equal({
      ok: 0,
      failed: 1,
      usage: 2,
      notFound: 3,
      conflict: 4,
      unavailable: 5,
      forbidden: 6,
      partly: 7,
      ailing: 10,
      sick: 11,
      interrupted: 130,
    });
  });
});
