import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { describe, it } from 'mocha';
import { parse } from 'yaml';
import { LEVELS } from '../../src/expiry/judge.ts';
import { Metrics } from '../../src/ops/metrics.ts';
import { CSR_STATES } from '../../src/policy/csr-state.ts';
import { REASONS, REMARKS } from '../../src/policy/reasons.ts';
import { NO_SOURCES } from '../support/metric-sources.ts';
import { readPromQl, type Used } from '../support/promql.ts';
import { read, ROOT } from '../support/readme.ts';

interface Alert {
  readonly alert: string;
  readonly expr: string;
  readonly for?: string;
  readonly labels: { readonly severity: string };
  readonly annotations: { readonly summary: string; readonly description: string };
}
interface Panel {
  readonly id: number;
  readonly title: string;
  readonly type: string;
  readonly gridPos: { readonly x: number; readonly y: number; readonly w: number; readonly h: number };
  readonly targets: readonly { readonly expr: string; readonly legendFormat: string }[];
}

const FOLDER = 'manifests/monitoring';
const rule = parse(read(`${FOLDER}/prometheus-rule.yaml`)) as {
  readonly spec: { readonly groups: readonly { readonly rules: readonly Alert[] }[] };
};
const alerts = rule.spec.groups.flatMap(({ rules }) => rules);
const dashboard = JSON.parse(read(`${FOLDER}/dashboard.json`)) as { readonly panels: readonly Panel[] };
const { registry } = new Metrics(NO_SOURCES);

/** Labels that Prometheus gives each sample of ours. */
const OF_PROMETHEUS = ['job', 'namespace', 'pod', 'instance'];
/** Labels with a closed set of values. */
const VALUES: Readonly<Record<string, readonly string[]>> = {
  signer: ['client', 'serving', 'other'],
  state: CSR_STATES,
  verdict: ['approve', 'wait', 'deny'],
  reason: Object.keys(REASONS),
  code: Object.keys(REMARKS),
  level: Object.keys(LEVELS),
  role: ['signing', 'next', 'previous'],
  job: ['kubelet-bootstrap'],
};

/** Labels of a metric as it is scraped; undefined when there is no such metric. */
function labelsOf(name: string): readonly string[] | undefined {
  const of = (found: string): readonly string[] | undefined => {
    const metric: unknown = registry.getSingleMetric(found);
    return metric === undefined ? undefined : (Reflect.get(Object(metric), 'labelNames') as string[]);
  };
  const histogram = /^(.*)_(bucket|count|sum)$/.exec(name);
  const [, family = '', part] = histogram ?? [];
  const labels = of(name) ?? of(family);
  return labels === undefined ? undefined : [...labels, ...OF_PROMETHEUS, ...(part === 'bucket' ? ['le'] : [])];
}

/** What of an expression is not so in our metrics. */
function problemsOf({ selectors, labels }: Used): string[] {
  const problems: string[] = [];
  const known = new Set<string>();
  for (const { metric, matchers } of selectors) {
    const has = labelsOf(metric);
    if (has === undefined) problems.push(`no metric ${metric}`);
    for (const label of has ?? []) known.add(label);
    for (const { label, operator, value } of matchers) {
      if (has?.includes(label) === false) problems.push(`${metric} has no label ${label}`);
      for (const each of operator.endsWith('~') ? value.split('|') : [value]) {
        if (VALUES[label]?.includes(each) !== true) problems.push(`${label} is never ${each}`);
      }
    }
  }
  for (const label of labels) if (!known.has(label)) problems.push(`no metric here has a label ${label}`);
  return problems;
}

/** `{{ $labels.pool }}` and `{{pool}}`. */
function labelsInText(text: string): string[] {
  return [...text.matchAll(/\{\{\s*(?:\$labels\.)?([a-z_]+)\s*\}\}/g)].map(([, label = '']) => label);
}

