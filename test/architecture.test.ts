import { expect } from 'chai';
import { describe, it } from 'mocha';
import { parseSource, readSources, type SourceFile } from './support/source-tree.ts';

interface Layer {
  /** Layers besides itself, as folders or files of `src/`. */
  readonly layers: readonly string[];
  readonly packages: readonly string[];
}

const PURE = ['policy', 'pki', 'tokens', 'nodes', 'expiry', 'ca'];
const INNER = [...PURE, 'ports', 'errors'];
/** Pure as well, over what was gathered; nothing of the service depends on it. */
const DOCTOR = 'doctor';
const ADAPTERS = ['kubernetes', 'vault', 'local-ca'];
const SERVICE = [...INNER, ...ADAPTERS, 'config', 'controllers', 'runtime', 'ops'];
const PURE_PACKAGES = ['node:crypto', 'node:net', '@peculiar/'];

/** DESIGN section 3: what each layer may import. What is not named here is not allowed. */
const LAYERS: Readonly<Record<string, Layer>> = {
  'bootstrap-token': { layers: ['main'], packages: [] },
  main: { layers: ['cli'], packages: ['node:path', 'node:readline'] },
  cli: {
    layers: [...SERVICE, 'app', 'wiring', DOCTOR],
    packages: ['commander', 'yaml', 'node:fs', 'node:path'],
  },
  app: { layers: [...SERVICE, 'wiring'], packages: [] },
  wiring: { layers: [...SERVICE, DOCTOR], packages: ['node:crypto', 'node:fs'] },
  config: { layers: ['policy', 'runtime', 'tokens', 'errors'], packages: ['re2js', 'yaml', 'zod', 'node:net'] },
  controllers: { layers: [...INNER, 'runtime'], packages: ['p-queue', 'node:crypto'] },
  ops: { layers: [...INNER, 'runtime'], packages: ['pino', 'prom-client', 'node:http', 'node:net'] },
  kubernetes: {
    layers: [...INNER, 'runtime', DOCTOR],
    packages: ['@kubernetes/client-node', 'undici', 'node:crypto', 'node:fs', 'node:https', 'node:path'],
  },
  vault: {
    layers: [...INNER, 'runtime'],
    packages: ['node-vault', 'p-queue', 'undici', 'zod', 'node:crypto', 'node:fs'],
  },
  'local-ca': { layers: [...INNER, 'runtime'], packages: ['node:crypto', 'node:fs', 'node:util'] },
  runtime: { layers: ['ports', 'errors'], packages: ['p-queue', 'undici', 'node:tls'] },
  policy: { layers: INNER, packages: PURE_PACKAGES },
  pki: { layers: INNER, packages: PURE_PACKAGES },
  tokens: { layers: INNER, packages: PURE_PACKAGES },
  nodes: { layers: INNER, packages: PURE_PACKAGES },
  expiry: { layers: INNER, packages: PURE_PACKAGES },
  ca: { layers: INNER, packages: PURE_PACKAGES },
  doctor: { layers: INNER, packages: PURE_PACKAGES },
  ports: { layers: ['pki', 'tokens', 'nodes', 'expiry'], packages: [] },
  errors: { layers: [], packages: [] },
};

