import { expect } from 'chai';
import { describe, it } from 'mocha';
import { checkToken, type SeenEntry, type SeenToken } from '../../src/cli/token-checks.ts';
import { RemoteError } from '../../src/errors.ts';
import { formatTime } from '../../src/tokens/token-secret.ts';
import { NOW, tokenRecord } from '../support/token-records.ts';

const SECRET = '0123456789abcdef';
const CLUSTER = { server: 'https://api.example.internal:6443', caCertificate: 'PEM' };
const GROUPS = ['system:bootstrappers', 'system:bootstrappers:node:worker-1', 'system:authenticated'];

function entry(change: Partial<NonNullable<SeenEntry['entry']>> = {}, tokenId = 'abcdef'): SeenEntry {
  const expiresAt = formatTime(NOW + 3_600_000);
  return {
    state: { kind: 'live', version: 1, tokenId, updatedAt: NOW, endsAt: undefined },
    entry: { token: `abcdef.${SECRET}`, expiresAt, ...CLUSTER, ...change },
    unreadable: undefined,
  };
}

function seen(change: Partial<SeenToken> = {}): SeenToken {
  return {
    record: tokenRecord(),
    secret: SECRET,
    login: { ok: true, username: 'system:bootstrap:abcdef', groups: GROUPS },
    vault: entry(),
    cluster: CLUSTER,
    now: NOW,
    ...change,
  };
}

describe('cli/token-checks', () => {
  it('has nothing to say of a token on which everything agrees', () => {
    const checks = checkToken(seen());
    expect(checks.map(({ result }) => result)).to.deep.equal(checks.map(() => 'ok'));
    expect(checks.map(({ check }) => check)).to.deep.equal(
      'Secret,binding,login,groups,Vault,token in Vault,end in Vault,server,CA'.split(','),
    );
  });

  const gone: SeenEntry = { ...entry(), state: { ...entry().state, kind: 'gone' }, entry: undefined };
  const pool = tokenRecord({ binding: { kind: 'pool', pool: 'workers' }, vaultPath: 'pools/workers' });
  const unreadable = new RemoteError('vault', 'Unreadable', 'data of nodes/worker-1: not of the known shape');
  const ROWS: readonly (readonly [string, Partial<SeenToken>, string, 'failed' | 'note', string])[] = [
    ['an expired token', { record: tokenRecord({ expiresAt: NOW }) }, 'Secret', 'failed', 'expired'],
    ['a disabled token', { record: tokenRecord({ authenticates: false }) }, 'Secret', 'failed', 'disabled'],
    ['one of ours without a binding', { record: tokenRecord({ binding: undefined }) }, 'binding', 'failed', 'none in'],
    [
      "somebody else's without one",
      { record: tokenRecord({ binding: undefined, ours: false }) },
      'binding',
      'note',
      'none in',
    ],
    ['a login that is refused', { login: { ok: false, why: 'Unauthorized' } }, 'login', 'failed', 'Unauthorized'],
    [
      'a login as somebody else',
      { login: { ok: true, username: 'jane', groups: GROUPS } },
      'login',
      'failed',
      'as jane',
    ],
    [
      'a login without its group',
      { login: { ok: true, username: 'system:bootstrap:abcdef', groups: GROUPS.slice(0, 1) } },
      'groups',
      'failed',
      'without system:bootstrappers:node:worker-1',
    ],
    ['one that was never published', { vault: undefined }, 'Vault', 'note', 'not published'],
    ['one that is not in Vault', { vault: gone }, 'Vault', 'failed', 'nothing can be fetched at nodes/worker-1'],
    ['another one in its place', { vault: entry({}, 'zzzzzz') }, 'Vault', 'failed', 'token zzzzzz can be fetched'],
    ['the successor in its pool', { record: pool, vault: entry({}, 'zzzzzz') }, 'Vault', 'note', 'token zzzzzz can be'],
    ['an entry that is none', { vault: { ...gone, unreadable } }, 'Vault', 'failed', 'not of the known shape'],
    [
      'another secret',
      { vault: entry({ token: `abcdef.${'z'.repeat(16)}` }) },
      'token in Vault',
      'failed',
      'not that of',
    ],
    ['another end', { vault: entry({ expiresAt: '2027-02-01T00:00:00Z' }) }, 'end in Vault', 'failed', '2027-02-01T00'],
    [
      'another server',
      { vault: entry({ server: 'https://old' }) },
      'server',
      'failed',
      'https://old, config https://api',
    ],
    ['another CA', { vault: entry({ caCertificate: 'OLD' }) }, 'CA', 'failed', 'not that of the config'],
  ];
  for (const [what, change, check, result, detail] of ROWS) {
    it(`finds ${what}, and says nothing of the secret`, () => {
      const checks = checkToken(seen(change));
      expect(checks.find((each) => each.check === check)).to.include({ result });
      expect(checks.find((each) => each.check === check)?.detail).to.include(detail);
      expect(JSON.stringify(checks)).not.to.include(SECRET).and.not.include('z'.repeat(16));
    });
  }
});
