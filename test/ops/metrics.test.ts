import { expect } from 'chai';
import { describe, it } from 'mocha';
import { Metrics, signerLabel } from '../../src/ops/metrics.ts';
import { CLIENT_SIGNER, SERVING_SIGNER } from '../../src/ports.ts';
import { NO_SOURCES } from '../support/metric-sources.ts';

describe('ops/metrics', () => {
  async function lines(metrics: Metrics): Promise<string[]> {
    return (await metrics.registry.metrics()).split('\n').filter((line) => line.startsWith('kubelet_bootstrap_'));
  }

  it('has these names and labels, and no other', async () => {
    const metrics = new Metrics(NO_SOURCES);
    const own = (await metrics.registry.getMetricsAsJSON()).filter(({ name }) => name.startsWith('kubelet_bootstrap_'));
    const labels = (name: string): string =>
      (
        (metrics.registry.getSingleMetric(name) as unknown as { labelNames: string[] } | undefined)?.labelNames ?? []
      ).join();
    expect(
      own.map(({ name }) => `${name.slice('kubelet_bootstrap_'.length)}{${labels(name)}}`).toSorted(),
    ).to.deep.equal([
      'api_call_seconds{verb,resource,status}',
      'ca_expiry_timestamp_seconds{role}',
      'certificates_not_as_planned_total{signer}',
      'config_admits_nearly_everything{}',
      'config_current{}',
      'config_reload_failures_total{}',
      'csrs_removed_total{why}',
      'csrs{signer,state}',
      'decisions_total{signer,verdict,reason}',
      'events_dropped_total{why}',
      'expiry_looked_timestamp_seconds{}',
      'expiry_seconds{kind,name}',
      'expiry_things{kind,level}',
      'failed_total{signer,reason}',
      'informer_fresh{informer}',
      'informer_objects{informer}',
      'issue_seconds{signer}',
      'mint_failures_total{pool}',
      'nodes_late{}',
      'pool_token_expiry_timestamp_seconds{pool}',
      'pool_tokens{pool}',
      'queue_delayed{controller}',
      'queue_depth{controller}',
      'queue_in_flight{controller}',
      'remarks_total{signer,code}',
      'retries_total{controller}',
      'signatures_withheld_total{signer,reason}',
      'signer_held{}',
      'tokens_minted_total{kind}',
      'tokens_removed_total{why}',
      'tokens_reported_stolen_total{}',
      'vault_call_seconds{operation,outcome}',
      'vault_problem{operation,cause}',
    ]);
  });

  it('count what the controllers report', async () => {
    const metrics = new Metrics(NO_SOURCES);
    metrics.decided(CLIENT_SIGNER, 'wait', 'TokenExpired');
    metrics.decided(CLIENT_SIGNER, 'wait', 'TokenExpired');
    metrics.issued(SERVING_SIGNER, 0.3);
    metrics.issued(SERVING_SIGNER, -5);
    metrics.remarked(CLIENT_SIGNER, 'CredentialAdopted');
    metrics.withheld(CLIENT_SIGNER, 'AccessNotGranted');
    metrics.failed('example.com/other', 'UsagesNotExact');
    metrics.notAsPlanned(CLIENT_SIGNER);
    metrics.removedCsr('issued');
    metrics.removedToken('expired');
    metrics.minted('pool');
    metrics.mintFailed('workers');
    metrics.reloadFailed();
    metrics.retried('approver');
    metrics.eventDropped('limited');
    metrics.apiCall({ verb: 'get', resource: 'secrets', status: '200', seconds: 0.01 });
    metrics.vaultCall({ operation: 'read', outcome: 'ok', seconds: 0.01 });
    expect(await lines(metrics)).to.include.members([
      'kubelet_bootstrap_decisions_total{signer="client",verdict="wait",reason="TokenExpired"} 2',
      'kubelet_bootstrap_issue_seconds_count{signer="serving"} 2',
      'kubelet_bootstrap_issue_seconds_sum{signer="serving"} 0.3',
      'kubelet_bootstrap_config_reload_failures_total 1',
      'kubelet_bootstrap_remarks_total{signer="client",code="CredentialAdopted"} 1',
      'kubelet_bootstrap_signatures_withheld_total{signer="client",reason="AccessNotGranted"} 1',
      'kubelet_bootstrap_failed_total{signer="other",reason="UsagesNotExact"} 1',
      'kubelet_bootstrap_certificates_not_as_planned_total{signer="client"} 1',
      'kubelet_bootstrap_csrs_removed_total{why="issued"} 1',
      'kubelet_bootstrap_tokens_removed_total{why="expired"} 1',
      'kubelet_bootstrap_tokens_minted_total{kind="pool"} 1',
      'kubelet_bootstrap_mint_failures_total{pool="workers"} 1',
      'kubelet_bootstrap_retries_total{controller="approver"} 1',
      'kubelet_bootstrap_events_dropped_total{why="limited"} 1',
      'kubelet_bootstrap_api_call_seconds_count{verb="get",resource="secrets",status="200"} 1',
      'kubelet_bootstrap_vault_call_seconds_count{operation="read",outcome="ok"} 1',
    ]);
  });

  it('tell what ends: the soonest one by one, all of them by level, and no more names than it can bear', async () => {
    let names = ['a', 'b'];
    const metrics = new Metrics({
      ...NO_SOURCES,
      expiring: () => [
        { kind: 'file', name: 'garbage', level: 'unusable', leftMs: undefined },
        ...names.map((name, at) => ({ kind: 'file', name, level: 'ok', leftMs: (at + 1) * 1000 })),
      ],
      expiryLookedAt: () => 1_800_000_000_000,
    });
    expect(await lines(metrics)).to.include.members([
      'kubelet_bootstrap_expiry_seconds{kind="file",name="a"} 1',
      'kubelet_bootstrap_expiry_seconds{kind="file",name="b"} 2',
      'kubelet_bootstrap_expiry_things{kind="file",level="ok"} 2',
      'kubelet_bootstrap_expiry_things{kind="file",level="unusable"} 1',
      'kubelet_bootstrap_expiry_things{kind="file",level="critical"} 0',
      'kubelet_bootstrap_expiry_looked_timestamp_seconds 1800000000',
    ]);
    names = Array.from({ length: 1_500 }, (_, at) => `n${at}`);
    const samples = (await lines(metrics)).filter((line) => line.startsWith('kubelet_bootstrap_expiry_seconds{'));
    expect(samples).to.have.length(1_000);
    expect(samples.join('\n')).to.include('"n999"').and.not.include('"n1000"').and.not.include('"a"');
  });

  it('compute the gauges at every scrape, and forget what is not there any more', async () => {
    let pools = [{ pool: 'workers', usable: 2, expiresAt: 1_800_000_000_000 as number | undefined }];
    let notAfter: number | undefined = 1_900_000_000_000;
    const metrics = new Metrics({
      csrs: () => [{ signer: 'client', state: 'pending', count: 7 }],
      queues: () => [{ controller: 'approver', depth: 1, inFlight: 2, delayed: 3 }],
      configCurrent: () => true,
      breadth: () => 0,
      late: () => 0,
      signerHeld: () => false,
      expiring: () => [],
      expiryLookedAt: () => undefined,
      vaultProblems: () => [{ operation: 'kv-read', why: 'sealed' }],
      authorityNotAfter: () => notAfter,
      otherAuthorities: () => [{ role: 'next', notAfter: 2_000_000_000_000 }],
      pools: () => pools,
      informers: () => [{ informer: 'tokens', fresh: false, objects: 4 }],
    });
    expect(await lines(metrics)).to.include.members([
      'kubelet_bootstrap_csrs{signer="client",state="pending"} 7',
      'kubelet_bootstrap_queue_depth{controller="approver"} 1',
      'kubelet_bootstrap_queue_in_flight{controller="approver"} 2',
      'kubelet_bootstrap_queue_delayed{controller="approver"} 3',
      'kubelet_bootstrap_ca_expiry_timestamp_seconds{role="signing"} 1900000000',
      'kubelet_bootstrap_ca_expiry_timestamp_seconds{role="next"} 2000000000',
      'kubelet_bootstrap_pool_tokens{pool="workers"} 2',
      'kubelet_bootstrap_pool_token_expiry_timestamp_seconds{pool="workers"} 1800000000',
      'kubelet_bootstrap_informer_fresh{informer="tokens"} 0',
      'kubelet_bootstrap_vault_problem{operation="kv-read",cause="sealed"} 1',
      'kubelet_bootstrap_informer_objects{informer="tokens"} 4',
    ]);
    pools = [{ pool: 'workers', usable: 0, expiresAt: undefined }];
    notAfter = undefined;
    const after = (await lines(metrics)).join('\n');
    expect(after).to.contain('pool_tokens{pool="workers"} 0').and.not.to.contain('pool_token_expiry');
    expect(after, 'no CA is not one that ended in 1970').not.to.contain('ca_expiry_timestamp_seconds 0');
  });

  it('have a registry of their own, so that two do not meet', () => {
    expect(new Metrics(NO_SOURCES).registry).not.to.equal(new Metrics(NO_SOURCES).registry);
  });

  for (const [name, label] of [
    [CLIENT_SIGNER, 'client'],
    [SERVING_SIGNER, 'serving'],
    ['example.com/anything', 'other'],
  ] as const) {
    it(`call ${name} ${label}`, () => expect(signerLabel(name)).to.equal(label));
  }
});
