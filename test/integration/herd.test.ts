import { expect } from 'chai';
import { after, before, describe, it } from 'mocha';
import { findBinaries } from '../../scripts/servers/binaries.ts';
import { type OpenBao, startOpenBao } from '../../scripts/servers/openbao.ts';
import { newSupervisor } from '../../scripts/servers/servers.ts';
import { bootHerd, type HerdNode, percentile, prepareHerd } from '../support/herd.ts';

describe('a herd of machines that boot at once, with a real OpenBao', function () {
  this.timeout(180_000);
  const supervisor = newSupervisor({ write: () => {} });
  let bao: OpenBao;
  let nodes: HerdNode[];

  before(async () => {
    bao = await startOpenBao(supervisor, (await findBinaries(['bao'])).bao);
    nodes = await prepareHerd(bao, 200);
  });
  after(() => supervisor.stop());

  const boot = { scripts: 6, scriptsAtOnce: 2, spreadSeconds: 2, deadlineSeconds: 120 };

  it('gets each its own token', async () => {
    const { succeeded, failures, peakPerSecond, durations } = await bootHerd({ ...boot, bao, nodes });
    expect(failures).to.deep.equal([]);
    expect(succeeded).to.equal(200);
    process.stderr.write(`    peak ${peakPerSecond} calls/s, p99 ${percentile(durations, 0.99).toFixed(0)} ms\n`);
  });

  it('gets each its own token when Vault is sealed while they boot, by retries that are spread, too', async () => {
    await bao.seal();
    let retries = 0;
    const refused = Promise.withResolvers<void>();
    const onRetry = (): void => {
      retries += 1;
      if (retries === 200) refused.resolve();
    };
    const booting = bootHerd({ ...boot, bao, nodes, scripts: 2, onRetry });
    await refused.promise;
    await bao.unseal();
    const { succeeded, failures } = await booting;
    expect(failures).to.deep.equal([]);
    expect(succeeded).to.equal(200);
  });

  it('gets each its own token from a Vault that limits their rate', async () => {
    await bao.root('POST', 'sys/quotas/config', { enable_rate_limit_response_headers: true });
    await bao.root('POST', 'sys/quotas/rate-limit/herd', { rate: 20, interval: '1s', path: 'auth/herd' });
    try {
      const { succeeded, failures, retries } = await bootHerd({ ...boot, bao, nodes, scripts: 2 });
      expect(failures).to.deep.equal([]);
      expect(succeeded).to.equal(200);
      expect(retries).to.be.greaterThan(0);
    } finally {
      await bao.root('DELETE', 'sys/quotas/rate-limit/herd');
    }
  });
});
