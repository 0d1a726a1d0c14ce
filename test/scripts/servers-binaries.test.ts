import { chmodSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, it } from 'mocha';
import { expect } from 'chai';
import { findBinaries, MissingToolError } from '../../scripts/servers/binaries.ts';

describe('where server binaries come from', () => {
  let dir: string;
  let env: NodeJS.ProcessEnv;
  const lines: string[] = [];
  const write = (line: string): void => void lines.push(line);

  beforeEach(() => {
    dir = mkdtempSync(join(tmpdir(), 'servers-binaries-'));
    for (const folder of ['assets', 'path']) mkdirSync(join(dir, folder));
    env = { KUBEBUILDER_ASSETS: join(dir, 'assets'), PATH: join(dir, 'path'), XDG_CACHE_HOME: join(dir, 'cache') };
  });
  afterEach(() => rmSync(dir, { recursive: true, force: true }));

  function put(folder: string, name: string, version: string): string {
    const path = join(dir, folder, name);
    writeFileSync(path, `#!/bin/sh\necho '${version}'\n`);
    chmodSync(path, 0o755);
    return path;
  }

  async function refusal(names: Parameters<typeof findBinaries>[0]): Promise<unknown> {
    return findBinaries(names, { env, write }).catch((error: unknown) => error);
  }

  it('takes them from KUBEBUILDER_ASSETS before PATH', async () => {
    const etcd = put('assets', 'etcd', 'etcd Version: 3.6.1');
    put('path', 'etcd', 'etcd Version: 3.6.1');
    const apiserver = put('path', 'kube-apiserver', 'Kubernetes v1.37.2');
    const found = await findBinaries(['etcd', 'kube-apiserver'], { env, write });
    expect(found).to.deep.equal({ etcd, 'kube-apiserver': apiserver });
  });

  it('passes over a version that does not fit', async () => {
    put('assets', 'bao', 'OpenBao v1.9.0');
    const bao = put('path', 'bao', 'OpenBao v2.7.2 (abc)');
    expect(await findBinaries(['bao'], { env, write })).to.deep.equal({ bao });
  });

  it('names what to install or to set when one is missing and Go is not there', async () => {
    put('assets', 'etcd', 'etcd Version: 3.6.1');
    const error = await refusal(['etcd', 'kube-apiserver']);
    expect(error).to.be.instanceOf(MissingToolError);
    expect(String(error)).to.match(/install Go .* or set KUBEBUILDER_ASSETS/);
  });

  it('names what to install when OpenBao is missing and Python is not there', async () => {
    const error = await refusal(['bao']);
    expect(error).to.be.instanceOf(MissingToolError);
    expect(String(error)).to.match(/install Python 3 with venv and pip .* or put bao 2\.7 on the PATH/);
  });

  it('names the package when Python has no venv, and leaves no cache entry', async () => {
    const python = put('path', 'python3', '');
    writeFileSync(python, '#!/bin/sh\necho "ensurepip is not available" >&2\nexit 1\n');
    const error = await refusal(['bao']);
    expect(error).to.be.instanceOf(MissingToolError);
    expect(String(error)).to.contain('python3-venv');
    expect(readdirSync(join(dir, 'cache', 'kubelet-bootstrap', 'servers'))).to.deep.equal([]);
  });
});
