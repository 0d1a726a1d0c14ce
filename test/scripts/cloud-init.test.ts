import { spawnSync } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { afterEach, beforeEach, describe, it } from 'mocha';
import type { Context } from 'mocha';
import { expect } from 'chai';
import { parse } from 'yaml';
import { candidates } from '../../scripts/servers/binaries.ts';
import { CLOUD_INIT, newMachine } from '../support/cloud-init-machine.ts';
import type { FetchRun, Machine } from '../support/cloud-init-machine.ts';
import { ENTRY, selfSigned, startFakeVault } from '../support/fake-vault-entry.ts';
import type { FakeAnswer, FakeVault } from '../support/fake-vault-entry.ts';
import { skipWithout } from '../support/skip.ts';

const SCRIPT = join(CLOUD_INIT, 'fetch-bootstrap-token');
const USER_DATA = join(CLOUD_INIT, 'user-data.yaml');
const UNIT = join(CLOUD_INIT, 'kubelet-bootstrap-token.service');

/** Runs a program and answers its exit code with its output; skips the test when the machine has no such program. */
function check(test: Context, command: string, ...args: string[]): string {
  skipWithout(test, command);
  const { status, stdout, stderr } = spawnSync(command, args, { encoding: 'utf8' });
  return `${status} ${stdout}${stderr}`;
}

describe('the cloud-init files', () => {
  const userData = readFileSync(USER_DATA, 'utf8');

  it('user-data.yaml holds to the schema of cloud-init', function () {
    expect(check(this, 'cloud-init', 'schema', '--config-file', USER_DATA)).to.match(/^0 /);
  });

  it('shellcheck finds nothing in the script', function () {
    expect(check(this, 'shellcheck', '--shell=sh', SCRIPT)).to.equal('0 ');
  });

  it('dash reads the script', function () {
    expect(check(this, 'dash', '-n', SCRIPT)).to.equal('0 ');
  });

  it('systemd reads the unit', function () {
    const said = check(this, 'systemd-analyze', 'verify', '--man=no', UNIT);
    // The one thing it may find: the script is not installed on the machine that runs the tests.
    expect(said).to.match(/^(0 |1 .*fetch-bootstrap-token is not executable.*\n)$/);
  });

  it('user-data.yaml embeds the script, the unit and the drop-in as they are', () => {
    const embedded = (path: string): string => {
      const files = parse(userData).write_files as { path: string; content: string; encoding?: string }[];
      const file = files.find((each) => each.path === path);
      if (file?.encoding === undefined) return file?.content ?? '';
      return gunzipSync(Buffer.from(file.content, 'base64')).toString();
    };
    const dropIn = 'kubelet.service.d/10-bootstrap-token.conf';
    expect(embedded('/usr/local/sbin/fetch-bootstrap-token')).to.equal(readFileSync(SCRIPT, 'utf8'));
    expect(embedded(`/etc/systemd/system/kubelet-bootstrap-token.service`)).to.equal(readFileSync(UNIT, 'utf8'));
    expect(embedded(`/etc/systemd/system/${dropIn}`)).to.equal(readFileSync(join(CLOUD_INIT, dropIn), 'utf8'));
  });

  it('user-data.yaml leaves room for a CA of 2 KiB in the 16 KiB of EC2', () => {
    expect(Buffer.byteLength(userData)).to.be.below(14 * 1024);
  });

  it('user-data.yaml lets only root read the settings and the credential', () => {
    const files = parse(userData).write_files as { path: string; permissions: string }[];
    for (const name of ['fetch.env', 'role-id', 'secret-id']) {
      const file = files.find((each) => each.path === `/etc/kubelet-bootstrap/${name}`);
      expect(file?.permissions, name).to.equal('0600');
    }
  });
});

