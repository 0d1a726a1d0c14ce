import { expect } from 'chai';
import { beforeEach, describe, it } from 'mocha';
import { RecordBook } from '../../src/controllers/record-book.ts';
import { emptyRecord, type NodeRecord } from '../../src/nodes/node-record.ts';
import { banChange, formatRecord, releaseChange, shardOf } from '../../src/nodes/record-format.ts';
import type { IssuedCertificate } from '../../src/pki/certificate-summary.ts';
import { CLIENT_SIGNER, type Csr, SERVING_SIGNER } from '../../src/ports.ts';
import { Foreground } from '../../src/runtime/foreground.ts';
import { goodCsr } from '../policy/good-request.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { Calls, remoteError, Reports } from '../support/memory-ports.ts';
import { MemoryState } from '../support/memory-state.ts';
import { bootstrapUser, HOUR, never, nodeUser } from './world.ts';

const NODE = 'worker-1';
const POOL_USER = bootstrapUser({ kind: 'pool', pool: 'workers' });
const print = (number: number): string => String(number).padStart(64, '0');

describe('controllers/record-book', () => {
  let calls: Calls;
  let state: MemoryState;
  let clock: FakeClock;
  let reports: Reports;
  let book: RecordBook;
  beforeEach(() => {
    calls = new Calls();
    state = new MemoryState(calls);
    clock = new FakeClock();
    reports = new Reports();
    book = newBook();
  });

  function newBook(loaded = true): RecordBook {
    const made = new RecordBook({
      stored: state.view,
      maps: state,
      vouchedBy: (id) => (id === 'abcdef' ? ['10.0.0.1'] : undefined),
      foreground: new Foreground(clock),
      clock,
      random: () => 0.5,
      log: reports.log,
    });
    state.subscribe((map) => made.stored(map));
    if (loaded) made.loaded();
    return made;
  }

  function issued(number: number, change: Partial<Csr> = {}, certificate: Partial<IssuedCertificate> = {}): Csr {
    const node = certificate.commonName ?? `system:node:${NODE}`;
    return goodCsr('bootstrap', {
      csr: {
        name: `csr-${number}`,
        createdAt: clock.now() + number,
        requester: bootstrapUser(),
        issued: true,
        certificate: {
          fingerprint: print(number),
          key: 'key',
          commonName: node,
          serial: '01',
          notBefore: clock.now() + number,
          notAfter: clock.now() + 24 * HOUR + number,
          issuer: 'ca',
          addresses: [],
          ...certificate,
        },
        ...change,
      },
    });
  }

  function recordOf(node = NODE, of = book): NodeRecord | undefined {
    const record = of.get(node);
    if (!record.known) throw new Error(record.why);
    return record.value;
  }
  const writes = (): string[] => calls.made.filter((call) => call.startsWith('write'));
  const ofNode = (node: string): Partial<IssuedCertificate> => ({ commonName: `system:node:${node}` });
  const seenWith = (number: number): Csr => {
    const id = { 'authentication.kubernetes.io/credential-id': [`X509SHA256=${print(number)}`] };
    return goodCsr('renewal', { csr: { requester: { ...nodeUser(), extra: id } } });
  };

  it('knows of a certificate at once, and writes it within five seconds', async () => {
    book.saw(issued(1));
    expect(recordOf()?.certificates[0]?.fingerprint).to.equal(print(1));
    expect(recordOf()).to.deep.include({ addresses: ['10.0.0.1'] });
    expect(writes()).to.deep.equal([]);
    await clock.advance(5_000);
    expect(state.dataOf(shardOf(NODE))[NODE]).to.equal(formatRecord(recordOf() ?? emptyRecord(NODE)));
  });

  it('writes many nodes with one write a shard', async () => {
    for (let number = 0; number < 500; number += 1) {
      book.saw(issued(number, { requester: POOL_USER }, { ...ofNode(`n-${number}`), fingerprint: print(number) }));
    }
    await clock.advance(5_000);
    expect(writes().length).to.be.at.most(64);
    expect(state.names.flatMap((name) => Object.keys(state.dataOf(name)))).to.have.length(500);
  });

  it('waits while more keep coming, a minute at most', async () => {
    const flow = async (from: number): Promise<void> => {
      for (let number = from; number < from + 50; number += 1) {
        book.saw(issued(number, { requester: POOL_USER }, { ...ofNode(`n-${number}`), fingerprint: print(number) }));
        await clock.advance(1_000);
      }
    };
    await flow(0);
    expect(writes()).to.deep.equal([]);
    await flow(50);
    expect(writes().length).to.be.within(1, 64);
    await clock.advance(60_000);
    expect(writes().length).to.be.at.most(128);
    expect(state.names.flatMap((name) => Object.keys(state.dataOf(name)))).to.have.length(100);
  });

  it('writes nothing for what is on record, whatever the watch tells again', async () => {
    book.saw(issued(1));
    await clock.advance(5_000);
    calls.made.length = 0;
    for (const _round of [1, 2]) {
      book.saw(issued(1, { createdAt: clock.now() - 4_999 }));
      state.show();
      await clock.advance(6_000);
    }
    expect(writes()).to.deep.equal([]);
    expect(recordOf()?.certificates).to.have.length(1);
  });

  it('keeps what could not be written, and writes it later', async () => {
    calls.fail('write state', remoteError('Unavailable'));
    book.saw(issued(1));
    await clock.advance(5_000);
    expect(state.names).to.deep.equal([]);
    expect(recordOf()?.certificates).to.have.length(1);
    await clock.advance(60_000);
    expect(state.names).to.deep.equal([shardOf(NODE)]);
  });

  it('writes what it has when it stops', async () => {
    book.saw(issued(1));
    await book.stop(never);
    expect(state.names).to.deep.equal([shardOf(NODE)]);
  });

  it('says what outlives it: a record as it is stored', async () => {
    book.saw(issued(1));
    expect(book.asStored(NODE)).to.equal(undefined);
    await clock.advance(5_000);
    state.show();
    book.saw(seenWith(1));
    expect([book.asStored(NODE)?.token?.seenAt, recordOf()?.token?.seenAt]).to.deep.equal([undefined, clock.now()]);
    await clock.advance(5_000);
    state.show();
    expect(book.asStored(NODE)?.token?.seenAt).to.equal(clock.now() - 5_000);
  });

  it('needs the CSR as a journal until the watch shows the record', async () => {
    const csr = issued(1);
    book.saw(csr);
    expect(book.isRecorded(csr)).to.equal(false);
    await clock.advance(5_000);
    expect(book.isRecorded(csr)).to.equal(false);
    state.show();
    expect(book.isRecorded(csr)).to.equal(true);
  });

  it('needs no CSR of which nothing goes on record', () => {
    expect(book.isRecorded(issued(1, { certificate: undefined }))).to.equal(true);
    expect(book.isRecorded(issued(1, {}, { commonName: 'somebody' }))).to.equal(true);
    expect(book.isRecorded(issued(1, { signerName: 'example.com/other' }))).to.equal(true);
  });

  it('needs an old CSR no more when two newer certificates are stored', async () => {
    for (const number of [1, 2, 3]) book.saw(issued(number));
    await clock.advance(5_000);
    state.show();
    for (const number of [1, 2, 3]) {
      expect(book.isRecorded(issued(number, { createdAt: clock.now() - 5_000 + number })), `${number}`).to.equal(true);
    }
  });

  it('takes down after a restart what was not written, and loses nothing that was', async () => {
    book.saw(issued(1));
    await clock.advance(5_000);
    state.show();
    const again = newBook(false);
    expect(again.fresh()).to.equal(false);
    again.saw(issued(2, { createdAt: clock.now(), requester: nodeUser() }));
    again.loaded();
    expect(again.fresh()).to.equal(true);
    expect(recordOf(NODE, again)?.certificates.map(({ fingerprint }) => fingerprint)).to.deep.equal([
      print(2),
      print(1),
    ]);
    expect(recordOf(NODE, again)).to.deep.include({ adopted: false });
  });

  it('sees a node by the certificate that it comes with', async () => {
    book.saw(issued(1));
    book.saw(seenWith(2));
    expect(recordOf()?.token?.seenAt).to.equal(undefined);
    await clock.advance(500);
    book.saw(seenWith(1));
    expect(recordOf()?.token?.seenAt).to.equal(clock.now());
  });

  it('takes bans and releases as they are stored, and never overwrites them', async () => {
    book.saw(issued(1));
    const ban = { since: 1, reason: 'x' };
    await state.write(
      shardOf(NODE),
      { ...banChange(NODE, ban), ...releaseChange('n', { until: 5 }) },
      undefined,
      never,
    );
    state.show();
    expect(recordOf()?.ban).to.deep.equal(ban);
    await clock.advance(5_000);
    state.show();
    expect(recordOf()?.ban).to.deep.equal(ban);
    expect(recordOf('n')).to.deep.equal(shardOf('n') === shardOf(NODE) ? recordOf('n') : undefined);
  });

  it('uses up a release with the first certificate after it, and not with a renewal', async () => {
    const release = (): Promise<unknown> =>
      state.write(shardOf(NODE), releaseChange(NODE, { until: clock.now() + HOUR }), undefined, never);
    book.saw(issued(1));
    await clock.advance(5_000);
    await release();
    state.show();
    book.saw(issued(5_000, { requester: nodeUser() }));
    await clock.advance(5_000);
    state.show();
    expect(recordOf()?.release).to.not.equal(undefined);
    book.saw(issued(9_000));
    expect(recordOf()?.release, 'before that is written').to.equal(undefined);
    await clock.advance(5_000);
    state.show();
    expect(recordOf()?.release).to.equal(undefined);
  });

  it('says that a record is unreadable, and writes nothing over it', async () => {
    await state.write(shardOf(NODE), { [NODE]: '{' }, undefined, never);
    state.show();
    book.saw(issued(1));
    expect(book.get(NODE)).to.include({ known: false });
    await clock.advance(5_000);
    expect(state.dataOf(shardOf(NODE))).to.deep.equal({ [NODE]: '{' });
    expect(book.isRecorded(issued(1))).to.equal(true);
  });

  it('writes nothing over a record that became unreadable before its turn came', async () => {
    book.saw(issued(1));
    await clock.advance(4_000);
    await state.write(shardOf(NODE), { [NODE]: '{' }, undefined, never);
    state.show();
    calls.made.length = 0;
    await clock.advance(60_000);
    expect(writes()).to.deep.equal([]);
    expect(book.get(NODE)).to.include({ known: false });
    expect(clock.timers).to.equal(0);
  });

  it('takes nothing down of a certificate that somebody else asked for', () => {
    book.saw(issued(1, { requester: nodeUser('worker-2') }));
    expect(recordOf()).to.equal(undefined);
    expect(book.isRecorded(issued(1, { requester: nodeUser('worker-2') }))).to.equal(true);
  });

  it('forgets a node 30 days after its last certificate, unless it is banned or there', async () => {
    for (const node of ['n-1', 'n-2', 'n-3'])
      book.saw(issued(1, { requester: POOL_USER }, { ...ofNode(node), fingerprint: node.padEnd(64, '0') }));
    await clock.advance(5_000);
    await state.write(shardOf('n-2'), banChange('n-2', { since: 1, reason: '' }), undefined, never);
    state.show();
    await clock.advance(31 * 24 * HOUR - 10_000);
    await book.forget(() => false, never);
    state.show();
    expect([recordOf('n-1')?.node, recordOf('n-3')?.node]).to.deep.equal(['n-1', 'n-3']);
    await clock.advance(20_000);
    await book.forget((node) => node === 'n-3', never);
    state.show();
    expect([recordOf('n-1')?.node, recordOf('n-2')?.node, recordOf('n-3')?.node]).to.deep.equal([
      undefined,
      'n-2',
      'n-3',
    ]);
  });

  it('counts the nodes of a pool: with a valid certificate, or with a place reserved', async () => {
    book.saw(issued(1, { requester: POOL_USER }, ofNode('n-1')));
    book.saw(issued(2, { requester: POOL_USER }, { ...ofNode('n-2'), notAfter: clock.now() }));
    book.saw(issued(3, { requester: bootstrapUser({ kind: 'node', node: 'n-3' }) }, ofNode('n-3')));
    book.reserve('n-4', 'workers');
    book.reserve('n-5', 'others');
    expect(book.othersInPool('workers', 'n-9', clock.now())).to.equal(2);
    expect(book.othersInPool('workers', 'n-1', clock.now())).to.equal(1);
    await clock.advance(HOUR);
    expect(book.othersInPool('workers', 'n-9', clock.now())).to.equal(1);
  });

  it('says that an address is of the node that it was given to with its token, while that has a certificate', () => {
    book.saw(issued(1));
    const now = clock.now();
    expect(book.ownersOf('10.0.0.1', now)).to.deep.equal([NODE]);
    expect(book.ownersOf('10.0.0.2', now)).to.deep.equal([]);
    expect(book.ownersOf('10.0.0.1', now + 25 * HOUR)).to.deep.equal([]);
  });

  it('takes down the addresses of serving certificates', () => {
    book.saw(issued(1, { signerName: SERVING_SIGNER }, { addresses: ['10.0.0.7'] }));
    expect(recordOf()?.serving?.addresses).to.deep.equal(['10.0.0.7']);
    expect(recordOf()?.certificates).to.deep.equal([]);
    book.saw(issued(2, { signerName: CLIENT_SIGNER }));
    expect(recordOf()?.serving?.addresses).to.deep.equal(['10.0.0.7']);
  });
});
