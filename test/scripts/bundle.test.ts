import { execFile, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { after, before, describe, it } from 'mocha';
import { expect } from 'chai';
import { bundle } from '../../scripts/bundle.ts';
import { imageFlags } from '../../scripts/servers/deployment.ts';

const ROOT = resolve(import.meta.dirname, '../..');

describe('the bundle', function () {
  this.timeout(60_000);
  let dir: string;
  before(async () => {
    dir = mkdtempSync(join(tmpdir(), 'kubelet-bootstrap-bundle-'));
    await bundle(dir);
  });
  after(() => rmSync(dir, { recursive: true, force: true }));

  const run = async (file: string, ...args: string[]): Promise<{ code: number; stdout: string; stderr: string }> => {
    const program = promisify(execFile)(process.execPath, [join(dir, file), ...args], { cwd: dir });
    return program.then(
      (output) => ({ ...output, code: 0 }),
      (error: unknown) => error as { code: number; stdout: string; stderr: string },
    );
  };

  it('is both programs by their names, sharing one copy of the code, with source maps', () => {
    const code = readdirSync(dir).filter((name) => name.endsWith('.mjs'));
    expect(code).to.have.length(3);
    expect(code).to.include.members(['kubelet-bootstrap.mjs', 'bootstrap-token.mjs']);
    for (const name of code) expect(existsSync(join(dir, `${name}.map`)), name).to.equal(true);
  });

  it('has nothing beyond ASCII, and no models of client-node: its text stays in memory', () => {
    for (const name of readdirSync(dir).filter((file) => file.endsWith('.mjs'))) {
      const text = readFileSync(join(dir, name));
      expect(
        text.findIndex((byte) => byte > 127),
        name,
      ).to.equal(-1);
      expect(text.includes('V1PodSpec'), name).to.equal(false);
    }
  });

  it('runs each program alone in its folder, without node_modules', async () => {
    const service = await run('kubelet-bootstrap.mjs', '--help');
    expect(service).to.include({ code: 0, stderr: '' });
    expect(service.stdout).to.match(/^Usage: kubelet-bootstrap /);
    expect((await run('bootstrap-token.mjs', '--help')).stdout).to.match(/^Usage: bootstrap-token /);
  });

  it('gets as far as it can in the image without a cluster', async () => {
    const config = join(ROOT, 'manifests/base/config.yaml');
    const { code, stderr } = await run('kubelet-bootstrap.mjs', 'run', '--config', config, '--kubeconfig', 'none');
    expect(code).to.equal(2);
    expect(stderr).to.match(/kubernetes\.kubeconfig: ENOENT/);
  });
});

/** No Docker here: what can be held of the Dockerfile without one. */
describe('the Dockerfile', () => {
  const text = readFileSync(join(ROOT, 'Dockerfile'), 'utf8');
  const lines = text
    .replaceAll(/\\\n\s*/g, '')
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('#'));
  const from = lines.flatMap((line, index) => (line.startsWith('FROM ') ? [index] : []));
  const final = lines.slice(from.at(-1));
  const of = (stage: readonly string[], instruction: string): string[] =>
    stage.filter((line) => line.startsWith(`${instruction} `)).map((line) => line.slice(instruction.length + 1));

  it('builds in one stage and runs, without a shell, in another, both on the Node of package.json', () => {
    const { engines } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { engines: { node: string } };
    const major = engines.node.replace('>=', '');
    expect(of(lines, 'FROM')).to.deep.equal([
      `node:${major}-bookworm-slim AS build`,
      `gcr.io/distroless/nodejs${major}-debian13:nonroot`,
    ]);
    expect(of(final, 'RUN')).to.deep.equal([]);
  });

  it('runs as the user of the Deployment, by number, and has the bundle and the LICENSE alone', () => {
    const deployment = readFileSync(join(ROOT, 'manifests/base/40-deployment.yaml'), 'utf8');
    const [, uid] = /runAsUser: (\d+)/.exec(deployment) ?? [];
    const [, gid] = /runAsGroup: (\d+)/.exec(deployment) ?? [];
    expect(of(final, 'USER')).to.deep.equal([`${uid}:${gid}`]);
    expect(of(final, 'COPY')).to.deep.equal(['LICENSE ./', '--from=build /build/dist/bundle ./']);
    expect(of(final, 'ENTRYPOINT')).to.deep.equal([
      '["/nodejs/bin/node", "--heap-growing-percent=100", "/app/kubelet-bootstrap.mjs"]',
    ]);
    const { status } = spawnSync(process.execPath, [...imageFlags(), '--eval', '']);
    expect(status, 'Node knows the flags').to.equal(0);
    expect(of(final, 'CMD')).to.deep.equal(['["run"]']);
  });

  it('copies nothing but files that are there and that .dockerignore lets through', () => {
    const sources = of(lines, 'COPY')
      .filter((line) => !line.startsWith('--from='))
      .flatMap((line) => line.split(' ').slice(0, -1));
    for (const source of sources) expect(existsSync(join(ROOT, source)), source).to.equal(true);
    const [everything, ...admitted] = readFileSync(join(ROOT, '.dockerignore'), 'utf8')
      .split('\n')
      .filter((line) => line !== '' && !line.startsWith('#'));
    expect(everything).to.equal('*');
    expect(admitted).to.have.members(sources.map((source) => `!${source}`));
  });

  it('takes no secret and no argument that could be one', () => {
    expect([...of(lines, 'ARG'), ...of(lines, 'ENV'), ...of(lines, 'ADD')]).to.deep.equal([]);
    expect(text).not.to.match(/--mount=type=secret|token=|password/i);
  });
});
