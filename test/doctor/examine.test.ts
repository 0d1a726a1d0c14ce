import { expect } from 'chai';
import { describe, it } from 'mocha';
import { accessClasses } from '../../src/doctor/access-matrix.ts';
import { examine } from '../../src/doctor/examine.ts';
import { CHECKS, finding, FINDINGS, worstOf } from '../../src/doctor/finding.ts';
import type { ClusterView, Observations } from '../../src/doctor/observations.ts';
import { NOW, ruleInput } from '../policy/good-request.ts';

const known = <T>(value: T): { known: true; value: T } => ({ known: true, value });
const forbidden = { known: false, why: 'forbidden' } as const;

/** A cluster that is as it should be, changed. */
function cluster(change: Partial<ClusterView> = {}): ClusterView {
  return {
    clock: known({ server: NOW, before: NOW, after: NOW }),
    access: accessClasses([]).map((of) => ({ of, missing: known([]) })),
    rights: [],
    csrs: known([]),
    controllerManager: known({ renewedAt: undefined, commands: [] }),
    rbac: known({ roles: [], bindings: [] }),
    nodes: known({ nodes: [], known: new Set<string>(), adopted: new Set<string>(), unreadable: [] }),
    clientCas: known(''),
    ...change,
  };
}

function observed(change: Partial<Observations> = {}): Observations {
  return {
    now: NOW,
    setUp: {
      policy: { ...ruleInput('bootstrap').policy, pools: new Map() },
      accessReview: 'class',
      approves: true,
      signs: false,
      breadth: [],
      longestLifeMs: 0,
    },
    serviceUser: 'service',
    cluster: known(cluster()),
    signingCa: undefined,
    vault: undefined,
    ...change,
  };
}

const codes = (given: Observations): string[] => examine(given).map(({ code }) => code);

describe('doctor/examine', () => {
  it('finds nothing where all is well', () => {
    expect(examine(observed())).to.deep.equal([]);
  });

  it('has one finding for an API server that cannot be used, and goes on with the config, the CA and Vault', () => {
    const signingCa = known({ problem: 'no certificate' });
    const vault = { problem: 'sealed', login: 'service', wanted: [], capabilities: forbidden } as const;
    const setUp = { ...observed().setUp, accessReview: 'full' } as const;
    expect(codes(observed({ cluster: forbidden, signingCa, vault, setUp }))).to.deep.equal([
      'ApiServerUnusable',
      'SigningCaUnusable',
      'VaultUnusable',
      'ReviewsInFull',
    ]);
  });

  it('says of each check that could not be made why, once for each reason', () => {
    const unread = cluster({
      clock: forbidden,
      access: cluster().access.map(({ of }) => ({ of, missing: forbidden })),
      csrs: forbidden,
      controllerManager: { known: false, why: 'another reason' },
      rbac: forbidden,
      nodes: forbidden,
    });
    const found = examine(observed({ cluster: known(unread) }));
    expect(found.map(({ code, severity }) => [code, severity])).to.deep.equal(
      Array.from({ length: 6 }, () => ['NotChecked', 'warning']),
    );
    expect(found.map(({ what }) => what)).to.deep.equal([
      "the API server's clock",
      'system:bootstrappers, system:nodes',
      'CSRs of kubelets',
      'kube-controller-manager',
      'roles and bindings',
      'Nodes and their records',
    ]);
  });

  it("measures the lease of kube-controller-manager by the API server's clock", () => {
    const late = cluster({
      clock: known({ server: NOW + 3_600_000, before: NOW, after: NOW }),
      controllerManager: known({ renewedAt: NOW + 3_599_000, commands: [] }),
    });
    expect(codes(observed({ cluster: known(late) })))
      .to.include('ControllerManagerUnclear')
      .and.include('ClockOff');
  });

  it('puts errors first', () => {
    const [row] = cluster().access;
    if (row === undefined) throw new Error('there are rows');
    const bad = cluster({
      clock: known({ server: NOW + 3_600_000, before: NOW, after: NOW }),
      access: [{ ...row, missing: known(['nodeclient']) }],
    });
    expect(codes(observed({ cluster: known(bad) }))).to.deep.equal(['AccessMissing', 'ClockOff']);
  });

  it('knows the worst of what was found', () => {
    const error = finding('AccessMissing', '', '', '');
    const warning = finding('ClockOff', '', '', '');
    const info = finding('TokenReaders', '', '', '');
    expect(worstOf([])).to.equal(undefined);
    expect(worstOf([info])).to.equal('info');
    expect(worstOf([info, warning])).to.equal('warning');
    expect(worstOf([warning, error, info])).to.equal('error');
  });

  it('lists its findings in the order of its checks', () => {
    const order = Object.keys(CHECKS);
    const ranks = Object.values(FINDINGS).map(({ check }) => order.indexOf(check));
    expect(ranks).to.deep.equal(ranks.toSorted((a, b) => a - b));
    expect(new Set(ranks).size).to.equal(order.length);
  });
});
