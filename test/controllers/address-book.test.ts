import { expect } from 'chai';
import { describe, it } from 'mocha';
import { AddressBook, type AddressBookOptions } from '../../src/controllers/address-book.ts';
import { parseRanges } from '../../src/policy/addresses.ts';
import type { AddressFacts, Fact } from '../../src/policy/facts.ts';
import { viewRequest } from '../../src/policy/request.ts';
import { goodCsr, NODE, recorded, ruleInput } from '../policy/good-request.ts';
import { FakeClock } from '../support/fake-clock.ts';

const CLUSTER = { serviceRanges: parseRanges(['10.96.0.0/16']).ranges, apiServer: ['10.0.0.1'] };
const node = { name: 'worker-2', uid: 'u', createdAt: 0, beingDeleted: false };

function book(change: Partial<AddressBookOptions> = {}): AddressBook {
  return new AddressBook({
    cluster: () => ({ known: true, value: CLUSTER }),
    inventory: () => ({ known: true, value: undefined }),
    records: { get: () => ({ known: true, value: recorded() }), ownersOf: () => [] },
    nodes: { get: () => node },
    given: { fresh: () => true, ownersOf: () => [] },
    clock: new FakeClock(),
    ...change,
  });
}

function factsOf(change: Partial<AddressBookOptions> = {}): Fact<AddressFacts> {
  const { request, policy } = ruleInput('serving', { parts: { ips: ['10.1.2.3', 'fd00::17'] } });
  return book(change).factsFor(request, policy);
}

function known(change: Partial<AddressBookOptions>): AddressFacts {
  const facts = factsOf(change);
  if (!facts.known) throw new Error(facts.why);
  return facts.value;
}
const inventory = (entries: readonly (readonly [string, readonly string[]])[]): Partial<AddressBookOptions> => {
  const read = new Map(entries);
  return { inventory: () => ({ known: true, value: read }) };
};
const recordsOf = (owners: readonly string[], addresses: readonly string[] = []): Partial<AddressBookOptions> => ({
  records: {
    get: () => ({ known: true, value: recorded({ addresses }) }),
    ownersOf: (address) => (address === '10.1.2.3' ? owners : []),
  },
});

describe('controllers/address-book', () => {
  it("passes on what is the cluster's own", () => {
    expect(known({})).to.deep.include({ ...CLUSTER, vouched: undefined });
  });

  it('puts together what inventory and token vouch for', () => {
    const all = known({ ...inventory([[NODE, ['10.1.2.3', 'w1.example.org']]]), ...recordsOf([], ['FD00::17']) });
    expect(all.vouched).to.deep.equal(['10.1.2.3', 'w1.example.org', 'fd00:0:0:0:0:0:0:17']);
  });

  it('has nobody vouch for a node that the inventory does not know', () => {
    expect(known(inventory([['worker-2', ['10.9.9.9']]])).vouched).to.equal(undefined);
  });

  it("names the inventory's owner of an address, unless it is the node itself", () => {
    expect(known(inventory([['worker-2', ['10.1.2.3']]])).owners).to.deep.equal(new Map([['10.1.2.3', 'worker-2']]));
    expect(known(inventory([[NODE, ['10.1.2.3']]])).owners.size).to.equal(0);
  });

  it("names the inventory's owner of a DNS name, unless it is the node itself", () => {
    expect(known(inventory([['worker-2', [NODE]]])).owners).to.deep.equal(new Map([[NODE, 'worker-2']]));
    expect(known(inventory([[NODE, [NODE]]])).owners.size).to.equal(0);
  });

  it('names the node that has the name by a suffix, while that node is there', () => {
    const there = (name: string): Partial<AddressBookOptions> => ({
      nodes: { get: (asked) => (asked === name ? { ...node, name } : undefined) },
    });
    const worker = viewRequest(goodCsr('serving', { parts: { dns: ['w.ec2.internal'], ips: [] } }));
    const { policy } = ruleInput('serving');
    const ownersOf = (name: string): unknown => {
      const facts = book(there(name)).factsFor(worker, policy);
      return facts.known && [...facts.value.owners];
    };
    expect(ownersOf('w')).to.deep.equal([['w.ec2.internal', 'w']]);
    expect(ownersOf('w.ec2')).to.deep.equal([]);
    expect(ownersOf(NODE)).to.deep.equal([]);
  });

  it('names the node whose serving certificate has the address, while that node is there', () => {
    expect(known(recordsOf(['worker-2'])).owners).to.deep.equal(new Map([['10.1.2.3', 'worker-2']]));
    expect(known({ ...recordsOf(['worker-2']), nodes: { get: () => undefined } }).owners.size).to.equal(0);
    expect(known(recordsOf([NODE])).owners.size).to.equal(0);
  });

  it('names the node that the address was given to with a token, there or not, unless it is the node itself', () => {
    const to = (owner: string): Partial<AddressBookOptions> => ({
      given: { fresh: () => true, ownersOf: (address) => (address === '10.1.2.3' ? [owner] : []) },
      nodes: { get: () => undefined },
    });
    expect(known(to('worker-9')).owners).to.deep.equal(new Map([['10.1.2.3', 'worker-9']]));
    expect(known(to(NODE)).owners.size).to.equal(0);
  });

  it('knows nothing while tokens may be missing', () => {
    expect(factsOf({ given: { fresh: () => false, ownersOf: () => [] } }).known).to.equal(false);
  });

  for (const [what, change] of [
    ["the cluster's own addresses", { cluster: () => ({ known: false, why: 'no' }) as const }],
    ['the inventory', { inventory: () => ({ known: false, why: 'no' }) as const }],
    ['the record', { records: { get: () => ({ known: false, why: 'no' }) as const, ownersOf: () => [] } }],
  ] as const) {
    it(`knows nothing while ${what} cannot be read`, () => {
      expect(factsOf(change)).to.deep.equal({ known: false, why: 'no' });
    });
  }
});
