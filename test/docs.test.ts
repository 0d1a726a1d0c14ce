/** Holds README.md against the code: a table that differs fails with the text to paste. */
import { accessSync, constants, existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Command } from 'commander';
import { expect } from 'chai';
import { describe, it } from 'mocha';
import { parse, parseAllDocuments } from 'yaml';
import { z } from 'zod';
import { EXIT_CODES, EXIT_MEANINGS } from '../src/cli/exit-codes.ts';
import type { Io } from '../src/cli/io.ts';
import { serviceProgram, tokenProgram } from '../src/cli/program.ts';
import { RUN_OPTIONS, SHARED_OPTIONS, VAULT_ENVIRONMENT } from '../src/cli/settings.ts';
import { configSchema } from '../src/config/schema.ts';
import { policyOf, readConfig } from '../src/config.ts';
import { CHECKS as DOCTOR_CHECKS, FINDINGS, NOT_CHECKED } from '../src/doctor/finding.ts';
import { STEPS } from '../src/ca/next-step.ts';
import { LEVELS } from '../src/expiry/judge.ts';
import { EXPIRY_KINDS } from '../src/expiry/thing.ts';
import { Metrics } from '../src/ops/metrics.ts';
import { lifetimeOutlook } from '../src/pki/lifetimes.ts';
import { APPROVAL_REASONS, REASONS, REMARKS } from '../src/policy/reasons.ts';
import type { RequestPath } from '../src/policy/verdict.ts';
import { wellFormed } from '../src/policy/shared-rules.ts';
import { CHECKS, review } from '../src/policy/review.ts';
import { formatDuration } from '../src/runtime/duration.ts';
import { ruleInput } from './policy/good-request.ts';
import { decisionFields } from '../src/controllers/decision-log.ts';
import { PKI_FAULTS } from '../src/vault/pki/faults.ts';
import { TABLES } from './policy/tables.ts';
import { differenceRows } from './support/upstream-rows.ts';
import { NO_SOURCES } from './support/metric-sources.ts';
import { code, codes, holds, prose, read, README, ROOT, section } from './support/readme.ts';

/** Every key of the config: path, default, help. */
function configRows(schema: unknown, path = '', help = '', fallback = 'required'): string[][] {
  const row = [code(path), fallback, help];
  if (schema instanceof z.ZodPrefault) return configRows(schema.def.innerType, path);
  if (schema instanceof z.ZodOptional) return configRows(schema.def.innerType, path, helpOf(schema), 'none');
  if (schema instanceof z.ZodDefault) {
    const { innerType, defaultValue } = schema.def;
    return configRows(innerType, path, helpOf(schema), code(defaultText(innerType, defaultValue)));
  }
  if (schema instanceof z.ZodRecord) return [row, ...configRows(schema.valueType, `${path}.<name>`)];
  if (schema instanceof z.ZodDiscriminatedUnion) {
    const variants = schema.options.flatMap((option) => variantRows(option, path, schema.def.discriminator));
    return [[code(`${path}.${schema.def.discriminator}`), fallback, helpOf(schema)], ...variants];
  }
  if (!(schema instanceof z.ZodObject)) return [row];
  const keys = Object.entries(schema.shape).flatMap(([key, value]) =>
    configRows(value, path === '' ? key : `${path}.${key}`, helpOf(value)),
  );
  return help === '' ? keys : [row, ...keys];
}

function variantRows(option: unknown, path: string, discriminator: string): string[][] {
  if (!(option instanceof z.ZodObject)) throw new TypeError(`${path} is no union of objects`);
  const { [discriminator]: name, ...others } = option.shape;
  const word = name instanceof z.ZodLiteral ? String(name.value) : '?';
  const own = (help: string): string => `For ${code(word)}${help === '' ? '' : `: ${help}`}`;
  return configRows(z.object(others), path).map(([key = '', fallback = '', help = '']) => [key, fallback, own(help)]);
}

const helpOf = (schema: unknown): string => prose(schema instanceof z.ZodType ? (schema.description ?? '') : '');

function defaultText(schema: unknown, value: unknown): string {
  if (schema instanceof z.ZodPipe && typeof value === 'number') return formatDuration(value);
  const written: unknown = typeof value === 'object' && value !== null && 'texts' in value ? value.texts : value;
  if (Array.isArray(written)) return `[${written.join(', ')}]`;
  return typeof written === 'string' ? written : JSON.stringify(written);
}

