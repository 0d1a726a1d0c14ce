import { expect } from 'chai';
import { before, describe, it } from 'mocha';
import {
  bundleReading,
  chainReading,
  fileReading,
  nameOf,
  readPem,
  singleReadings,
} from '../../src/expiry/certificates.ts';
import type { Reading } from '../../src/expiry/thing.ts';
import { type TestAuthority, testAuthority } from '../support/test-authority.ts';

const DAY = 86_400_000;
/** Certificates have whole seconds. */
const NOW = Date.UTC(2027, 0, 31);

/** Days from now at which it ends, or the kind of what has no end, and the note without marks. */
function told(reading: Reading): readonly [number | string, string] {
  const note = reading.note.replaceAll(/\b[0-9a-f]{8}\b/g, '#');
  return [reading.kind === 'ends' ? (reading.endsAt - NOW) / DAY : reading.kind, note];
}

describe('expiry/certificates', () => {
  const made = new Map<string, TestAuthority>();
  const make = async (name: string, from: number, until: number, issuer?: string, isCa = true): Promise<void> => {
    const above = issuer === undefined ? undefined : made.get(issuer);
    const one = await testAuthority('P-256', {
      subject: `CN=${name}`,
      notBefore: new Date(NOW + from * DAY),
      notAfter: new Date(NOW + until * DAY),
      isCa,
      ...(above === undefined ? {} : { issuer: above }),
    });
    made.set(name, one);
  };
  const pem = (...names: readonly string[]): string => names.map((name) => made.get(name)?.certPem ?? name).join('');

  before(async () => {
    await make('old', -400, -10);
    await make('ending', -355, 10);
    await make('good', -10, 300);
    await make('next', 5, 400);
    await make('far', 320, 500);
    await make('fresh', 1 / 1_440, 90);
    await make('root', -100, 900);
    await make('middle', -100, 20, 'root');
    await make('leaf', -30, 60, 'middle', false);
    await make('short', -1, 1, 'middle', false);
  });

  const GARBAGE = '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n';
  const NOTHING = 'holds no certificate that can be read';
  const TOO_SOON = 'CN=next # is not valid before 2027-02-05T00:00:00Z';
  const FIRST = 'CN=ending # ends first, at 2027-02-10T00:00:00Z';
  const BUNDLES: readonly (readonly [string, readonly string[], number | string, string])[] = [
    ['one CA ends when it ends', ['good'], 300, 'CN=good'],
    ['one that is over has ended', ['old'], -10, 'CN=old'],
    [
      'an expired one beside a good one is no end',
      ['old', 'good'],
      300,
      'the last of 2 is CN=good #; 1 ended already and can go',
    ],
    [
      'of two that are good the last decides, and the first is told',
      ['ending', 'good'],
      300,
      `the last of 2 is CN=good #; ${FIRST}`,
    ],
    [
      'one that begins before the other ends prolongs it',
      ['ending', 'next'],
      400,
      `the last of 2 is CN=next #; ${FIRST}`,
    ],
    ['one that begins after a gap does not', ['good', 'far'], 300, 'the last of 2 is CN=good #'],
    ['an expired one and one that is not yet valid have ended', ['old', 'next'], -10, `CN=old; ${TOO_SOON}`],
    ['one that is not yet valid is of no use', ['next'], 'unusable', TOO_SOON],
    ['one that begins in a minute is the fault of a clock', ['fresh'], 90, 'CN=fresh'],
    ['nothing is of no use', [], 'unusable', NOTHING],
    ['garbage is of no use', ['garbage \u0000 \n'], 'unusable', NOTHING],
    ['a block of garbage is of no use', [GARBAGE], 'unusable', NOTHING],
    ['a block without content is of no use', [GARBAGE.replace('AAAA\n', '')], 'unusable', NOTHING],
    [
      'garbage beside a good one is skipped, as the API server does',
      [GARBAGE, 'good'],
      300,
      'CN=good; 1 block is no certificate',
    ],
    ['a bundle that is cut off keeps what is whole', ['good', '-----BEGIN CERTIFICATE-----\nMIIB'], 300, 'CN=good'],
    [
      'a key in the place of a certificate is of no use',
      [GARBAGE.replaceAll('CERTIFICATE', 'PRIVATE KEY')],
      'unusable',
      NOTHING,
    ],
  ];
  for (const [what, parts, end, note] of BUNDLES) {
    it(`bundle: ${what}`, () => {
      expect(told(bundleReading(readPem(pem(...parts)), NOW))).to.deep.equal([end, note]);
    });
  }

  it('bundle: tells the first end to come, and the life of what decides', () => {
    const reading = bundleReading(readPem(pem('ending', 'good', 'old')), NOW);
    expect(reading).to.include({ firstEndsAt: NOW + 10 * DAY, lifeMs: 310 * DAY });
  });

  const CHAINS: readonly (readonly [string, readonly string[], number | string, string])[] = [
    ['one certificate ends when it ends', ['leaf'], 60, 'CN=leaf'],
    [
      'an intermediate that ends before it decides',
      ['leaf', 'middle'],
      20,
      'its issuer CN=middle # ends before CN=leaf',
    ],
    ['one that ends after it does not', ['short', 'middle'], 1, 'CN=short'],
    ['a root that came along does not count', ['middle', 'old', 'root'], 20, 'CN=middle'],
    ['what leads elsewhere does not count', ['leaf', 'old', 'ending'], 60, 'CN=leaf'],
    ['a root by itself is the first one', ['root'], 900, 'CN=root'],
    ['one that is not yet valid is of no use', ['next'], 'unusable', TOO_SOON],
    ['one that begins in a minute is the fault of a clock', ['fresh'], 90, 'CN=fresh'],
    ['garbage is of no use', ['rubbish'], 'unusable', NOTHING],
  ];
  for (const [what, parts, end, note] of CHAINS) {
    it(`chain: ${what}`, () => {
      expect(told(chainReading(readPem(pem(...parts)), NOW))).to.deep.equal([end, note]);
    });
  }

  it('a file that begins with a CA is a bundle, any other a chain', () => {
    expect(told(fileReading(readPem(pem('ending', 'good')), NOW))[0]).to.equal(300);
    expect(told(fileReading(readPem(pem('leaf', 'middle')), NOW))[0]).to.equal(20);
    expect(told(fileReading(readPem(''), NOW))[0]).to.equal('unusable');
  });

  it('CAs with clients of their own are told one by one, and one that is over only while no other is good', () => {
    const beside = singleReadings(readPem(pem('old', 'ending', 'good')), NOW).map(({ reading }) => told(reading)[0]);
    expect(beside).to.deep.equal(['none', 10, 300]);
    expect(singleReadings(readPem(pem('old')), NOW).map(({ reading }) => told(reading)[0])).to.deep.equal([-10]);
    expect(singleReadings(readPem(''), NOW)).to.deep.equal([]);
  });

  it('two with one subject have different names', async () => {
    const again = await testAuthority('P-256', { subject: 'CN=good' });
    const names = readPem(pem('good') + again.certPem).certificates.map(nameOf);
    expect(new Set(names)).to.have.property('size', 2);
    for (const name of names) expect(name).to.match(/^CN=good [0-9a-f]{8}$/);
  });

  it('a subject from elsewhere is shown in printable characters, and cut', async () => {
    const subject = [{ O: ['\u001B[31m\n{}'] }, { CN: [`${'x'.repeat(60)}${'ü'.repeat(60)}y`] }];
    const { certPem } = await testAuthority('P-256', { subject });
    const [name = ''] = readPem(certPem).certificates.map(nameOf);
    expect(name)
      .to.match(/^[ -~]+$/)
      .and.have.length.below(140);
  });

  it('reads a certificate without a subject, and calls it by its other names', async () => {
    const { certPem } = await testAuthority('P-256', { subject: '' });
    const nameless = readPem(certPem);
    expect(bundleReading(nameless, Date.now())).to.include({ kind: 'ends', note: '' });
    expect(nameless.certificates.map(nameOf)[0]).to.match(/^[0-9a-f]{8}$/);
  });

  it('does bounded work on a bundle of any size', () => {
    const { certificates, garbage } = readPem(pem('good').repeat(2_000));
    expect([certificates.length, garbage]).to.deep.equal([500, 1]);
  });
});
