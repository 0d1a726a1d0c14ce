import { after, afterEach, before, describe, it } from 'mocha';
import { expect } from 'chai';
import { accessReviews } from '../../src/kubernetes/access-reviews.ts';
import { csrListWatch, csrWriter } from '../../src/kubernetes/csrs.ts';
import { Events } from '../../src/kubernetes/events.ts';
import { connectCluster } from '../../src/kubernetes/kubeconfig.ts';
import { stateMaps } from '../../src/kubernetes/state-maps.ts';
import { tokenListWatch, tokenSecrets } from '../../src/kubernetes/token-secrets.ts';
import type { Transport } from '../../src/kubernetes/transport.ts';
import { claimsMapOf, formatClaim } from '../../src/nodes/record-format.ts';
import { stateOf } from '../../src/policy/csr-state.ts';
import { CLIENT_SIGNER, type Csr, type StateMaps } from '../../src/ports.ts';
import type { TokenRecord } from '../../src/tokens/token-secret.ts';
import { systemClock } from '../../src/runtime/clock.ts';
import { Informer, type WatchEvent } from '../../src/runtime/informer.ts';
import { drawToken } from '../../src/tokens/bootstrap-token.ts';
import { secretOfToken } from '../../src/tokens/token-secret.ts';
import { failureOf } from '../controllers/world.ts';
import { CSRS, csrBody, until } from '../support/crowd.ts';
import { buildCsrPem } from '../support/csr-builder.ts';
import { testAuthority } from '../support/test-authority.ts';
import { requireControlPlane } from '../support/servers.ts';

const never = new AbortController().signal;
const PREFIX = 'adapter-';