const metrics = new Metrics(NO_SOURCES);
const metricRows = metrics.registry
  .getMetricsAsArray()
  .filter(({ name }) => name.startsWith('kubelet_bootstrap_'))
  .map((metric) => {
    const labels = Reflect.get(metric, 'labelNames') as string[];
    return [code(metric.name), String(metric.type), codes(labels), metric.help];
  });

const io: Io = {
  out: () => {},
  err: () => {},
  input: () => Promise.resolve(''),
  ask: () => Promise.resolve(undefined),
  draws: false,
  atExit: () => {},
  env: {},
  interrupted: new AbortController().signal,
};
const commands = [serviceProgram(io), tokenProgram(io)].flatMap((program) =>
  program.commands.flatMap((command) =>
    command.commands.length === 0
      ? [{ program: program.name(), command }]
      : command.commands.map((inner) => ({ program: `${program.name()} ${command.name()}`, command: inner })),
  ),
);
const flagsOf = (command: Command): string[] => command.options.map(({ flags }) => flags);

interface Rule {
  readonly apiGroups: readonly string[];
  readonly resources: readonly string[];
  readonly resourceNames?: readonly string[];
  readonly verbs: readonly string[];
}
interface Manifest {
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly namespace?: string };
  readonly rules?: readonly Rule[];
  readonly roleRef?: { readonly name: string };
  readonly subjects?: readonly { readonly name: string }[];
}
const manifests = (path: string): Manifest[] => parseAllDocuments(read(path)).map((each) => each.toJS() as Manifest);

/**
 * The checks of a path: what each expects of worker-17 in a cluster with the example config, and every code that it
 * gives in the table of the policy's own test.
 */
function checkRows(path: RequestPath): string[][] {
  const name = 'system:node:worker-17';
  const requester = path === 'bootstrap' ? {} : { username: name };
  const policy = policyOf(readConfig('README.md', exampleConfig()));
  const input = ruleInput(path, { requester, policy, parts: { commonName: name } });
  const inputs = TABLES[path].map(([, change]) => ruleInput(path, change));
  return CHECKS[path].map((rule) => {
    const given = new Set<string>(inputs.flatMap((each) => rule.violations(each).map((violation) => violation.code)));
    const listed = Object.keys(REASONS).filter((reason) => given.has(reason));
    const cell = rule === wellFormed ? '[those of the bytes](#the-bytes-of-a-csr)' : codes(listed);
    return [rule.name, prose(rule.expected(input)), cell];
  });
}

/** The anchor of a heading. */
const slug = (text: string): string =>
  text
    .toLowerCase()
    .replaceAll(/[^\w -]/g, '')
    .replaceAll(' ', '-');

const exampleConfig = (): string => /```yaml\n([^]*?)```/.exec(section('### An example'))?.[1] ?? '';
const FETCH = read('manifests/cloud-init/fetch-bootstrap-token');

