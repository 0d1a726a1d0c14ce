import { expect } from 'chai';
import { describe, it } from 'mocha';
import { fleetAsJson, fleetAsText, type FleetView } from '../../src/cli/fleet-output.ts';
import type { FleetCertificates } from '../../src/nodes/fleet-plan.ts';
import { lifetimeOutlook } from '../../src/pki/lifetimes.ts';
import { withValues } from '../support/config-text.ts';
import { ran, withFile } from './fake-io.ts';

const HOUR = 3_600_000;

function view(change: Partial<FleetView> = {}): FleetView {
  const certificates: FleetCertificates = {
    usage: 'client',
    valid: 120,
    overdue: 1,
    ended: 2,
    outageFromNow: { ms: 2.5 * HOUR, node: 'worker-3' },
    outageAtAnyTime: { ms: 1.875 * HOUR, node: 'worker-7' },
  };
  const none = { overdue: 0, ended: 0, outageFromNow: undefined, outageAtAnyTime: undefined };
  return {
    now: Date.UTC(2027, 0, 31, 22, 30),
    plan: {
      nodes: { counted: 122, banned: 1, gone: 3 },
      certificates: [certificates, { usage: 'serving', valid: 0, ...none }],
      renewals: { client: [0, 7.25, 0.3], serving: [0, 12.5, 0], joining: [0, 0, 2_000] },
    },
    lifetimes: [{ pool: undefined, usage: 'client', outlook: lifetimeOutlook(24 * HOUR, 2) }],
    joining: 5_000,
    backend: 'vault-pki',
    signerRate: 100,
    unrecorded: 4,
    unreadable: 5,
    ...change,
  };
}

describe('cli/fleet-output', () => {
  it('shows certificates, lifetimes, the hours with renewals and the highest of them', () => {
    expect(fleetAsText(view()).split('\n')).to.deep.equal([
      'nodes: 122 counted; not counted: 1 banned, 3 without a Node object, 4 not on record, 5 with an unreadable record',
      '',
      'CERTIFICATES   VALID   OVERDUE   ENDED   OUTAGE FROM NOW    OUTAGE AT ANY TIME',
      'client         120     1         2       2h30m (worker-3)   1h52m30s (worker-7)',
      'serving        0       0         0       -                  -',
      '',
      'POOL   KIND     LIFETIME   SHORTEST   RENEWED AFTER      OUTAGE AT ANY TIME',
      '-      client   24h        18h40m     12h59m to 21h31m   1h52m',
      '',
      'HOUR FROM              CLIENT   SERVING   JOINED   ALL    OF THE SIGNER',
      '2027-01-31T23:30:00Z   7.3      13        0.0      20     0.01 %',
      '2027-02-01T00:30:00Z   0.3      0.0       2000     2000   0.56 %',
      '',
      'highest hour: 2027-02-01T00:30:00Z, 2000 renewals: 0.56 % of what the signer does at 100 a second',
      'joining: 10000 certificates for 5000 nodes at once, signed in 1m40s',
      'an outage of 1h52m leaves 3734 requests at most, signed in 38s',
      'nobody signs while this service is away, or Vault',
      'overdue renewals are counted in the first hour',
      '',
    ]);
  });

  it('has no column for nodes that do not join, and no table without renewals', () => {
    const { plan } = view();
    const renewals = { client: [0, 0.2], serving: [0, 0], joining: [0, 0] };
    const text = fleetAsText(view({ joining: 0, plan: { ...plan, renewals } }));
    expect(text).to.include('no renewals in 2 hours\n');
    expect(text).not.to.match(/JOIN|HOUR FROM|joining/);
  });

  const backends: [backend: FleetView['backend'], said: string | undefined][] = [
    ['vault-pki', 'nobody signs while this service is away, or Vault'],
    ['vault-kv', 'nobody signs while this service is away; Vault being away keeps one from signing that starts then'],
    ['files', 'nobody signs while this service is away; Vault being away keeps nobody from it'],
    [undefined, undefined],
  ];
  for (const [backend, said] of backends) {
    it(`says what an outage is where ${backend ?? 'somebody else'} signs`, () => {
      const lines = fleetAsText(view({ backend })).split('\n');
      expect(lines.find((line) => line.startsWith('nobody'))).to.equal(said);
    });
  }

  it('tells programs the same, with every hour', () => {
    const all = fleetAsJson(view()) as Readonly<Record<string, unknown>>;
    expect(all['nodes']).to.deep.equal({ counted: 122, banned: 1, gone: 3, unrecorded: 4, unreadable: 5 });
    expect(all['certificates']).to.deep.equal([
      {
        usage: 'client',
        valid: 120,
        overdue: 1,
        ended: 2,
        outageFromNow: { seconds: 9_000, node: 'worker-3' },
        outageAtAnyTime: { seconds: 6_750, node: 'worker-7' },
      },
      { usage: 'serving', valid: 0, overdue: 0, ended: 0, outageFromNow: null, outageAtAnyTime: null },
    ]);
    expect(all['lifetimes']).to.deep.equal([
      {
        pool: null,
        usage: 'client',
        lifetimeSeconds: 86_400,
        shortestSeconds: 67_200,
        renewedFromSeconds: 46_740,
        renewedToSeconds: 77_460,
        outageSeconds: 6_720,
      },
    ]);
    const last = { from: '2027-02-01T00:30:00Z', client: 0.3, serving: 0, joining: 2_000, all: 2_000.3 };
    expect(all['hours']).to.deep.equal([
      { from: '2027-01-31T22:30:00Z', client: 0, serving: 0, joining: 0, all: 0 },
      { from: '2027-01-31T23:30:00Z', client: 7.25, serving: 12.5, joining: 0, all: 19.75 },
      last,
    ]);
    expect(all['highestHour']).to.deep.equal(last);
    expect(all['signer']).to.deep.equal({
      backend: 'vault-pki',
      perSecond: 100,
      perHour: 360_000,
      shareInHighestHour: 2_000.3 / 360_000,
    });
    expect(all['join']).to.deep.equal({ nodes: 5_000, certificates: 10_000, seconds: 100 });
    expect(all['afterLongestOutage']).to.deep.include({ outageSeconds: 6_720, requests: 3_733.893 });
  });
});

describe('fleet plan', () => {
  for (const [args, said] of [
    [['--join', 'many'], '--join many: must be a number from 0 to 1000000'],
    [['--join', '-1'], '--join -1: must be a number from 0 to 1000000'],
    [['--hours', '0'], '--hours 0: must be a number from 1 to 8760'],
    [['--hours', '8761'], '--hours 8761: must be a number from 1 to 8760'],
    [['--rate', '0.5'], '--rate 0.5: must be a number from 1 to 100000'],
    [['-o', 'wide'], '-o wide: must be one of text, json'],
  ] as const) {
    it(`refuses ${args.join(' ')}`, async () => {
      const { code, err, out } = await ran('kubelet-bootstrap', ['fleet', 'plan', ...args]);
      expect({ code, out }).to.deep.equal({ code: 2, out: '' });
      expect(err).to.include(said);
    });
  }

  it('refuses a pool that is not in the config', async () => {
    const { code, err } = await withFile(withValues({}), (path) =>
      ran('kubelet-bootstrap', ['fleet', 'plan', '--config', path, '--join', '5', '--pool', 'gpu']),
    );
    expect(code).to.equal(3);
    expect(err).to.include('pool "gpu" is not in the config');
  });
});