describe('fetch-bootstrap-token', function () {
  this.timeout(60_000);
  let machine: Machine;
  let secretId: string;
  let stop: (() => void) | undefined;

  beforeEach(() => {
    machine = newMachine('worker-17');
    secretId = 'secret-id-0123456789';
    Object.assign(machine.settings, {
      VAULT_ADDR: 'https://127.0.0.1:1',
      VAULT_CACERT: machine.file('ca.crt', '-----BEGIN CERTIFICATE-----\n'),
      ROLE_ID_FILE: machine.file('role-id', 'worker-17'),
      SECRET_ID_FILE: machine.file('secret-id', secretId),
    });
  });
  afterEach(() => {
    stop?.();
    stop = undefined;
    machine.remove();
  });

  /** A Vault as this machine trusts it, until the end of the test. */
  async function fakeVault(...how: Parameters<typeof startFakeVault>): Promise<FakeVault> {
    const vault = await startFakeVault(...how);
    stop = () => vault.stop();
    machine.settings['VAULT_ADDR'] = vault.address;
    machine.file('ca.crt', vault.certificate);
    return vault;
  }

  const setCertificate = async (valid: readonly [number, number]): Promise<void> => {
    const { certificate, key } = await selfSigned(...valid);
    machine.file('kubelet-client-current.pem', certificate + key);
  };

  /** A PATH with the programs that the script calls, without those named. */
  function pathWithout(...missing: string[]): string {
    const bin = join(machine.dir, 'bin');
    mkdirSync(bin);
    const needed = 'uname tr sleep cat rm mv mktemp base64 od sed date grep curl openssl python3 jq'.split(' ');
    for (const name of needed.filter((each) => !missing.includes(each))) {
      const [found] = candidates(name, { PATH: `/usr/bin:/bin:${process.env['PATH'] ?? ''}` });
      if (found !== undefined) symlinkSync(found, join(bin, name));
    }
    return bin;
  }

  for (const absent of ['nothing', 'openssl']) {
    it(`asks nobody while the client certificate is valid, whatever the settings say (without ${absent})`, async () => {
      const { connections } = await fakeVault(() => ENTRY);
      await setCertificate([-60, 60]);
      machine.settings['UNKNOWN'] = 'x';
      const run = machine.run({ PATH: pathWithout(absent) });
      expect(await run.ended, run.output()).to.equal(0);
      expect(run.output()).to.equal("kubelet-bootstrap: the kubelet's client certificate is valid: nothing to fetch\n");
      expect(connections()).to.equal(0);
      expect(machine.written()).to.deep.equal([]);
    });

    it(`fetches when the client certificate has expired (without ${absent})`, async () => {
      await fakeVault(() => ENTRY);
      await setCertificate([-60, -1]);
      const run = machine.run({ PATH: pathWithout(absent) });
      expect(await run.ended, run.output()).to.equal(0);
      expect(machine.written()).to.deep.equal(['bootstrap-kubelet.conf']);
    });
  }

  it('fetches when there is something else in the place of the client certificate', async () => {
    await fakeVault(() => ENTRY);
    machine.file('kubelet-client-current.pem', 'rubbish');
    expect(await machine.run().ended).to.equal(0);
  });

  for (const json of ['python3', 'jq']) {
    it(`needs no ${json}, where the other one is`, async function () {
      skipWithout(this, json === 'jq' ? 'python3' : 'jq');
      await fakeVault((attempt) => (attempt === 1 ? { status: 404, body: { errors: [] } } : ENTRY));
      const run = machine.run({ PATH: pathWithout(json) });
      expect(await run.ended, run.output()).to.equal(0);
      expect(run.output()).to.contain('not issued yet');
      expect(readFileSync(machine.kubeconfig, 'utf8')).to.contain("token: 'abcdef.0123456789abcdef'");
    });
  }

  const wrong: Record<string, readonly [Record<string, string>, string]> = {
    'an http address': [{ VAULT_ADDR: 'http://127.0.0.1:1' }, 'VAULT_ADDR has to begin with https://'],
    'an address with a password in it': [{ VAULT_ADDR: 'https://a:b@127.0.0.1' }, 'VAULT_ADDR is not a plain address'],
    'no CA': [{ VAULT_CACERT: '' }, 'VAULT_CACERT has to name'],
    'a CA that is not there': [{ VAULT_CACERT: '/nonexistent' }, 'VAULT_CACERT has to name'],
    'a path that climbs': [{ KV_PATH: 'kubelet-bootstrap/../nodes/worker-18' }, 'not a plain path'],
    'a node name with a slash': [{ NODE_NAME: 'a/b' }, 'NODE_NAME is not a node name'],
    'two credentials': [{ TOKEN_FILE: '/nonexistent' }, 'set one credential: WRAPPED_TOKEN_FILE, ROLE_ID_FILE'],
    'half a credential': [{ SECRET_ID_FILE: '' }, 'set one credential: WRAPPED_TOKEN_FILE, ROLE_ID_FILE'],
    'a deadline with a unit': [{ DEADLINE: '10m' }, 'DEADLINE, SPREAD and MAX_WAIT are whole seconds'],
    'a back-off of nothing': [{ MAX_WAIT: '0' }, 'MAX_WAIT has to be 1 or more'],
    'a key that it does not know': [{ VAULT_SKIP_VERIFY: 'true' }, 'fetch.env line 11: not a known KEY=value'],
  };
  for (const [what, [change, message]] of Object.entries(wrong)) {
    it(`ends at once with 2 for ${what}`, async () => {
      Object.assign(machine.settings, change);
      const run = machine.run();
      expect(await run.ended, run.output()).to.equal(2);
      expect(run.output()).to.contain(message);
      expect(machine.written()).to.deep.equal([]);
    });
  }

  it('does not run the settings as shell', async () => {
    machine.settings['KV_PATH'] = `$(touch ${machine.dir}/run/ran)`;
    expect(await machine.run().ended).to.equal(2);
    expect(machine.written()).to.deep.equal([]);
  });

  it('ends at once with 2 when curl cannot read the CA', async () => {
    await fakeVault(() => ENTRY);
    machine.file('ca.crt', '-----BEGIN CERTIFICATE-----\n');
    const run = machine.run();
    expect(await run.ended).to.equal(2);
    expect(run.output()).to.contain('curl cannot use the settings: curl: (77)');
  });

  it('ends at once with 8 when the server is not from the pinned CA', async () => {
    await fakeVault(() => ENTRY);
    machine.file('ca.crt', (await selfSigned(-60, 60)).certificate);
    const run = machine.run();
    expect(await run.ended).to.equal(8);
    expect(run.output()).to.match(/is not the Vault that .*ca\.crt vouches for: curl: \(60\)/);
  });

  it("waits while the server's certificate is not valid yet at this machine's time", async () => {
    await fakeVault(() => ENTRY, undefined, [60, 120]);
    const run = machine.run();
    await run.said(/attempt 1: Vault's certificate is not valid at this machine's time, .*; next in/);
    await run.said(/attempt 2: /);
    process.kill(run.pid, 'SIGTERM');
    expect(await run.ended).to.equal(143);
  });

  for (const status of [429, 503]) {
    it(`comes back after ${status} no sooner than Retry-After says`, async () => {
      const at: number[] = [];
      await fakeVault((attempt) => {
        at.push(performance.now());
        return attempt === 1 ? { status, headers: { 'Retry-After': '1' } } : ENTRY;
      });
      const run = machine.run();
      expect(await run.ended, run.output()).to.equal(0);
      expect((at[1] ?? 0) - (at[0] ?? 0)).to.be.at.least(1_000);
    });
  }

  it('gives up at once with 3 when Retry-After lies behind the deadline', async () => {
    await fakeVault(() => ({ status: 429, headers: { 'Retry-After': '300' } }));
    const run = machine.run();
    expect(await run.ended).to.equal(3);
    expect(run.output()).to.contain('gave up after 1 attempts, DEADLINE is 60 s: Vault asks to slow down (429)');
  });

  describe('with a wrapping token', () => {
    const WHOLE = { status: 200, body: { data: { creation_path: 'secret/data/kubelet-bootstrap/nodes/worker-17' } } };

    beforeEach(() => {
      delete machine.settings['ROLE_ID_FILE'];
      delete machine.settings['SECRET_ID_FILE'];
      machine.settings['WRAPPED_TOKEN_FILE'] = machine.file('wrapped-token', 's.wrapping-token-0123456789');
    });

    /** Looks and unwraps are answered in this order; answers how many there were. */
    async function answers(...planned: readonly FakeAnswer[]): Promise<() => number> {
      let asked = 0;
      await fakeVault((attempt) => {
        asked = attempt;
        return planned[attempt - 1];
      });
      return () => asked;
    }

    it('looks again before it unwraps again, and takes what is still whole', async () => {
      const asked = await answers({ status: 503 }, WHOLE, { status: 429 }, WHOLE, ENTRY);
      const run = machine.run();
      expect(await run.ended, run.output()).to.equal(0);
      expect(asked()).to.equal(5);
    });

    it('ends with 9 and says that an answer was lost, when its own unwrap may have used it', async () => {
      const asked = await answers(WHOLE, { status: 500 }, { status: 400 });
      const run = machine.run();
      expect(await run.ended, run.output()).to.equal(9);
      expect(asked()).to.equal(3);
      expect(run.output()).to.match(/possible theft: .* was used by somebody \(if not here: an answer was lost\)/);
      expect(run.output()).not.to.contain('s.wrapping-token');
      expect(machine.written()).to.deep.equal([]);
    });

    it('ends with 9 when somebody unwraps between its look and its unwrap', async () => {
      await answers(WHOLE, { status: 400 });
      const run = machine.run();
      expect(await run.ended, run.output()).to.equal(9);
      expect(run.output()).to.contain('was used by somebody at this moment');
    });

    it('ends with 4 and asks nobody when the token that it unwrapped before is over', async () => {
      const asked = await answers(WHOLE, ENTRY);
      expect(await machine.run().ended).to.equal(0);
      const written = readFileSync(machine.kubeconfig, 'utf8');
      machine.file('kubernetes/bootstrap-kubelet.conf', written.replace('until 2999', 'until 2020'));
      const run = machine.run();
      expect(await run.ended, run.output()).to.equal(4);
      expect(run.output()).to.contain('expired at 2020-01-01T00:00:00Z: an admin has to issue a new one');
      expect(asked()).to.equal(2);
    });
  });

  it('does not follow a redirect, which would take the Vault token along', async () => {
    const reads: number[] = [];
    await fakeVault((attempt) => {
      reads.push(attempt);
      const location = `${machine.settings['VAULT_ADDR'] ?? ''}/v1/elsewhere`;
      return attempt === 1 ? { status: 307, headers: { location } } : ENTRY;
    });
    const run = machine.run();
    await run.said(/attempt 1: Vault answers 307; next in/);
    expect(await run.ended).to.equal(0);
    expect(reads).to.deep.equal([1, 2]);
  });

  it('shows no secret in any process, environment or line while it runs', async () => {
    const seen: string[] = [];
    const look = (): void => {
      for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
        for (const name of ['cmdline', 'environ']) {
          try {
            seen.push(readFileSync(`/proc/${pid}/${name}`, 'latin1').replaceAll('\0', ' '));
          } catch {
            // It has just ended, or is not ours.
          }
        }
      }
    };
    await fakeVault((attempt) => (attempt === 1 ? { status: 500 } : ENTRY), look);
    const run = machine.run();
    await run.said(/attempt 1: Vault answers 500/);
    look();
    expect(await run.ended).to.equal(0);
    const curls = seen.filter(
      (text) => text.startsWith('curl ') && text.includes(machine.settings['VAULT_ADDR'] ?? '-'),
    );
    expect(curls, 'one at the login, one at each read').to.have.length(3);
    for (const curl of curls) expect(curl).to.contain('--cacert').and.to.contain('--capath /dev/null');
    for (const secret of [secretId, 's.client-token-0123456789', '0123456789abcdef']) {
      expect(run.output()).not.to.contain(secret);
      expect(seen.filter((text) => text.includes(secret))).to.deep.equal([]);
    }
  });

  const moments: Record<string, (run: FetchRun, asked: Promise<void>) => Promise<void>> = {
    'between two attempts': (run) => run.said(/attempt 1: Vault answers 500/),
    'while Vault does not answer': (_, asked) => asked,
  };
  for (const [when, moment] of Object.entries(moments)) {
    it(`ends promptly on SIGTERM ${when}, and leaves no file`, async function () {
      // Less than what it would wait for otherwise.
      this.timeout(12_000);
      const asked = Promise.withResolvers<void>();
      await fakeVault(() => {
        asked.resolve();
        return when === 'between two attempts' ? { status: 500, headers: { 'Retry-After': '30' } } : undefined;
      });
      const run = machine.run();
      await moment(run, asked.promise);
      process.kill(run.pid, 'SIGTERM');
      expect(await run.ended).to.equal(143);
      expect(machine.written()).to.deep.equal([]);
      expect(existsSync(machine.kubeconfig)).to.equal(false);
    });
  }

  it('leaves no process behind on SIGTERM while it starts one', async function () {
    // Less than what it would wait for otherwise; the run has not ended before its last process has.
    this.timeout(20_000);
    await fakeVault(() => ({ status: 500, headers: { 'Retry-After': '30' } }));
    const starts = '  sleep "$(seconds "$1")" &\n';
    const signals = readFileSync(SCRIPT, 'utf8').replace(starts, () => `  [ "$1" -lt 30000 ] || kill "$$"\n${starts}`);
    const script = machine.file('signals-itself', signals);
    chmodSync(script, 0o700);
    const run = machine.run({}, script);
    await run.said(/attempt 1: /);
    expect(await run.ended).to.equal(143);
    expect(machine.written()).to.deep.equal([]);
  });
});
