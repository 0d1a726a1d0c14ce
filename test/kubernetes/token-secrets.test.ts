import { expect } from 'chai';
import { describe, it } from 'mocha';
import { tokenListWatch, tokenSecrets } from '../../src/kubernetes/token-secrets.ts';
import type { WatchEvent } from '../../src/runtime/informer.ts';
import { secretOfToken, type TokenRecord } from '../../src/tokens/token-secret.ts';
import { failureOf, SECRET_PART } from '../controllers/world.ts';
import { json, status } from '../support/fault-apiserver.ts';
import { never, TransportFixture } from './fixture.ts';

const PATH = '/api/v1/namespaces/kube-system/secrets';
const NOW = Date.UTC(2026, 5, 1);

const parts = secretOfToken({
  token: { id: 'abcdef', secret: SECRET_PART },
  binding: { kind: 'node', node: 'worker-17' },
  expiresAt: NOW + 3_600_000,
  issuedAt: NOW,
  publishingUntil: NOW + 120_000,
  vaultPath: 'nodes/worker-17',
  description: undefined,
});

/** The Secret as the API server sends it. */
function wire(change: { name?: string; data?: Readonly<Record<string, string>> } = {}): object {
  const data = Object.entries(change.data ?? parts.data);
  return {
    metadata: {
      name: change.name ?? parts.name,
      uid: 'u1',
      resourceVersion: '7',
      labels: parts.labels,
      annotations: parts.annotations,
    },
    type: 'bootstrap.kubernetes.io/token',
    data: Object.fromEntries(data.map(([key, value]) => [key, Buffer.from(value).toString('base64')])),
  };
}

describe('kubernetes/token-secrets', () => {
  const fixture = new TransportFixture();
  const open = (): ReturnType<typeof tokenSecrets> => tokenSecrets(fixture.transport());
  async function record(): Promise<TokenRecord> {
    fixture.server.answer = json(200, wire());
    const found = await open().get('abcdef', never);
    fixture.server.seen.length = 0;
    if (found === undefined) throw new Error('no token');
    return found;
  }

  it('create a Secret of the type that logs in, and keep nothing of its secret part', async () => {
    fixture.server.answer = json(201, wire());
    const { record: created } = await open().create(parts, never);
    expect(fixture.server.seen[0]).to.deep.include({ method: 'POST', path: PATH });
    expect(fixture.server.seen[0]?.body).to.deep.include({
      kind: 'Secret',
      type: 'bootstrap.kubernetes.io/token',
      stringData: parts.data,
    });
    expect(created).to.deep.include({ id: 'abcdef', binding: { kind: 'node', node: 'worker-17' }, ours: true });
    expect(JSON.stringify(created)).not.to.contain(SECRET_PART);
  });

  it('tell an ID that is taken', async () => {
    fixture.server.answer = status(409, 'AlreadyExists', 'already exists');
    expect(await failureOf(open().create(parts, never))).to.include({ code: 'AlreadyExists' });
  });

  it('list, watch and leave out what only looks like a token', async () => {
    const items = [wire(), wire({ name: 'token-abcdef' }), wire({ name: 'bootstrap-token-ABCDEF' })];
    fixture.server.answer = json(200, { metadata: { resourceVersion: '1' }, items });
    expect((await open().list(never)).map(({ id }) => id)).to.deep.equal(['abcdef']);
    const { items: listed } = await tokenListWatch(fixture.transport()).list('', never);
    expect(listed.map(({ id }) => id)).to.deep.equal(['abcdef']);
    const selectors = fixture.server.seen.map(({ query }) => query.get('fieldSelector'));
    expect(new Set(selectors)).to.deep.equal(new Set(['type=bootstrap.kubernetes.io/token']));
  });

  it('tell by the name of a Secret which token is gone, and nothing of what only looks like one', async () => {
    const names = ['bootstrap-token-abcdef', 'bootstrap.token.abcdef', 'bootstrap-token-ABCDEF'];
    const lines = names.map((name) => JSON.stringify({ type: 'DELETED', object: wire({ name }) }));
    fixture.server.answer = (_request, response) => response.end(`${lines.join('\n')}\n`);
    const told: string[] = [];
    const take = (event: WatchEvent<TokenRecord>): void => {
      told.push('key' in event ? `${event.type} ${event.key}` : event.type);
    };
    await tokenListWatch(fixture.transport()).watch({ resourceVersion: '1', timeoutSeconds: 60 }, take, never);
    expect(told).to.deep.equal(['gone abcdef', 'bookmark', 'bookmark']);
  });

  it('get one by its ID, and undefined for what is gone', async () => {
    expect(await record()).to.deep.include({ id: 'abcdef', publishingUntil: NOW + 120_000 });
    fixture.server.answer = status(404, 'NotFound', 'gone');
    expect(await open().get('abcdef', never)).to.equal(undefined);
    expect(fixture.server.seen[0]).to.include({ path: `${PATH}/bootstrap-token-abcdef` });
  });

  it('reveal the secret part only when that is asked for', async () => {
    fixture.server.answer = json(200, wire());
    expect(await open().reveal('abcdef', never)).to.equal(SECRET_PART);
  });

  it('take the mark off with a merge patch that names the uid', async () => {
    const token = await record();
    await open().markPublished(token, never);
    const [seen] = fixture.server.seen;
    expect(seen).to.deep.include({ method: 'PATCH', path: `${PATH}/bootstrap-token-abcdef` });
    expect(seen?.headers['content-type']).to.equal('application/merge-patch+json');
    expect(seen?.body).to.deep.equal({
      metadata: { uid: 'u1', annotations: { 'kubelet-bootstrap/publishing-until': null } },
    });
  });

  it('remove by uid, and take gone and replaced for done', async () => {
    const token = await record();
    await open().remove(token, never);
    expect(fixture.server.seen[0]?.body).to.deep.include({ preconditions: { uid: 'u1' } });
    for (const [code, reason] of [
      [404, 'NotFound'],
      [409, 'Conflict'],
    ] as const) {
      fixture.server.answer = status(code, reason, 'no');
      await open().remove(token, never);
    }
    fixture.server.answer = status(403, 'Forbidden', 'no');
    expect(await failureOf(open().remove(token, never))).to.include({ code: 'Forbidden' });
  });
});
