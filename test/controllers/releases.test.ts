import { expect } from 'chai';
import { beforeEach, describe, it } from 'mocha';
import { Releases } from '../../src/controllers/releases.ts';
import { emptyRecord, type NodeRecord } from '../../src/nodes/node-record.ts';
import { FakeClock } from '../support/fake-clock.ts';

const NODE = 'worker-1';
const MINUTE = 60_000;
const RELEASE = { until: 7 };

describe('controllers/releases', () => {
  let clock: FakeClock;
  let releases: Releases;
  beforeEach(() => {
    clock = new FakeClock();
    releases = new Releases(clock);
  });
  const recordOf = (usedAt: number, release = true): NodeRecord => ({
    ...emptyRecord(NODE),
    token: { id: 'abcdef', pool: undefined, key: '', usedAt, seenAt: undefined },
    release: release ? RELEASE : undefined,
  });

  it('is for anybody until one takes it, then for that one alone', () => {
    expect(releases.isFor(NODE, 'a')).to.equal(true);
    expect(releases.take(NODE, 'a')).to.equal(true);
    expect(releases.take(NODE, 'b')).to.equal(false);
    expect([releases.isFor(NODE, 'a'), releases.isFor(NODE, 'b')]).to.deep.equal([true, false]);
    expect(releases.take(NODE, 'a')).to.equal(true);
    expect(releases.take('worker-2', 'b')).to.equal(true);
  });

  it('goes to another when the one that took it has no certificate after a minute', async () => {
    releases.take(NODE, 'a');
    await clock.advance(MINUTE);
    expect(releases.isFor(NODE, 'b')).to.equal(true);
    expect(releases.take(NODE, 'b')).to.equal(true);
    expect(releases.isFor(NODE, 'a')).to.equal(false);
  });

  it('is over with a first certificate, and not with a renewal', () => {
    releases.changed(recordOf(1), recordOf(1, false));
    expect(releases.isUsed(NODE, RELEASE)).to.equal(false);
    releases.changed(recordOf(1), recordOf(2));
    expect(releases.isUsed(NODE, RELEASE)).to.equal(true);
  });

  it('is another one when it has another end, also before the first is gone', () => {
    releases.changed(recordOf(1), recordOf(2));
    releases.stored(NODE, RELEASE);
    expect(releases.isUsed(NODE, RELEASE)).to.equal(true);
    expect(releases.isUsed(NODE, { until: 8 })).to.equal(false);
    releases.stored(NODE, undefined);
    expect(releases.isUsed(NODE, RELEASE)).to.equal(false);
  });
});