/** The time, timers, and what makes them without saying so. */
const CLOCKS =
  /\b(?:Date\.now|performance\.|setTimeout|setInterval|setImmediate|AbortSignal\.timeout|hrtime)|\bnew Date\(\s*\)|(?<!\bnew )\bDate\(/g;
const PROCESS = /(?<![.\w$#])process\b(?!\s*:)/g;
const ASYNC = /\b(?:async|await|Promise)\b/g;
const MOST_LINES = 300;

const layerOf = (path: string): string => path.replace(/\.ts$/, '').split('/')[0] ?? '';
const isFile = (target: string): boolean => target.endsWith('.ts');
const allows = (packages: readonly string[], target: string): boolean =>
  packages.some((name) => target === name || target.startsWith(name.endsWith('/') ? name : `${name}/`));

/** `policy/review.ts: Date.now` for every match in a file that is not excepted. */
function findings(files: readonly SourceFile[], wanted: RegExp, except: (path: string) => boolean): string[] {
  return files
    .filter(({ path }) => !except(path))
    .flatMap(({ path, code }) => [...code.matchAll(wanted)].map(([found]) => `${path}: ${found}`));
}

function forbiddenImports(files: readonly SourceFile[]): string[] {
  return files.flatMap(({ path, imports }) => {
    const from = layerOf(path);
    const layer = LAYERS[from];
    if (layer === undefined) return [`${path}: no layer has this name`];
    return imports
      .filter(({ target }) =>
        isFile(target)
          ? layerOf(target) !== from && !layer.layers.includes(layerOf(target))
          : !allows(layer.packages, target),
      )
      .map(({ target }) => `${path}: ${target}`);
  });
}

/** A cycle among imports, those of types among them, or undefined. */
function importCycle(files: readonly SourceFile[]): string | undefined {
  const byPath = new Map(files.map((file) => [file.path, file]));
  const done = new Set<string>();
  const walk = (path: string, trail: readonly string[]): string | undefined => {
    if (trail.includes(path)) return [...trail.slice(trail.indexOf(path)), path].join(' -> ');
    if (done.has(path)) return undefined;
    for (const { target } of byPath.get(path)?.imports ?? []) {
      const found = isFile(target) ? walk(target, [...trail, path]) : undefined;
      if (found !== undefined) return found;
    }
    done.add(path);
    return undefined;
  };
  return files.map(({ path }) => walk(path, [])).find((found) => found !== undefined);
}

describe('architecture of src/', () => {
  const files = readSources(new URL('../src/', import.meta.url));

  it('has source files, and every import of a file leads to one of them', () => {
    const paths = new Set(files.map(({ path }) => path));
    const targets = files.flatMap(({ imports }) => imports.map(({ target }) => target)).filter(isFile);
    expect(paths).to.include('main.ts');
    expect(targets.filter((target) => !paths.has(target))).to.deep.equal([]);
  });

  it('lets every layer import only what is named for it', () => {
    expect(forbiddenImports(files)).to.deep.equal([]);
  });

  it('lets the pure folders and runtime/ know of ports.ts by type only, but for the names of the signers', () => {
    const known = files
      .filter(({ path }) => [...PURE, DOCTOR, 'runtime'].includes(layerOf(path)))
      .filter(({ imports }) => imports.some(({ target, typeOnly }) => target === 'ports.ts' && !typeOnly))
      .map(({ path }) => path);
    expect(known).to.deep.equal([
      'ca/holdings.ts',
      'doctor/privileges.ts',
      'doctor/rivals.ts',
      'doctor/service-rights.ts',
      'policy/request.ts',
    ]);
  });

  it('has no import cycle, not even of types', () => {
    expect(importCycle(files)).to.equal(undefined);
  });

  it('touches `process` in main.ts only', () => {
    expect(findings(files, PROCESS, (path) => path === 'main.ts')).to.deep.equal([]);
  });

  it('reads the time and sets timers in runtime/clock.ts only', () => {
    expect(findings(files, CLOCKS, (path) => path === 'runtime/clock.ts')).to.deep.equal([]);
  });

  it('has nothing asynchronous in the pure folders', () => {
    expect(findings(files, ASYNC, (path) => ![...PURE, DOCTOR].includes(layerOf(path)))).to.deep.equal([]);
  });

  it(`has no file of more than ${MOST_LINES} lines`, () => {
    expect(files.filter(({ lines }) => lines > MOST_LINES).map(({ path }) => path)).to.deep.equal([]);
  });
});

describe('architecture: the checks themselves', () => {
  const found = (text: string, wanted: RegExp): string[] =>
    findings([parseSource('policy/x.ts', text)], wanted, () => false);

  it('see through comments, strings, templates and regular expressions', () => {
    const words = '// process\n/* process */ const a = "process" + \'process\' + `process`; const b = /process/;';
    expect(found(words, PROCESS)).to.deep.equal([]);
    expect(found('const a = `x ${`${process.pid}`} process`;', PROCESS)).to.have.length(1);
    expect(found('const a = 4 / 2; process.exit(); const b = 1 / 2;', PROCESS)).to.have.length(1);
    expect(found("const a = /[/'`]/; process.exit(); // it's", PROCESS)).to.have.length(1);
    expect(found('const { process } = globalThis; queue.process(); this.#process();', PROCESS)).to.have.length(1);
  });

  it('find every way to the time, and leave Date with an argument alone', () => {
    const ways = 'Date.now(); new Date(); Date(); performance.now(); setTimeout(f); AbortSignal.timeout(1);';
    expect(found(ways, CLOCKS)).to.have.length(6);
    expect(found('new Date(ms); Date.parse(text); Date.UTC(1); isDate(x);', CLOCKS)).to.deep.equal([]);
  });

  it('find an import that points the wrong way, however it is written', () => {
    const texts = [
      "import { a } from '../controllers/approver.ts';",
      "import {\n  a,\n  type B,\n} from '../controllers/approver.ts';",
      "import type { A } from '../controllers/approver.ts';",
      "export * from '../controllers/approver.ts';",
      "import '../controllers/approver.ts';",
      "const a = await import('../controllers/approver.ts');",
      "import { readFile } from 'node:fs/promises';",
      "import vault from 'node-vault';",
    ];
    for (const text of texts) expect(forbiddenImports([parseSource('policy/x.ts', text)]), text).to.have.length(1);
    expect(forbiddenImports([parseSource('policy/x.ts', "import { a } from '../pki/pem.ts';")])).to.deep.equal([]);
  });

  it('find a cycle, of types as well', () => {
    const one = parseSource('pki/one.ts', "import { a } from './two.ts';");
    for (const back of ['import { b }', 'import type { B }']) {
      const two = parseSource('pki/two.ts', `${back} from './one.ts';`);
      expect(importCycle([one, two])).to.equal('pki/one.ts -> pki/two.ts -> pki/one.ts');
    }
    expect(importCycle([one, parseSource('pki/two.ts', '')])).to.equal(undefined);
  });
});
