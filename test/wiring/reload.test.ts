import { expect } from 'chai';
import { beforeEach, describe, it } from 'mocha';
import { type Config, readConfig } from '../../src/config.ts';
import type { Metrics } from '../../src/ops/metrics.ts';
import { ConfigInForce } from '../../src/wiring/reload.ts';
import { withValues } from '../support/config-text.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { Reports } from '../support/memory-ports.ts';

const read = (changes: Readonly<Record<string, unknown>> = {}): Config =>
  readConfig('config.yaml', withValues({ pools: { workers: { nodeNames: 'worker-.*' } }, ...changes }));

describe('wiring/reload', () => {
  let reports: Reports;
  let metrics: Pick<Metrics, 'reloadFailed'>;
  let failures: number;
  let inForce: ConfigInForce;
  let told: number;
  beforeEach(() => {
    reports = new Reports();
    failures = 0;
    told = 0;
    metrics = { reloadFailed: () => (failures += 1) };
    inForce = new ConfigInForce(read(), { clock: new FakeClock(), log: reports.log, metrics: metrics as Metrics });
    inForce.subscribe(() => (told += 1));
  });
  const take = (changes: Readonly<Record<string, unknown>>): Promise<void> =>
    inForce.take(() => Promise.resolve(read(changes)));
  const admits = (name: string): boolean => inForce.policy.pools.get('workers')?.admitsNodeName(name) === true;

  it('leaves everything as it is while the file says the same', async () => {
    const { policy } = inForce;
    await take({});
    expect(inForce.policy).to.equal(policy);
    expect([told, reports.lines.length, inForce.current]).to.deep.equal([0, 0, true]);
  });

  it('puts what decisions go by in force, and tells of it', async () => {
    await take({ 'pools.workers.nodeNames': 'w-.*' });
    expect([admits('w-1'), admits('worker-1'), told, inForce.current]).to.deep.equal([true, false, 1, true]);
  });

  it('names what needs a restart once, and is not current until the file is as it was', async () => {
    await take({ 'approver.concurrency': 2 });
    await take({ 'approver.concurrency': 2 });
    expect(reports.lines.filter((line) => line.includes('needs a restart'))).to.have.length(1);
    expect([told, inForce.current]).to.deep.equal([0, false]);
    await take({ 'approver.concurrency': 2, 'approver.staleAfter': '20m' });
    expect([inForce.policy.staleAfterMs, told, inForce.current]).to.deep.equal([1_200_000, 1, false]);
    await take({ 'approver.staleAfter': '20m' });
    expect(inForce.current).to.equal(true);
  });

  it('keeps what was good while the file is wrong, and says so once for each thing that is wrong', async () => {
    const wrong = (): Promise<Config> => Promise.reject(new Error('no YAML'));
    await inForce.take(wrong);
    await inForce.take(wrong);
    expect([admits('worker-1'), told, failures, inForce.current]).to.deep.equal([true, 0, 1, false]);
    await take({});
    expect(inForce.current).to.equal(true);
    await inForce.take(wrong);
    expect(failures).to.equal(2);
  });
});