describe('README.md', () => {
  const CHECK_SECTIONS = {
    bootstrap: '### First client certificate (bootstrap)',
    renewal: '### Renewal of the client certificate',
    serving: '### Serving certificate',
  } as const;

  for (const path of ['bootstrap', 'renewal', 'serving'] as const) {
    it(`lists the checks of the ${path} path in their order`, () => {
      holds(CHECK_SECTIONS[path], ['Check', 'Expected', 'Reason codes'], checkRows(path));
    });
  }

  it('lists where it decides otherwise than kube-controller-manager', () => {
    const columns = ['Request', 'kube-controller-manager', 'kubelet-bootstrap'];
    holds('### Where it decides otherwise', columns, differenceRows());
  });

  it('names every reason code at the check that gives it, and no other', () => {
    const texts = [...Object.values(CHECK_SECTIONS), '### The bytes of a CSR', '### Anybody else'].map(section);
    const named = [...texts.join('\n').matchAll(/`([A-Z][a-z]+[A-Za-z]+)`/g)].map(([, name]) => name);
    expect([...new Set(named)]).to.have.members(Object.keys(REASONS));
  });

  it('lists every key of the config with its default and help', () => {
    holds('### Every key', ['Key', 'Default', 'Meaning'], configRows(configSchema));
  });

  it('has an example config that is accepted', () => {
    expect(readConfig('README.md', exampleConfig()).pools).to.have.property('workers');
  });

  it('lists what lifetimes survive, with the default steps', () => {
    const { steps } = readConfig('README.md', exampleConfig()).signer.lifetime;
    const rows = [1, 24, 168, 720].map((hours) => {
      const { lifetimeMs, renewedFrom, renewedTo, outageMs } = lifetimeOutlook(hours * 3_600_000, steps);
      const alike = lifetimeOutlook(lifetimeMs, 1);
      const window = `${formatDuration(renewedFrom)} to ${formatDuration(renewedTo)}`;
      return [code(formatDuration(lifetimeMs)), window, formatDuration(outageMs), formatDuration(alike.outageMs)];
    });
    const columns = ['Lifetime', 'Renewed after', 'Longest outage that no node notices', 'The same with `steps: 1`'];
    holds('## Lifetimes and renewals', columns, rows);
  });

  it('lists the flags and environment that several commands have', () => {
    const options = (table: typeof SHARED_OPTIONS | typeof RUN_OPTIONS, where: string): string[][] =>
      Object.values(table).map(({ flag, env, help }) => [code(flag), env === undefined ? '' : code(env), where, help]);
    const readBy = {
      VAULT_ADDR: 'every command',
      VAULT_CACERT: 'every command',
      VAULT_TOKEN: '`bootstrap-token`, `ca`, `doctor`, `expiry`, `vault setup`',
    };
    const names = Object.keys(VAULT_ENVIRONMENT) as (keyof typeof VAULT_ENVIRONMENT)[];
    const environment = names.map((name) => ['', code(name), readBy[name], VAULT_ENVIRONMENT[name]]);
    const rows = [...options(SHARED_OPTIONS, 'every command'), ...options(RUN_OPTIONS, '`run`'), ...environment];
    holds('### Flags and environment', ['Flag', 'Environment', 'Of', 'Meaning'], rows);
  });

  it('lists every command with its own flags', () => {
    const flags = (table: typeof SHARED_OPTIONS | typeof RUN_OPTIONS): string[] =>
      Object.values(table).map(({ flag }) => flag);
    const shared = (name: string): string[] => [
      ...flags(SHARED_OPTIONS),
      ...(name === 'run' ? flags(RUN_OPTIONS) : []),
    ];
    const rows = commands.map(({ program, command }) => [
      code(`${program} ${command.name()} ${command.usage().replace(/^\[options\] ?/, '')}`.trim()),
      command.description(),
      codes(flagsOf(command).filter((flag) => !shared(command.name()).includes(flag))),
    ]);
    holds('### Commands', ['Command', 'What it does', 'Flags of its own'], rows);
  });

  it('uses only commands and flags that --help tells of', () => {
    const lines = README.matchAll(
      /\b(kubelet-bootstrap|bootstrap-token)(?: --)?( (?:node|fleet|vault|ca))? ([a-z]+)((?: [^\s`|#]+)*)/g,
    );
    for (const [line, program = '', group = '', name, rest = ''] of lines) {
      const found = commands.find((each) => each.program === program + group && each.command.name() === name);
      for (const [flag] of found === undefined ? [] : rest.matchAll(/(?<= )--[a-z-]+/g)) {
        expect(found?.command.helpInformation(), line).to.match(new RegExp(`${flag}\\s`));
      }
      if (rest.includes(' --')) expect(found, line).to.not.equal(undefined);
    }
  });

  it('lists every reason code', () => {
    const rows = Object.entries(REASONS).map(([name, { class: of, mend }]) => [code(name), of, mend]);
    holds('### Reason codes', ['Code', 'Class', 'What the owner of the node should do'], rows);
    const approvals = Object.entries(APPROVAL_REASONS).map(([path, reason]) => [code(reason), path]);
    holds('### Reasons of approvals', ['Reason', 'Path'], approvals);
  });

  it('lists the checks and findings of doctor', () => {
    const checks = Object.entries(DOCTOR_CHECKS).map(([name, looksAt]) => [name, prose(looksAt)]);
    holds('## Doctor', ['Check', 'Looks at'], checks);
    const findings = Object.entries(FINDINGS).map(([name, { severity, check, meaning }]) => [
      code(name),
      severity,
      check,
      prose(meaning),
    ]);
    const { severity, meaning } = NOT_CHECKED;
    const rows = [...findings, [code('NotChecked'), severity, 'any', meaning]];
    holds('### Findings of doctor', ['Code', 'Severity', 'Check', 'Meaning'], rows);
  });

  it('lists every metric', () => {
    holds('## Metrics', ['Name', 'Type', 'Labels', 'Meaning'], metricRows);
    const known = metricRows.map(([name = '']) => name.slice(1, -1));
    for (const [name] of README.matchAll(/\bkubelet_bootstrap_[a-z_]*[a-z]/g)) expect(known).to.include(name);
  });

  it('lists what is watched for its end, and how near that is', () => {
    const kinds = Object.entries(EXPIRY_KINDS).map(([kind, looksAt]) => [code(kind), looksAt]);
    holds('## What expires', ['Kind', 'What is looked at'], kinds);
    const severities = { error: '11', warning: '10', info: '0' } as const;
    const levels = Object.entries(LEVELS).map(([level, { severity, reason, meaning }]) => [
      code(level),
      severity === 'info' || level === 'unreadable' ? '' : code(reason),
      severities[severity],
      meaning,
    ]);
    holds('### Levels', ['Level', 'Event', 'Exit code', 'Meaning'], levels);
  });

  it('lists every alert', () => {
    const rule = parse(read('manifests/monitoring/prometheus-rule.yaml')) as {
      spec: {
        groups: {
          rules: { alert: string; for?: string; labels: { severity: string }; annotations: { summary: string } }[];
        }[];
      };
    };
    const rows = rule.spec.groups.flatMap(({ rules }) =>
      rules.map(({ alert, for: wait, labels, annotations }) => [
        code(alert),
        labels.severity,
        wait ?? 'at once',
        annotations.summary,
      ]),
    );
    holds('### Alerts and dashboard', ['Alert', 'Severity', 'After', 'Summary'], rows);
  });

  it('lists the steps of a rotation', () => {
    const rows = Object.entries(STEPS).map(([name, { urgency, meaning }]) => [
      code(name),
      String({ none: 0, due: 10, urgent: 11 }[urgency]),
      meaning,
    ]);
    holds('### Steps of a rotation', ['Step', 'Exit code', 'What is to be done'], rows);
  });

  it('lists the fields of a decision', () => {
    const { request, facts } = ruleInput('bootstrap');
    const fields = decisionFields(request, { facts, verdict: review(ruleInput('bootstrap')) });
    const named = section('### Decision log')
      .split('\n')
      .filter((line) => line.startsWith('| `'))
      .flatMap((line) => [...(line.split('|')[1] ?? '').matchAll(/`([A-Za-z]+)`/g)].map(([, name]) => name));
    expect(named).to.deep.equal(Object.keys(fields));
  });

  it('lists the remarks', () => {
    const rows = Object.entries(REMARKS).map(([name, { alarm, meaning }]) => [
      code(name),
      alarm ? 'yes' : 'no',
      meaning,
    ]);
    holds('### Remarks', ['Code', 'Event', 'Meaning'], rows);
  });

  it('lists the rights of the service and of the nodes', () => {
    const rights = manifests('manifests/base/20-rbac.yaml').flatMap(({ kind, metadata, rules = [] }) =>
      rules.map(({ apiGroups, resources, resourceNames = [], verbs }) => [
        `${codes(resources)}${resourceNames.length === 0 ? '' : ` (only ${codes(resourceNames)})`}`,
        code(apiGroups.join(', ') || 'core'),
        kind === 'ClusterRole' ? 'whole cluster' : `namespace ${code(metadata.namespace ?? '')}`,
        verbs.join(', '),
      ]),
    );
    holds('### Of the service', ['Resources', 'API group', 'Where', 'Verbs'], rights);
    const bindings = manifests('manifests/base/21-node-bindings.yaml').map(({ metadata, roleRef, subjects = [] }) => [
      code(metadata.name),
      codes(subjects.map(({ name }) => name)),
      code(roleRef?.name ?? ''),
    ]);
    holds('### Of the nodes', ['ClusterRoleBinding', 'Group', 'ClusterRole'], bindings);
  });

  it('lists what the Vault policies allow', () => {
    const rows = ['service', 'service-pki', 'admin', 'node', 'pool'].flatMap((name) =>
      [...read(`manifests/vault/${name}.hcl`).matchAll(/^path "([^"]+)" \{\s+capabilities = \[([^\]]+)\]/gm)].map(
        ([, path = '', capabilities = '']) => [code(path), code(`${name}.hcl`), capabilities.replaceAll('"', '')],
      ),
    );
    holds('### Policies', ['Path', 'Policy', 'Capabilities'], rows);
  });

  it('lists what can be wrong with a PKI engine', () => {
    const rows = Object.entries(PKI_FAULTS).map(([name, meaning]) => [code(name), meaning]);
    holds('### Faults of the PKI engine', ['Name', 'Meaning'], rows);
  });

  it('lists the settings and exit codes of the cloud-init script', () => {
    const [, known = ''] = /case \$line in\n.*\n([^]*?)\) eval/.exec(FETCH) ?? [];
    const rows = [...known.matchAll(/([A-Z_]+)=\*/g)].map(([, name = '']) => {
      const [, value = ''] = new RegExp(`^(?:.* )?${name}=(\\S*)`, 'm').exec(FETCH.split('LC_ALL=C')[1] ?? '') ?? [];
      return [code(name), /^[\w/.-]+$/.test(value) ? code(value) : ''];
    });
    holds('### Settings of the fetch script', ['Setting', 'Default'], rows);
    const [, header = ''] = /^# Exit codes: ([^]*?)\.\n/m.exec(FETCH) ?? [];
    const ends = header.replaceAll(/\s*\n#\s*/g, ' ').split('; ');
    const exits = ends.map((each) => [/^[\d, ]+\b/.exec(each)?.[0].trim() ?? '', each.replace(/^[\d, ]+/, '')]);
    holds('### Its exit codes', ['Code', 'Meaning'], exits);
  });

  it('lists the exit codes', () => {
    const names = Object.keys(EXIT_CODES) as (keyof typeof EXIT_CODES)[];
    holds(
      '## Exit codes',
      ['Code', 'Meaning'],
      names.map((name) => [String(EXIT_CODES[name]), EXIT_MEANINGS[name]]),
    );
  });

  it('shows src/ as it is', () => {
    const tree = /```\n([^]*?)```/.exec(section('### Layout of src'))?.[1] ?? '';
    const named = [...tree.matchAll(/^([\w./-]+?)\/? {2,}/gm)].map(([, name]) => name);
    expect(named).to.have.members(readdirSync(join(ROOT, 'src')).filter((name) => name !== 'tsconfig.json'));
  });

  it('has every section in its contents, in order', () => {
    const contents = README.slice(0, README.indexOf('\n## '));
    const linked = [...contents.matchAll(/\]\(#([\w-]+)\)/g)].map(([, anchor]) => anchor);
    const sections = [...README.matchAll(/^## (.+)$/gm)].map(([, text = '']) => slug(text));
    const inContents = linked.filter((anchor = '') => sections.includes(anchor));
    expect([...inContents, 'license']).to.deep.equal(sections);
  });

  it('names only files, links, headings and npm scripts that are there', () => {
    const anchors = [...README.matchAll(/^#+ (.+)$/gm)].map(([, text = '']) => `#${slug(text)}`);
    for (const [, target = ''] of README.matchAll(/\]\(([^)]+)\)/g)) {
      if (target.startsWith('#')) expect(anchors).to.include(target);
      else expect(existsSync(join(ROOT, target)), target).to.equal(true);
    }
    for (const [path] of README.matchAll(/(?<![\w/.<-])(?:src|test|scripts|manifests|\.ci)\/[\w./-]*[\w/]/g)) {
      expect(existsSync(join(ROOT, path)), path).to.equal(true);
    }
    for (const [, path = ''] of README.matchAll(/\.\/(scripts\/\w+)/g)) accessSync(join(ROOT, path), constants.X_OK);
    const { scripts } = parse(read('package.json')) as { scripts: Record<string, string> };
    for (const [, name = ''] of README.matchAll(/npm run (?:-s )?([\w:-]+)/g)) expect(scripts).to.have.property(name);
  });

  it('names only keys of the config', () => {
    const rows = configRows(configSchema);
    const paths = rows.map(([path = '']) => path.slice(1, -1));
    const defaults = new Set(rows.map(([, fallback = '']) => fallback.slice(1, -1)));
    const known = new Set(paths.flatMap((path) => path.split('.').map((_, at, all) => all.slice(0, at + 1).join('.'))));
    const sections = [...new Set(paths.map((path) => path.split('.')[0]))].join('|');
    for (const [, path = ''] of README.matchAll(new RegExp(`\`((?:${sections})\\.[\\w.<>]+)\``, 'g'))) {
      if (!defaults.has(path)) expect(known).to.include(path);
    }
  });
});
