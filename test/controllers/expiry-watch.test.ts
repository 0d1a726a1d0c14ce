import { expect } from 'chai';
import { beforeEach, describe, it } from 'mocha';
import { ExpiryWatch, type ExpiryWatchOptions } from '../../src/controllers/expiry-watch.ts';
import type { Reading, Thing } from '../../src/expiry/thing.ts';
import type { ExpirySource, Notice } from '../../src/ports.ts';
import { FakeClock, settled } from '../support/fake-clock.ts';
import { never } from './world.ts';

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
const HOME = { apiVersion: 'v1', kind: 'Namespace', name: 'home' };
const HOOK = { apiVersion: 'admissionregistration.k8s.io/v1', kind: 'ValidatingWebhookConfiguration', name: 'hook' };

describe('controllers/expiry-watch', () => {
  let clock: FakeClock;
  let hooks: Map<string, Reading>;
  let failure: Error | undefined;
  let notices: Notice[];
  let lines: string[];
  let takesEvents: boolean;
  let fileReads: number;
  let answer: (() => Promise<Thing[]>) | undefined;
  let options: ExpiryWatchOptions;
  let watch: ExpiryWatch;
  beforeEach(() => {
    clock = new FakeClock();
    hooks = new Map();
    failure = undefined;
    notices = [];
    lines = [];
    takesEvents = true;
    const line =
      (level: string) =>
      (fields: Readonly<Record<string, unknown>>, message: string): void =>
        void lines.push(`${level} ${String(fields['level'])}: ${message}`);
    const source: ExpirySource = {
      kind: 'validating-webhook',
      read: () => {
        if (failure !== undefined) return Promise.reject(failure);
        if (answer !== undefined) return answer();
        const things = [...hooks].map(([name, reading]): Thing => {
          return { kind: 'validating-webhook', name, object: { ...HOOK, name }, reading };
        });
        return Promise.resolve(things);
      },
    };
    const file: Thing = { kind: 'file', name: '/ca.crt', object: undefined, reading: { kind: 'none', note: '' } };
    fileReads = 0;
    answer = undefined;
    const readFile = (): Promise<Thing[]> => {
      fileReads += 1;
      return Promise.resolve([file]);
    };
    options = {
      sources: [source, { kind: 'file', name: '/ca.crt', read: readFile }],
      thresholds: { warningMs: 30 * DAY, criticalMs: 7 * DAY },
      intervalMs: HOUR,
      clock,
      events: {
        warn: (notice) => {
          if (takesEvents) notices.push(notice);
          return takesEvents;
        },
      },
      home: HOME,
      log: { debug: line('debug'), info: line('info'), warn: line('warn'), error: line('error') },
    };
    watch = new ExpiryWatch(options);
  });
  const ends = (leftMs: number, lifeMs = 365 * DAY): Reading => ({
    kind: 'ends',
    endsAt: clock.now() + leftMs,
    lifeMs,
    note: 'CN=hook',
  });
  /** The next look, when its time has come. */
  const look = async (): Promise<void> => {
    await clock.advance(watch.nextInMs());
    await watch.look(never);
  };
  const reasons = (): string[] => notices.map(({ reason }) => reason);

  it('tells once for each threshold, on the object itself', async () => {
    hooks.set('hook', ends(29 * DAY));
    await look();
    await look();
    expect(reasons()).to.deep.equal(['ExpiresSoon']);
    expect(notices[0]).to.deep.include({ object: HOOK });
    expect(notices[0]?.message).to.equal('validating-webhook hook ends at 2026-06-30T00:00:00Z, in 696h: CN=hook');
    await clock.advance(23 * DAY);
    await look();
    await clock.advance(6 * DAY);
    await look();
    await look();
    expect(reasons()).to.deep.equal(['ExpiresSoon', 'ExpiresVerySoon', 'Expired']);
    expect(lines.map((line) => line.split(':')[0])).to.deep.equal(['warn warning', 'error critical', 'error expired']);
  });

  it('says in the log when it was renewed, and tells anew the next time', async () => {
    hooks.set('hook', ends(DAY));
    await look();
    hooks.set('hook', ends(365 * DAY));
    await look();
    await look();
    expect(lines.at(-1)).to.equal('info ok: has an end that is far again');
    hooks.set('hook', ends(DAY));
    await look();
    expect(reasons()).to.deep.equal(['ExpiresVerySoon', 'ExpiresVerySoon']);
    expect(lines).to.have.length(3);
  });

  it('tells an Event that was one too many at the next look, without another log line', async () => {
    takesEvents = false;
    hooks.set('hook', ends(DAY));
    await look();
    takesEvents = true;
    await look();
    await look();
    expect(reasons()).to.deep.equal(['ExpiresVerySoon']);
    expect(lines).to.have.length(1);
  });

  it('forgets what is gone', async () => {
    hooks.set('hook', ends(DAY));
    await look();
    hooks.clear();
    await look();
    expect(watch.rows().map(({ kind }) => kind)).to.deep.equal(['file']);
    hooks.set('hook', ends(DAY));
    await look();
    expect(reasons()).to.have.length(2);
  });

  it('keeps what was known beside the reason why it cannot be read, makes no Event of that, and looks again soon', async () => {
    hooks.set('hook', ends(60 * DAY));
    await look();
    expect(watch.nextInMs()).to.equal(HOUR);
    failure = new Error('forbidden');
    await look();
    await look();
    expect(watch.rows().map(({ name, level, reading }) => [name, level, reading.note])).to.deep.equal([
      ['*', 'unreadable', 'forbidden'],
      ['hook', 'ok', 'CN=hook'],
      ['/ca.crt', 'none', ''],
    ]);
    expect(lines).to.deep.equal(['warn unreadable: validating-webhook *: unreadable: forbidden']);
    expect(notices).to.deep.equal([]);
    expect(watch.nextInMs()).to.equal(5 * MINUTE);
    failure = undefined;
    await look();
    expect(watch.rows().map(({ level }) => level)).to.deep.equal(['ok', 'none']);
  });

  it('looks again when something is about to pass a threshold, so that what is renewed never seems forgotten', async () => {
    hooks.set('hook', ends(20 * MINUTE, HOUR));
    await look();
    expect(watch.nextInMs(), 'the last twelfth is five minutes').to.equal(15 * MINUTE);
    await clock.advance(watch.nextInMs());
    hooks.set('hook', ends(HOUR, HOUR));
    await look();
    expect(notices).to.deep.equal([]);
    expect(fileReads, 'what is not due is left alone').to.equal(1);
    expect(watch.nextInMs()).to.equal(45 * MINUTE);
    await look();
    expect(fileReads).to.equal(2);
    expect(watch.nextInMs(), 'its own last twelfth').to.equal(10 * MINUTE);
  });

  it('never looks more often than once a minute', async () => {
    hooks.set('hook', ends(1_000));
    await look();
    expect(watch.nextInMs()).to.equal(MINUTE);
  });

  it('counts down between two looks', async () => {
    hooks.set('hook', ends(40 * DAY));
    await look();
    await clock.advance(35 * DAY);
    expect(watch.rows()[0]).to.include({ level: 'critical', leftMs: 5 * DAY });
  });

  it('knows since when it has looked at everything', async () => {
    expect([watch.lookedAt, watch.nextInMs()]).to.deep.equal([undefined, 0]);
    hooks.set('hook', ends(50 * MINUTE, 2 * HOUR));
    await look();
    const first = clock.now();
    expect(watch.lookedAt).to.equal(first);
    await look();
    expect(clock.now(), 'the hook is looked at again').to.equal(first + 40 * MINUTE);
    expect(watch.lookedAt, 'and the file is not').to.equal(first);
  });

  it('shows what it has seen while something else does not answer', async () => {
    const { promise, resolve } = Promise.withResolvers<Thing[]>();
    hooks.set('hook', ends(60 * DAY));
    answer = () => promise;
    const looking = watch.look(never);
    await settled();
    expect(watch.rows().map(({ kind }) => kind)).to.deep.equal(['file']);
    resolve([]);
    await looking;
  });

  it('looks at nothing where there is nothing to look at', async () => {
    const idle = new ExpiryWatch({ ...options, sources: [] });
    await idle.look(never);
    expect([idle.lookedAt, idle.nextInMs(), idle.rows()]).to.deep.equal([undefined, HOUR, []]);
  });

  it('ends quietly when the service stops in the middle', async () => {
    failure = new Error('aborted');
    await watch.look(AbortSignal.abort());
    expect(watch.lookedAt).to.equal(undefined);
    expect(lines).to.deep.equal([]);
  });
});
