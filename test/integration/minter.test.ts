import { expect } from 'chai';
import { after, before, describe, it } from 'mocha';
import { runProgram, type Service } from '../../scripts/servers/service.ts';
import { until } from '../support/crowd.ts';
import { requireService } from '../support/running-service.ts';
import { OURS, timeIn, type TokenShelf, tokenShelf } from '../support/token-shelf.ts';

const PREFIX = 'minter-test';
const GROUP = 'system:bootstrappers:pool:';
const MINUTE = 60_000;

describe('the minter on the real API server and OpenBao', function () {
  this.timeout(60_000);
  const running = requireService(
    {
      controllers: ['minter'],
      vault: { prefix: PREFIX },
      pools: {
        'mi-blue': { nodeNames: 'blue-[0-9]+', tokenLifetime: '10m' },
        'mi-green': { nodeNames: 'green-[0-9]+', tokenLifetime: '20m' },
      },
    },
    false,
  );
  let shelf: TokenShelf;
  let predecessor: string;
  let first: Service;

  before('a token of the pool mi-blue is past half its life', async () => {
    const { controlPlane, openBao } = running();
    shelf = tokenShelf(controlPlane, openBao, PREFIX);
    predecessor = await shelf.putSecret({
      groups: `${GROUP}mi-blue`,
      expiresInMs: 4 * MINUTE,
      labels: OURS,
      annotations: {
        'kubelet-bootstrap/vault-path': 'pools/mi-blue',
        'kubelet-bootstrap/issued-at': timeIn(-6 * MINUTE),
      },
    });
    await shelf.putEntry('pools/mi-blue', predecessor);
    first = await running().start();
  });
  after('close the connections', () => shelf?.close());

  /** The token that stands in Vault, once it is another one than `old`. */
  function next(pool: string, old: string | undefined): Promise<string> {
    return until(`another token stands in Vault for ${pool}`, async () => {
      const { data } = await shelf.entry(`pools/${pool}`);
      return data?.['token'] === old ? undefined : data?.['token'];
    });
  }

  async function idsOf(pool: string): Promise<(string | undefined)[]> {
    return (await shelf.secretsOf(GROUP + pool)).map(({ data }) => data['token-id']);
  }

  /** Why tokens of the pool were minted; said a moment after the token stands in Vault. */
  function reasons(pool: string, count: number): Promise<unknown[]> {
    return until('the minter has said so', () => {
      const lines = running().service().lines() as unknown as { message: string; pool?: string; why?: string }[];
      const minted = lines.filter((line) => line.message === 'pool token minted' && line.pool === pool);
      return Promise.resolve(minted.length >= count && minted.map(({ why }) => why));
    });
  }

  it('fills a pool that has no token: Secret and Vault entry agree', async () => {
    const token = await next('mi-green', undefined);
    const [secret] = await until('its publication is marked as done', async () => {
      const secrets = await shelf.secretsOf(`${GROUP}mi-green`);
      const marked = secrets.some(
        ({ metadata }) => 'kubelet-bootstrap/publishing-until' in (metadata.annotations ?? {}),
      );
      return !marked && secrets;
    });
    const { data, custom } = await shelf.entry('pools/mi-green');
    const expiration = secret?.data['expiration'] ?? '';
    expect(`${secret?.data['token-id']}.${secret?.data['token-secret']}`).to.equal(token);
    expect(secret?.metadata.annotations?.['kubelet-bootstrap/vault-path']).to.equal('pools/mi-green');
    expect({ expiration, id: secret?.data['token-id'] })
      .to //
      .deep.equal({ expiration: data?.['expires_at'], id: custom['token-id'] });
    const issuedAt = secret?.metadata.annotations?.['kubelet-bootstrap/issued-at'] ?? '';
    expect(Date.parse(expiration) - Date.parse(issuedAt)).to.equal(20 * MINUTE);
    expect((await shelf.whoIs(token))?.groups).to.include(`${GROUP}mi-green`);
  });

  it('replaces a token at half its life, and the predecessor lives on to its own end', async () => {
    const token = await next('mi-blue', predecessor);
    expect(await reasons('mi-blue', 1)).to.deep.equal(['half-life']);
    expect(await idsOf('mi-blue')).to.have.members([predecessor.slice(0, 6), token.slice(0, 6)]);
    expect((await shelf.whoIs(predecessor))?.groups).to.include(`${GROUP}mi-blue`);
  });

  it('makes another token, long before its time, when the Secret of the one that it just made is deleted', async () => {
    const { data } = await shelf.entry('pools/mi-green');
    const old = data?.['token'] ?? '';
    await shelf.removeSecret(old.slice(0, 6));
    const token = await next('mi-green', old);
    expect(await reasons('mi-green', 2)).to.deep.equal(['no token', 'no token']);
    expect(await idsOf('mi-green')).to.deep.equal([token.slice(0, 6)]);
    expect(await shelf.whoIs(token)).not.to.equal(undefined);
  });

  it('after a restart mints nothing where all is well, and anew where the Vault entry is gone', async () => {
    const [blue] = await idsOf('mi-blue');
    const current = (await shelf.entry('pools/mi-blue')).data?.['token'];
    const old = (await shelf.entry('pools/mi-green')).data?.['token'] ?? '';
    await running().service().stop();
    await shelf.removeEntry('pools/mi-green');
    const service = await running().start();
    const token = await next('mi-green', undefined);
    expect(token).not.to.equal(old);
    expect(await reasons('mi-green', 1)).to.deep.equal(['not in Vault']);
    expect(await idsOf('mi-green')).to.have.members([old.slice(0, 6), token.slice(0, 6)]);
    expect(await service.metric('kubelet_bootstrap_tokens_minted_total')).to.equal(1);
    expect((await shelf.entry('pools/mi-blue')).data?.['token']).to.equal(current);
    expect(await idsOf('mi-blue')).to.include(blue);
  });

  it('counts a token that somebody reports stolen, and mints another', async () => {
    const { service, controlPlane } = running();
    const stolen = await next('mi-green', undefined);
    const args = ['--config', service().configFile, '--kubeconfig', controlPlane.adminKubeconfig];
    const { code, stderr } = await runProgram('bootstrap-token', ['report-stolen', stolen.slice(0, 6), ...args]);
    expect(code, stderr).to.equal(0);
    await until('it is counted', async () => {
      return (await service().metric('kubelet_bootstrap_tokens_reported_stolen_total')) === 1;
    });
    await next('mi-green', undefined);
    expect((await shelf.secretsOf(`${GROUP}mi-green`)).map(({ data }) => data['token-id'])) //
      .not.to.include(stolen.slice(0, 6));
  });

  it('never logs the secret part of a token', async () => {
    const secrets = [...(await shelf.secretsOf(`${GROUP}mi-blue`)), ...(await shelf.secretsOf(`${GROUP}mi-green`))];
    const log = first.log() + running().service().log();
    for (const { data } of secrets) expect(log).not.to.include(data['token-secret']);
  });
});