describe('manifests/monitoring', () => {
  it('names every file of the folder in its kustomization', () => {
    const { resources, configMapGenerator } = parse(read(`${FOLDER}/kustomization.yaml`)) as {
      resources: string[];
      configMapGenerator: { files: string[] }[];
    };
    const files = configMapGenerator.flatMap((each) => each.files.map((file) => file.split('=').at(-1) ?? ''));
    const there = readdirSync(join(ROOT, FOLDER)).filter((file) => file !== 'kustomization.yaml');
    expect([...resources, ...files].toSorted()).to.deep.equal(there.toSorted());
  });

  describe('alerts', () => {
    for (const { alert, expr, for: wait, labels, annotations } of alerts) {
      it(`${alert} is PromQL over metrics, labels and values that are there`, () => {
        const used = readPromQl(expr);
        expect(problemsOf(used)).to.deep.equal([]);
        const known = used.selectors.flatMap(({ metric }) => labelsOf(metric) ?? []);
        expect(known).to.include.members(labelsInText(annotations.description));
        expect(labels.severity).to.be.oneOf(['critical', 'warning']);
        expect(wait ?? '0m').to.match(/^\d+[mh]$/);
        expect(annotations.summary).to.match(/^[A-Z].*[^.]$/);
      });
    }

    it('have names of their own', () => {
      expect(new Set(alerts.map(({ alert }) => alert)).size).to.equal(alerts.length);
    });

    it('look at every metric that tells of trouble', () => {
      const seen = new Set(alerts.flatMap(({ expr }) => readPromQl(expr).selectors.map(({ metric }) => metric)));
      expect([...seen].map((name) => name.replace('kubelet_bootstrap_', ''))).to.include.members([
        'csrs',
        'decisions_total',
        'signer_held',
        'certificates_not_as_planned_total',
        'ca_expiry_timestamp_seconds',
        'expiry_things',
        'pool_tokens',
        'pool_token_expiry_timestamp_seconds',
        'nodes_late',
        'vault_problem',
        'informer_fresh',
        'config_current',
      ]);
    });
  });

  describe('dashboard', () => {
    it('begins with the CSRs in the cluster', () => {
      const [first] = dashboard.panels;
      expect(first?.title).to.equal('CSR resources in the cluster, lower is better');
      expect(first?.gridPos).to.include({ x: 0, y: 0, w: 24 });
      expect(first?.targets.map(({ expr }) => expr)).to.deep.equal(['sum by (state) (kubelet_bootstrap_csrs)']);
    });

    for (const { title, targets } of dashboard.panels) {
      it(`"${title}" is PromQL over metrics, labels and values that are there`, () => {
        for (const { expr, legendFormat } of targets) {
          const used = readPromQl(expr.replaceAll('$__rate_interval', '5m'));
          expect(problemsOf(used), expr).to.deep.equal([]);
          const known = used.selectors.flatMap(({ metric }) => labelsOf(metric) ?? []);
          expect(known).to.include.members(labelsInText(legendFormat));
        }
      });
    }

    it('has panels with an ID and a place of their own', () => {
      const cells = dashboard.panels.flatMap(({ gridPos: { x, y, w, h } }) =>
        Array.from({ length: w * h }, (_, cell) => `${x + (cell % w)} ${y + Math.floor(cell / w)}`),
      );
      expect(new Set(cells).size).to.equal(cells.length);
      expect(dashboard.panels.every(({ gridPos: { x, w } }) => x + w <= 24)).to.equal(true);
      expect(new Set(dashboard.panels.map(({ id }) => id)).size).to.equal(dashboard.panels.length);
    });

    it('shows every metric of the service', () => {
      const all = dashboard.panels.flatMap(({ targets }) => targets.map(({ expr }) => expr)).join(' ');
      const names = registry.getMetricsAsArray().map(({ name }) => name);
      const missing = names.filter((name) => name.startsWith('kubelet_bootstrap_') && !all.includes(name));
      expect(missing).to.deep.equal([]);
    });
  });
});

describe('the reader of PromQL', () => {
  for (const text of [
    'up',
    'up{}',
    'rate(up[5m]) > 0',
    'sum by (a, b) (up) / on (a) max(up) by (a)',
    'a unless a offset 30m',
    '-(1 + 2) * time()',
    'histogram_quantile(0.99, sum by (le) (rate(a_bucket{b!~"c|d"}[1h30m])))',
  ]) {
    it(`takes ${text}`, () => expect(() => readPromQl(text)).not.to.throw());
  }
  for (const [text, why] of [
    ['', /a name expected/],
    ['sum(up', /"\)" expected|, expected|\) expected/],
    ['up)', /the end expected/],
    ['up{a=b}', /a text expected/],
    ['up{a~"b"}', /unreadable/],
    ['up{a="b" c="d"}', /, expected/],
    ['rate(up)', /rate\(range\), not \(instant\)/],
    ['up[5m]', /no range vector/],
    ['up[5]', /a duration expected/],
    ['up > up[5m]', /on both sides/],
    ['sum(1)', /an instant vector expected/],
    ['unknown(up)', /a known function/],
    ['up == == 1', /a name expected/],
    ['up offset 5', /a duration expected/],
    ['up; up', /unreadable/],
  ] as const) {
    it(`refuses ${text === '' ? 'nothing' : text}`, () => expect(() => readPromQl(text)).to.throw(why));
  }
});