describe('the Kubernetes adapter on a real API server', function () {
  this.timeout(120_000);
  const controlPlane = requireControlPlane();
  let transport: Transport;
  before(() => {
    const options = { clock: systemClock, timeoutMs: 30_000, connections: 8, onCall: () => {} };
    ({ transport } = connectCluster(controlPlane().adminKubeconfig, options));
  });
  after(async () => {
    for (const csr of await all()) await controlPlane().admin.send('DELETE', `${CSRS}/${csr.name}`);
    await transport.close();
  });

  /** Our CSRs, over every page. */
  async function all(): Promise<Csr[]> {
    const source = csrListWatch(transport, CLIENT_SIGNER);
    const found: Csr[] = [];
    let token = '';
    do {
      const page = await source.list(token, never);
      found.push(...page.items);
      token = page.continueToken;
    } while (token !== '');
    return found.filter(({ name }) => name.startsWith(PREFIX));
  }
  async function create(name: string, metadata: object = {}): Promise<Csr> {
    const body = csrBody(PREFIX + name, buildCsrPem()) as { metadata: object };
    await controlPlane().admin.must('POST', CSRS, { ...body, metadata: { ...body.metadata, ...metadata } });
    return read(PREFIX + name);
  }
  async function read(name: string): Promise<Csr> {
    const csr = await csrWriter(transport).get(name, never);
    if (csr === undefined) throw new Error(`${name} is gone`);
    return csr;
  }

  describe('CSRs', () => {
    it('are streamed as they are listed', async () => {
      await create('streamed-1');
      await create('streamed-2');
      const found: Csr[] = [];
      const version = await csrListWatch(transport, CLIENT_SIGNER).stream?.((csr) => found.push(csr), never);
      expect(version).to.match(/^[0-9]+$/);
      const ours = found.filter(({ name }) => name.startsWith(PREFIX)).toSorted((a, b) => (a.name < b.name ? -1 : 1));
      expect(ours).to.deep.equal(await all());
    });

    it('are listed and watched, with bookmarks and a clean end', async () => {
      const source = csrListWatch(transport, CLIENT_SIGNER);
      const { resourceVersion } = await source.list('', never);
      const events: WatchEvent<Csr>[] = [];
      const watching = source.watch({ resourceVersion, timeoutSeconds: 10 }, (event) => events.push(event), never);
      const csr = await create('watched');
      await csrWriter(transport).remove(csr, never);
      await watching;
      const put = events.some((event) => event.type === 'put' && event.item.name === csr.name);
      const gone = events.some((event) => event.type === 'gone' && event.key === csr.name);
      expect({ put, gone }).to.deep.equal({ put: true, gone: true });
      expect(events.some(({ type }) => type === 'bookmark')).to.equal(true);
    });

    it('that are watched from a version that is too old, give Expired', async () => {
      const from = { resourceVersion: '1', timeoutSeconds: 5 };
      const watching = csrListWatch(transport, CLIENT_SIGNER).watch(from, () => {}, never);
      expect(await failureOf(watching)).to.include({ code: 'Expired' });
    });

    it('are approved and then issued with the version that came back, keeping what others wrote', async () => {
      const writer = csrWriter(transport);
      const csr = await create('issued', { labels: { team: 'a' }, annotations: { note: 'b' } });
      const approved = await writer.decide(csr, 'Approved', 'BootstrapApproved', 'in a test', never);
      const { certPem } = await testAuthority();
      const issued = await writer.issue(approved, certPem, never);
      const stored = await read(csr.name);
      expect(stateOf(stored)).to.equal('issued');
      expect(stored).to.deep.include({ labels: { team: 'a' }, annotations: { note: 'b' } });
      expect(stored.resourceVersion).to.equal(issued.resourceVersion);
      expect(stored.conditions[0]).to.include({ type: 'Approved', reason: 'BootstrapApproved', message: 'in a test' });
      expect(stored.certificate).to.deep.equal(issued.certificate);
    });

    it('that are marked Failed keep their approval', async () => {
      const writer = csrWriter(transport);
      const approved = await writer.decide(await create('failed'), 'Approved', 'r', 'm', never);
      await writer.fail(approved, 'UsagesNotExact', 'm', never);
      const stored = await read(approved.name);
      expect(stateOf(stored)).to.equal('failed');
      expect(stored.conditions.map(({ type }) => type)).to.have.members(['Approved', 'Failed']);
    });

    it('that changed meanwhile give Conflict, and those that are gone NotFound', async () => {
      const writer = csrWriter(transport);
      const csr = await create('changed');
      const approved = await writer.decide(csr, 'Approved', 'r', 'm', never);
      expect(await failureOf(writer.decide(csr, 'Denied', 'r', 'm', never))).to.include({ code: 'Conflict' });
      expect(await failureOf(writer.remove(csr, never)), 'an old version').to.include({ code: 'Conflict' });
      expect(await failureOf(writer.remove({ ...approved, uid: 'other' }, never))).to.include({ code: 'Conflict' });
      await writer.remove(approved, never);
      expect(await failureOf(writer.remove(approved, never))).to.include({ code: 'NotFound' });
      expect(await failureOf(writer.decide(approved, 'Approved', 'r', 'm', never))).to.include({ code: 'NotFound' });
      expect(await writer.get(approved.name, never)).to.equal(undefined);
    });
  });

  it('reviews access by the groups of a class, and by a user', async () => {
    const reviewer = accessReviews(transport);
    const nobody = { username: '', uid: '', groups: ['system:authenticated'], extra: {} };
    const nodes = { ...nobody, groups: ['system:nodes', 'system:authenticated'] };
    const granted = await reviewer.review('selfnodeclient', nodes, never);
    expect(granted.allowed).to.equal(true);
    expect(granted.reason).to.contain('kubeadm:node-autoapprove-certificate-rotation');
    expect(await reviewer.review('nodeclient', nodes, never)).to.include({ allowed: false });
    const admin = { username: 'admin', uid: '', groups: ['system:masters'], extra: { 'example.com/key': ['v'] } };
    expect(await reviewer.review('nodeclient', admin, never)).to.include({ allowed: true });
  });

  it('creates, marks and removes the Secret of a token, which its watch shows', async () => {
    const secrets = tokenSecrets(transport);
    const token = drawToken((count) => crypto.getRandomValues(new Uint8Array(count)));
    const now = Date.now();
    const parts = secretOfToken({
      token,
      binding: { kind: 'node', node: 'adapter.worker-1' },
      expiresAt: now + 600_000,
      issuedAt: now,
      publishingUntil: now + 120_000,
      vaultPath: 'nodes/adapter.worker-1',
      description: 'of a test',
    });
    const { resourceVersion } = await tokenListWatch(transport).list('', never);
    const stop = new AbortController();
    const seen: string[] = [];
    const take = (event: WatchEvent<TokenRecord>): void => {
      if (event.type === 'gone' && event.key === token.id) seen.push('gone');
      if (event.type === 'put' && event.item.id === token.id) {
        seen.push(event.item.publishingUntil === undefined ? 'published' : 'publishing');
      }
    };
    const from = { resourceVersion, timeoutSeconds: 60 };
    const watching = tokenListWatch(transport)
      .watch(from, take, stop.signal)
      .catch(() => {});

    const { record, createdAt } = await secrets.create(parts, never);
    expect(Math.abs(createdAt - Date.now())).to.be.lessThan(60_000);
    expect(record).to.deep.include({ id: token.id, ours: true, description: 'of a test' });
    expect(await failureOf(secrets.create(parts, never))).to.include({ code: 'AlreadyExists' });
    expect(await secrets.reveal(token.id, never)).to.equal(token.secret);
    await secrets.markPublished(record, never);
    expect(await secrets.get(token.id, never)).to.include({ publishingUntil: undefined });
    expect((await secrets.list(never)).map(({ id }) => id)).to.include(token.id);
    const stranger = { ...record, uid: '00000000-0000-0000-0000-000000000000' };
    expect(await failureOf(secrets.markPublished(stranger, never))).to.include({ code: 'Invalid' });
    await secrets.remove(stranger, never);
    expect(await secrets.get(token.id, never), 'another uid is another token').not.to.equal(undefined);
    await secrets.remove(record, never);
    await secrets.remove(record, never);
    expect(await secrets.get(token.id, never)).to.equal(undefined);
    await until('the watch shows the end', () => Promise.resolve(seen.length === 3));
    stop.abort();
    await watching;
    expect(seen).to.deep.equal(['publishing', 'published', 'gone']);
  });

  it('writes Events that `kubectl describe csr` finds, whatever the CSR is called', async () => {
    const dropped: string[] = [];
    const events = new Events({
      transport,
      clock: systemClock,
      instance: 'adapter-test',
      unique: () => crypto.randomUUID(),
      onDropped: (why) => dropped.push(why),
    });
    const csrs = await Promise.all([create('with-event'), create('With_Event-')]);
    for (const csr of csrs) {
      events.warn({ csr, reason: 'TokenExpired', message: 'ü'.repeat(2_000), source: csr.name });
    }
    await events.stop(never);
    expect(dropped).to.deep.equal([]);
    for (const csr of csrs) {
      const selector = encodeURIComponent(`involvedObject.uid=${csr.uid}`);
      const found = (await controlPlane().admin.must(
        'GET',
        `/api/v1/namespaces/default/events?fieldSelector=${selector}`,
      )) as { items: { reason: string; type: string; involvedObject: { name: string } }[] };
      expect(found.items).to.have.length(1);
      expect(found.items[0]).to.deep.include({ reason: 'TokenExpired', type: 'Warning' });
      expect(found.items[0]?.involvedObject.name).to.equal(csr.name);
    }
  });

  it('follows CSRs through a restart of the API server, and goes on with what came after it', async () => {
    const failures: string[] = [];
    const informer = new Informer({
      name: 'csrs',
      source: csrListWatch(transport, CLIENT_SIGNER),
      clock: systemClock,
      random: Math.random,
      onFailure: (message) => failures.push(message),
    });
    const told: string[] = [];
    informer.subscribe({
      put: (csr) => told.push(`put ${csr.name}`),
      gone: (csr) => told.push(`gone ${csr.name}`),
    });
    informer.start();
    try {
      await informer.synced;
      const before = await create('before');
      await until('the first CSR is seen', () => Promise.resolve(informer.get(before.name)));
      await controlPlane().restartApiServer();
      const later = await until('the API server answers', () => create('after').catch(() => undefined));
      await until('the second CSR is seen', () => Promise.resolve(informer.get(later.name)));
      expect(informer.fresh()).to.equal(true);
      expect(failures.length).to.be.greaterThan(0);
      await csrWriter(transport).remove(later, never);
      await until('its end is seen', () => Promise.resolve(told.includes(`gone ${later.name}`)));
    } finally {
      await informer.stop();
    }
  });

  describe('state maps', () => {
    const NAME = claimsMapOf('abcdef');
    const PATH = '/api/v1/namespaces/default/configmaps';
    const maps = (): StateMaps => stateMaps(transport, 'default');
    afterEach(() => controlPlane().admin.send('DELETE', `${PATH}/${NAME}`));
    const claim = (node: string): Record<string, string> => ({ [node]: formatClaim({ node, key: 'k', at: 1 }) });

    it('are made where they are missing, and keep what others wrote', async () => {
      await maps().write(NAME, { ...claim('n-1'), gone: null }, undefined, never);
      await maps().write(NAME, claim('n-2'), undefined, never);
      const written = await maps().write(NAME, { ...claim('n-3'), 'n-1': null }, undefined, never);
      expect([...written.claims.keys()]).to.have.members(['n-2', 'n-3']);
      expect(await maps().get(NAME, never)).to.deep.equal(written);
    });

    it('are a conflict to all but the first of those that read the same', async () => {
      const first = await maps().write(NAME, claim('n-1'), '', never);
      expect(await failureOf(maps().write(NAME, claim('n-2'), '', never))).to.include({ code: 'Conflict' });
      await maps().write(NAME, claim('n-2'), first.resourceVersion, never);
      const late = maps().write(NAME, claim('n-3'), first.resourceVersion, never);
      expect(await failureOf(late)).to.include({ code: 'Conflict' });
    });

    it('say of no key whose it is', async () => {
      await maps().write(NAME, claim('n-1'), undefined, never);
      for (const node of ['n-2', 'n-3']) await maps().write(NAME, claim(node), undefined, never);
      const { metadata } = (await controlPlane().admin.must('GET', `${PATH}/${NAME}`)) as { metadata: object };
      expect(metadata).to.include({ name: NAME }).and.not.have.property('managedFields');
    });
  });
});
