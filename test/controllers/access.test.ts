import { expect } from 'chai';
import { beforeEach, describe, it } from 'mocha';
import { AccessByClass } from '../../src/controllers/access.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { Calls, MemoryAccess, remoteError } from '../support/memory-ports.ts';
import { bootstrapUser, never, nodeUser } from './world.ts';

const POOL = { kind: 'pool', pool: 'workers' } as const;
const YES = { known: true, value: { allowed: true, reason: 'RBAC: allowed by ClusterRoleBinding "test"' } };

describe('controllers/access', () => {
  let clock: FakeClock;
  let calls: Calls;
  let rbac: MemoryAccess;
  let access: AccessByClass;
  beforeEach(() => {
    clock = new FakeClock();
    calls = new Calls();
    rbac = new MemoryAccess(calls);
    access = new AccessByClass({ reviewer: rbac, clock, mode: 'class' });
  });
  const bootstrap = (id = 'abcdef'): ReturnType<AccessByClass['review']> =>
    access.review('nodeclient', bootstrapUser({ kind: 'node', node: 'worker-1' }, id), never);

  it('asks with the groups of the class alone: no user, and never the group of one node', async () => {
    rbac.granted.add('nodeclient system:bootstrappers').add('selfnodeclient system:nodes');
    expect(await bootstrap()).to.deep.equal(YES);
    expect(await access.review('selfnodeclient', nodeUser(), never)).to.deep.equal(YES);
    expect(calls.made).to.deep.equal([
      'review nodeclient  system:bootstrappers,system:authenticated',
      'review selfnodeclient  system:nodes,system:authenticated',
    ]);
  });

  it('asks with the group of the pool after a no to the class', async () => {
    rbac.granted.add('nodeclient system:bootstrappers:pool:workers');
    expect(await access.review('nodeclient', bootstrapUser(POOL), never)).to.deep.equal(YES);
    expect(calls.made.map((call) => call.split(' ').at(-1))).to.deep.equal([
      'system:bootstrappers,system:authenticated',
      'system:bootstrappers,system:bootstrappers:pool:workers,system:authenticated',
    ]);
  });

  it('keeps a yes for 5 s', async () => {
    rbac.granted.add('nodeclient system:bootstrappers');
    await bootstrap();
    await clock.advance(4_999);
    rbac.granted.clear();
    expect(await bootstrap('ghijkl')).to.deep.equal(YES);
    expect(calls.made).to.have.length(1);
    await clock.advance(1);
    expect(await bootstrap()).to.have.nested.property('value.allowed', false);
  });

  it('keeps a no for 30 s', async () => {
    await bootstrap();
    const asked = calls.made.length;
    rbac.granted.add('nodeclient system:bootstrappers');
    await clock.advance(29_999);
    expect(await bootstrap()).to.have.nested.property('value.allowed', false);
    expect(calls.made.filter((call) => call.includes('nodeclient  '))).to.have.length(1);
    await clock.advance(1);
    expect(await bootstrap()).to.deep.equal(YES);
    expect(calls.made.length).to.be.greaterThan(asked);
  });

  it('asks once for all who ask at the same time', async () => {
    rbac.granted.add('nodeclient system:bootstrappers');
    const answers = await Promise.all(Array.from({ length: 100 }, (_, number) => bootstrap(`token${number % 10}`)));
    expect(answers).to.deep.equal(answers.map(() => YES));
    expect(calls.made).to.have.length(1);
  });

  it('answers what it cannot ask as unknown, and does not keep that', async () => {
    rbac.granted.add('nodeclient system:bootstrappers');
    calls.fail('review', remoteError('Forbidden'));
    expect(await bootstrap()).to.deep.equal({ known: false, why: 'the test says Forbidden' });
    expect(await bootstrap()).to.deep.equal(YES);
  });

  for (const code of ['Unavailable', 'TooManyRequests'] as const) {
    it(`throws ${code}, which is worth a retry, and does not keep that`, async () => {
      rbac.granted.add('nodeclient system:bootstrappers');
      calls.fail('review', remoteError(code));
      expect(await bootstrap().catch((error: unknown) => error)).to.include({ code });
      expect(await bootstrap()).to.deep.equal(YES);
    });
  }

  it('asks for single users of a class with a no at most twice a second', async () => {
    for (let step = 0; step < 100; step += 1) {
      await bootstrap(`user${String(step).padStart(2, '0')}`);
      await clock.advance(100);
    }
    const full = calls.made.filter((call) => call.includes('system:bootstrap:'));
    expect(full.length).to.be.within(19, 20);
  });

  it('keeps the yes of a single user for the signer, who asks right after the approver', async () => {
    rbac.granted.add('nodeclient system:bootstrap:abcdef');
    expect(await bootstrap()).to.deep.equal(YES);
    expect(await bootstrap()).to.deep.equal(YES);
    expect(await bootstrap('ghijkl')).to.have.nested.property('value.allowed', false);
    expect(calls.made.filter((call) => call.includes('system:bootstrap:'))).to.have.length(1);
  });

  it('limits the kinds apart', async () => {
    rbac.granted.add('selfnodeclient system:node:worker-1');
    await bootstrap();
    expect(await access.review('selfnodeclient', nodeUser(), never)).to.deep.equal(YES);
  });

  it('in the mode full asks for every requester by itself, every time', async () => {
    access = new AccessByClass({ reviewer: rbac, clock, mode: 'full' });
    rbac.granted.add('nodeclient system:bootstrap:abcdef');
    for (let count = 0; count < 3; count += 1) expect(await bootstrap()).to.deep.equal(YES);
    expect(await bootstrap('ghijkl')).to.have.nested.property('value.allowed', false);
    expect(calls.made).to.have.length(4);
    expect(calls.made.every((call) => call.includes('system:bootstrap:'))).to.equal(true);
    calls.fail('review', remoteError('Forbidden'));
    expect(await bootstrap()).to.include({ known: false });
  });
});
