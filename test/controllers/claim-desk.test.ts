import { expect } from 'chai';
import { beforeEach, describe, it } from 'mocha';
import { ClaimDesk } from '../../src/controllers/claim-desk.ts';
import type { ClaimRequest } from '../../src/controllers/seats.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { Calls, remoteError } from '../support/memory-ports.ts';
import { MemoryState } from '../support/memory-state.ts';
import { failureOf, never } from './world.ts';

const TOKEN = 'abcdef';
const MAP = `token-claims-${TOKEN}`;

describe('controllers/claim-desk', () => {
  let calls: Calls;
  let state: MemoryState;
  let clock: FakeClock;
  let desk: ClaimDesk;
  beforeEach(() => {
    calls = new Calls();
    state = new MemoryState(calls);
    clock = new FakeClock();
    desk = newDesk();
  });
  const newDesk = (): ClaimDesk => new ClaimDesk({ stored: state.view, maps: state, clock });
  const ask = (node: string, change: Partial<ClaimRequest> = {}, of = desk): Promise<string> =>
    of.claim({ tokenId: TOKEN, uses: 2, node, key: `key-${node}`, at: clock.now(), ...change }, never);
  const nodes = (count: number): string[] => Array.from({ length: count }, (_, index) => `n-${index}`);

  it('gives as many uses as there are, and not one more', async () => {
    expect(await ask('a')).to.equal('claimed');
    expect(await ask('b')).to.equal('claimed');
    expect(await ask('c')).to.equal('usedUp');
    expect(Object.keys(state.dataOf(MAP))).to.deep.equal(['a', 'b']);
  });

  it('writes the claims of many that ask at once together', async () => {
    const outcomes = await Promise.all(nodes(200).map((node) => ask(node, { uses: 50 })));
    expect(outcomes.filter((outcome) => outcome === 'claimed')).to.have.length(50);
    expect(Object.keys(state.dataOf(MAP))).to.have.length(50);
    expect(calls.made.filter((call) => call.startsWith('write')).length).to.be.at.most(3);
  });

  it('never gives more than there are to two processes that give at once', async () => {
    const other = newDesk();
    const outcomes = await Promise.all(
      nodes(200).map((node, index) => ask(node, { uses: 50 }, index % 2 === 0 ? desk : other)),
    );
    expect(outcomes.filter((outcome) => outcome === 'claimed')).to.have.length(50);
    expect(Object.keys(state.dataOf(MAP))).to.have.length(50);
  });

  it('counts a node once, whatever key it comes with, and keeps the time of its first claim', async () => {
    await ask('a', { at: 1 });
    expect(await ask('a', { key: 'another', at: 2 })).to.equal('claimed');
    await ask('b');
    expect(await ask('a', { key: 'third', at: 3 })).to.equal('claimed');
    expect(JSON.parse(state.dataOf(MAP)['a'] ?? '')).to.deep.equal({ key: 'third', at: 1 });
    expect([desk.usedByOthers(TOKEN, 'a'), desk.usedByOthers(TOKEN, 'c')]).to.deep.equal([1, 2]);
  });

  it('writes nothing for a claim that stands already', async () => {
    await ask('a');
    calls.made.length = 0;
    expect(await ask('a')).to.equal('claimed');
    expect(calls.made).to.deep.equal([]);
  });

  it('finds a claim whose answer was lost', async () => {
    state.loseAnswer = true;
    expect(await failureOf(ask('a'))).to.include({ code: 'Unavailable' });
    expect(await ask('a')).to.equal('claimed');
    expect(await ask('b')).to.equal('claimed');
    expect(await ask('c')).to.equal('usedUp');
  });

  it('lets those that asked together fail together, and serves the next', async () => {
    calls.fail('write state', remoteError('Unavailable'));
    const [first, second] = await Promise.allSettled([ask('a'), ask('b')]);
    expect(first.status).to.equal('rejected');
    expect(second?.status).to.equal('fulfilled');
    expect(await ask('a')).to.equal('claimed');
  });

  it('knows after a restart what was claimed before', async () => {
    await Promise.all([ask('a'), ask('b')]);
    state.show();
    const again = newDesk();
    expect(again.usedByOthers(TOKEN, 'c')).to.equal(2);
    expect(await ask('b', {}, again)).to.equal('claimed');
    expect(await ask('c', {}, again)).to.equal('usedUp');
  });

  it('gives nothing of a token without uses', async () => {
    expect(await ask('a', { uses: 0 })).to.equal('usedUp');
    expect(state.names).to.deep.equal([]);
  });

  it('removes the claims of tokens that are gone, unless they are young', async () => {
    state.createdAt = clock.now();
    await ask('a');
    await ask('a', { tokenId: 'zzzzzz' });
    state.show();
    const exists = (id: string): boolean => id === 'zzzzzz';
    await clock.advance(299_999);
    await desk.sweep(exists, never);
    expect(state.names).to.have.length(2);
    await clock.advance(1);
    await desk.sweep(exists, never);
    expect(state.names).to.deep.equal(['token-claims-zzzzzz']);
  });
});
