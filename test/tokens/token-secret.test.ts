import { expect } from 'chai';
import * as fc from 'fast-check';
import { describe, it } from 'mocha';
import { isUsable } from '../../src/tokens/rotation.ts';
import {
  formatTime,
  MANAGED_BY,
  MANAGED_BY_LABEL,
  type NewToken,
  parseTime,
  PUBLISHING_UNTIL,
  readTokenSecret,
  secretOfToken,
  type StoredSecret,
  VAULT_PATH,
  vaultPathOfBinding,
} from '../../src/tokens/token-secret.ts';

const NOW = Date.UTC(2027, 0, 31, 12);
const GROUP = 'system:bootstrappers:node:worker-1';
const NEW: NewToken = {
  token: { id: 'abcdef', secret: '0123456789abcdef' },
  binding: { kind: 'node', node: 'worker-1' },
  expiresAt: NOW + 3_600_000,
  issuedAt: NOW,
  publishingUntil: NOW + 120_000,
  vaultPath: 'nodes/worker-1',
  description: undefined,
};
const GOOD: StoredSecret = { ...secretOfToken(NEW), uid: 'uid-1', resourceVersion: '7', beingDeleted: false };

/** The good Secret with some of its data changed; undefined takes a key away. */
function withData(change: Readonly<Record<string, string | undefined>>): StoredSecret {
  const data = Object.entries({ ...GOOD.data, ...change }).flatMap(([key, value]) =>
    value === undefined ? [] : [[key, value] as const],
  );
  return { ...GOOD, data: Object.fromEntries(data) };
}

describe('tokens/token-secret: secretOfToken', () => {
  it('makes a Secret that logs in, signs nothing and is bound to one node', () => {
    expect(secretOfToken(NEW)).to.deep.equal({
      name: 'bootstrap-token-abcdef',
      labels: { [MANAGED_BY_LABEL]: MANAGED_BY },
      annotations: {
        [PUBLISHING_UNTIL]: '2027-01-31T12:02:00Z',
        [VAULT_PATH]: 'nodes/worker-1',
        'kubelet-bootstrap/issued-at': '2027-01-31T12:00:00Z',
      },
      data: {
        'token-id': 'abcdef',
        'token-secret': '0123456789abcdef',
        expiration: '2027-01-31T13:00:00Z',
        'usage-bootstrap-authentication': 'true',
        'auth-extra-groups': GROUP,
        description: 'kubelet bootstrap token for node worker-1',
      },
    });
  });

  it('keeps the secret part to its own key', () => {
    const { data, ...rest } = secretOfToken({ ...NEW, binding: { kind: 'pool', pool: 'workers' } });
    const { 'token-secret': secret, ...others } = data;
    expect(secret).to.equal(NEW.token.secret);
    expect(JSON.stringify({ ...rest, others })).to.not.include(NEW.token.secret);
  });

  it('never promises a longer life than the token has: times are cut to the second', () => {
    const { data } = secretOfToken({ ...NEW, expiresAt: NOW + 1999 });
    expect(data['expiration']).to.equal('2027-01-31T12:00:01Z');
  });

  it('publishes at nodes/<node> and pools/<pool>', () => {
    expect(vaultPathOfBinding({ kind: 'node', node: 'a.b' })).to.equal('nodes/a.b');
    expect(vaultPathOfBinding({ kind: 'pool', pool: 'workers' })).to.equal('pools/workers');
  });
});

