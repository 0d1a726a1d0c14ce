import { expect } from 'chai';
import { after, before, describe, it } from 'mocha';
import type { Service } from '../../scripts/servers/service.ts';
import { until } from '../support/crowd.ts';
import { requireService } from '../support/running-service.ts';
import { OURS, timeIn, type TokenShelf, tokenShelf } from '../support/token-shelf.ts';

const PREFIX = 'token-cleaner-test';
const PUBLISHING_UNTIL = 'kubelet-bootstrap/publishing-until';
const MINUTE = 60_000;

describe('the cleaner of tokens on the real API server and OpenBao', function () {
  this.timeout(60_000);
  const running = requireService(
    { controllers: ['cleaner'], vault: { prefix: PREFIX }, cleaner: { interval: '1s' } },
    false,
  );
  let shelf: TokenShelf;
  const tokens = new Map<string, string>();

  const tokenOf = (name: string): string => tokens.get(name) ?? '';
  const idOf = (name: string): string => tokenOf(name).slice(0, 6);
  const secretOf = (name: string): ReturnType<TokenShelf['secret']> => shelf.secret(idOf(name));
  const fetchable = async (name: string): Promise<boolean> =>
    (await shelf.entry(`nodes/${name}`)).data?.['token'] === tokenOf(name);

  async function put(
    name: string,
    options: { expiresInMs?: number; publishingInMs?: number; published?: boolean; foreign?: boolean; node?: string },
  ): Promise<void> {
    const { expiresInMs = 30 * MINUTE, publishingInMs, published = true, foreign = false, node = name } = options;
    const path = `nodes/${node}`;
    const mark = publishingInMs === undefined ? {} : { [PUBLISHING_UNTIL]: timeIn(publishingInMs) };
    const token = await shelf.putSecret({
      groups: foreign ? 'system:bootstrappers:kubeadm:default-node-token' : `system:bootstrappers:node:${node}`,
      expiresInMs,
      ...(foreign ? {} : { labels: OURS, annotations: { 'kubelet-bootstrap/vault-path': path, ...mark } }),
    });
    tokens.set(name, token);
    if (published && !foreign) await shelf.putEntry(path, token);
  }

  /** The tokens that this service says it has removed, or would remove, with the reason of each. */
  function said(service: Service, message: string): Record<string, unknown> {
    const lines = service.lines() as unknown as { message: string; tokenId?: string; why?: string }[];
    const nameOf = new Map([...tokens].map(([name, token]) => [token.slice(0, 6), name]));
    const ours = lines.flatMap((line) => {
      const name = nameOf.get(line.tokenId ?? '');
      return line.message === message && name !== undefined ? [[name, line.why]] : [];
    });
    return Object.fromEntries(ours) as Record<string, unknown>;
  }

  const REMOVED = {
    'tc-expired': 'expired',
    'tc-unpublished': 'half-done',
    'tc-replaced': 'expired',
    'tc-never-published': 'expired',
  };

  before('there is a token of every kind', async () => {
    const { controlPlane, openBao } = running();
    shelf = tokenShelf(controlPlane, openBao, PREFIX);
    await put('tc-good', {});
    await put('tc-expired', { expiresInMs: -MINUTE });
    await put('tc-never-published', { expiresInMs: -MINUTE, published: false });
    await put('tc-foreign', { expiresInMs: -MINUTE, foreign: true });
    await put('tc-unpublished', { publishingInMs: -MINUTE, published: false });
    await put('tc-published', { publishingInMs: -MINUTE });
    await put('tc-publishing', { publishingInMs: 2 * MINUTE, published: false });
    await put('tc-replaced', { expiresInMs: -MINUTE, node: 'tc-successor' });
    await put('tc-successor', {});
  });
  after('close the connections', () => shelf?.close());

  it('with dryRun names each token that would go and why, and changes nothing', async () => {
    const service = await running().start({ cleaner: { interval: '1s', dryRun: true } });
    const message = 'token would be removed (dry run)';
    await until('it has named them', async () => Object.keys(said(service, message)).length >= 4);
    await service.stop();
    expect(said(service, message)).to.deep.equal(REMOVED);
    for (const name of tokens.keys()) expect(await secretOf(name), name).not.to.equal(undefined);
    expect(await fetchable('tc-expired')).to.equal(true);
    expect((await secretOf('tc-published'))?.metadata.annotations).to.have.property(PUBLISHING_UNTIL);
  });

  describe('after one pass', () => {
    before(async () => {
      const service = await running().start();
      await until('they are removed and the other one is marked', async () => {
        const annotations = (await secretOf('tc-published'))?.metadata.annotations ?? {};
        return Object.keys(said(service, 'token removed')).length >= 4 && !(PUBLISHING_UNTIL in annotations);
      });
      await service.stop();
      expect(said(service, 'token removed')).to.deep.equal(REMOVED);
    });

    it('an expired token is withdrawn from Vault, so that a machine can tell, and its Secret is gone', async () => {
      const { status, metadata } = await shelf.entry('nodes/tc-expired');
      expect({ status, destroyed: metadata?.destroyed }).to.deep.equal({ status: 404, destroyed: true });
      expect(await secretOf('tc-expired')).to.equal(undefined);
      expect(await secretOf('tc-never-published')).to.equal(undefined);
    });

    it('an expired token of a node that has another one in Vault is gone, and the other one stays', async () => {
      expect(await secretOf('tc-replaced')).to.equal(undefined);
      expect(await fetchable('tc-successor')).to.equal(true);
      expect(await shelf.whoIs(tokenOf('tc-successor'))).not.to.equal(undefined);
    });

    it('an expired token that somebody else made stays', async () => {
      expect(await secretOf('tc-foreign')).not.to.equal(undefined);
    });

    it('a token whose publication never ended is gone, once the time for it is over', async () => {
      expect(await secretOf('tc-unpublished')).to.equal(undefined);
      const publishing = await secretOf('tc-publishing');
      expect(publishing?.metadata.annotations).to.have.property(PUBLISHING_UNTIL);
    });

    it('a token that is in Vault all the same is good, and the mark of its publication is taken off', async () => {
      const secret = await secretOf('tc-published');
      expect(secret?.metadata.annotations).to.deep.equal({ 'kubelet-bootstrap/vault-path': 'nodes/tc-published' });
      expect(await fetchable('tc-published')).to.equal(true);
      expect(await shelf.whoIs(tokenOf('tc-published'))).not.to.equal(undefined);
    });

    it('a good token stays', async () => {
      expect(await secretOf('tc-good')).not.to.equal(undefined);
      expect(await fetchable('tc-good')).to.equal(true);
    });
  });

  describe('while Vault is sealed', () => {
    it('an expired token stays, and goes when it is unsealed', async () => {
      const { openBao } = running();
      const service = await running().start();
      await openBao.seal();
      try {
        await put('tc-sealed', { expiresInMs: -MINUTE, published: false });
        await until('a pass has failed on it', async () =>
          service.lines().some((line) => 'what' in line && line.what === idOf('tc-sealed')),
        );
        expect(await secretOf('tc-sealed')).not.to.equal(undefined);
      } finally {
        await openBao.unseal();
      }
      await until('it is gone', async () => (await secretOf('tc-sealed')) === undefined);
      expect(service.log()).not.to.include(tokenOf('tc-sealed').slice(7));
    });
  });
});