describe('tokens/token-secret: readTokenSecret, as the authenticator of the API server would', () => {
  it('reads back what was made of a new token, without the secret part', () => {
    const record = readTokenSecret(GOOD);
    expect(record).to.deep.equal({
      id: 'abcdef',
      uid: 'uid-1',
      resourceVersion: '7',
      description: 'kubelet bootstrap token for node worker-1',
      groups: [GROUP],
      binding: NEW.binding,
      expiresAt: NEW.expiresAt,
      authenticates: true,
      beingDeleted: false,
      ours: true,
      publishingUntil: NEW.publishingUntil,
      vaultPath: 'nodes/worker-1',
      issuedAt: NOW,
      uses: undefined,
      replacesLive: false,
      reportedStolen: false,
      reentry: false,
      addresses: [],
    });
    const marks = { uses: 50, replacesLive: true, addresses: ['10.1.2.3', 'fd00::17'] };
    expect(readTokenSecret({ ...GOOD, ...secretOfToken({ ...NEW, ...marks }) })).to.include({
      uses: 50,
      replacesLive: true,
    });
    expect(readTokenSecret({ ...GOOD, ...secretOfToken({ ...NEW, ...marks }) })?.addresses).to.deep.equal(
      marks.addresses,
    );
    for (const uses of ['0', '-1', 'many', '']) {
      const edited = { ...GOOD, annotations: { ...GOOD.annotations, 'kubelet-bootstrap/uses': uses } };
      expect(readTokenSecret(edited)?.uses, uses).to.equal(0);
    }
    expect(JSON.stringify(record)).to.not.include(NEW.token.secret);
  });

  const NO_TOKENS: readonly (readonly [string, StoredSecret])[] = [
    ['with an ID in upper case', { ...withData({ 'token-id': 'ABCDEF' }), name: 'bootstrap-token-ABCDEF' }],
    ['with another name', { ...GOOD, name: 'token-abcdef' }],
  ];
  for (const [sentence, secret] of NO_TOKENS) {
    it(`knows no token in a Secret ${sentence}`, () => {
      expect(readTokenSecret(secret)).to.equal(undefined);
    });
  }

  /** Whether the token logs in at NOW. */
  const LOGINS: readonly (readonly [string, StoredSecret, boolean])[] = [
    ['as it was made', GOOD, true],
    ['with its usage spelt True', withData({ 'usage-bootstrap-authentication': 'True' }), false],
    ['without its usage', withData({ 'usage-bootstrap-authentication': undefined }), false],
    ['without token-id', withData({ 'token-id': undefined }), false],
    ['with the token-id of another one', withData({ 'token-id': 'zzzzzz' }), false],
    ['without data', { ...GOOD, data: {} }, false],
    ['that is being deleted', { ...GOOD, beingDeleted: true }, false],
    ['without an end', withData({ expiration: undefined }), true],
    ['with an empty end', withData({ expiration: '' }), true],
    ['with an end that is no time', withData({ expiration: 'tomorrow' }), false],
    ['with an end on the 30th of February', withData({ expiration: '2027-02-30T00:00:00Z' }), false],
    ['with an end at hour 24', withData({ expiration: '2027-02-28T24:00:00Z' }), false],
    ['with an end without a zone', withData({ expiration: '2027-02-28T00:00:00' }), false],
    ['at its end', withData({ expiration: '2027-01-31T12:00:00Z' }), false],
    ['a second before its end', withData({ expiration: '2027-01-31T12:00:01Z' }), true],
    ['at its end in another zone', withData({ expiration: '2027-01-31T13:00:00+01:00' }), false],
    ['half a second before its end', withData({ expiration: '2027-01-31T12:00:00.5Z' }), true],
    ['without extra groups', withData({ 'auth-extra-groups': undefined }), true],
    ['with empty extra groups', withData({ 'auth-extra-groups': '' }), true],
    ['with a hyphen or colons at the beginning', withData({ 'auth-extra-groups': 'system:bootstrappers:-::a' }), true],
    [
      'with a group of 256 characters',
      withData({ 'auth-extra-groups': `system:bootstrappers:${'a'.repeat(256)}` }),
      true,
    ],
    ['with one of 257', withData({ 'auth-extra-groups': `system:bootstrappers:${'a'.repeat(257)}` }), false],
    ['with a trailing comma', withData({ 'auth-extra-groups': `${GROUP},` }), false],
    ['with a blank after a comma', withData({ 'auth-extra-groups': `${GROUP}, ${GROUP}` }), false],
    ['with a dot in a group', withData({ 'auth-extra-groups': `${GROUP}.example.org` }), false],
    ['with upper case in a group', withData({ 'auth-extra-groups': 'system:bootstrappers:A' }), false],
    ['with a hyphen at the end of a group', withData({ 'auth-extra-groups': `${GROUP}-` }), false],
    ['with the common group named', withData({ 'auth-extra-groups': 'system:bootstrappers' }), false],
    ['with one bad group among good ones', withData({ 'auth-extra-groups': `${GROUP},system:nodes` }), false],
  ];
  for (const [sentence, secret, usable] of LOGINS) {
    it(`says that a token ${sentence} ${usable ? 'logs in' : 'does not log in'}`, () => {
      const record = readTokenSecret(secret);
      expect(record !== undefined && isUsable(record, NOW)).to.equal(usable);
    });
  }

  it('knows no binding where there is none, two, or a bad one', () => {
    for (const groups of ['', `${GROUP},system:bootstrappers:pool:p`, 'system:bootstrappers:node::']) {
      expect(readTokenSecret(withData({ 'auth-extra-groups': groups }))?.binding, groups).to.equal(undefined);
    }
  });

  it('takes only what carries our label for ours', () => {
    for (const labels of [{}, { [MANAGED_BY_LABEL]: 'kubeadm' }]) {
      expect(readTokenSecret({ ...GOOD, labels })?.ours).to.equal(false);
    }
  });

  it('knows no publishing time in an annotation that is no time', () => {
    const annotations = { [PUBLISHING_UNTIL]: 'soon' };
    expect(readTokenSecret({ ...GOOD, annotations })?.publishingUntil).to.equal(undefined);
  });
});

describe('tokens/token-secret: times', () => {
  it('reads back what it writes, to the second', () => {
    const second = fc.integer({ min: 0, max: 253_402_300_799 });
    fc.assert(
      fc.property(second, (second) => {
        expect(parseTime(formatTime(second * 1000))).to.equal(second * 1000);
        expect(formatTime(second * 1000 + 999)).to.equal(formatTime(second * 1000));
      }),
    );
  });

  const NO_TIMES = [
    '',
    '2027-01-31',
    '2027-01-31 12:00:00Z',
    '2027-13-01T00:00:00Z',
    '2027-00-01T00:00:00Z',
    '2026-02-29T00:00:00Z',
    '2027-04-31T00:00:00Z',
    '2027-01-31T12:60:00Z',
    '2027-01-31T12:00:60Z',
    '2027-01-31t12:00:00z',
    ' 2027-01-31T12:00:00Z',
    '2027-01-31T12:00:00Z\n',
    '1801483200',
  ];
  for (const text of NO_TIMES) {
    it(`takes ${JSON.stringify(text)} for no time`, () => {
      expect(parseTime(text)).to.equal(undefined);
    });
  }

  it('knows leap years', () => {
    expect(parseTime('2028-02-29T00:00:00Z')).to.equal(Date.UTC(2028, 1, 29));
  });
});
