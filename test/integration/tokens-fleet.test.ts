import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { describe, it } from 'mocha';
import { HttpsClient } from '../../scripts/servers/https-client.ts';
import { readKubeconfig } from '../../scripts/servers/kubeconfig.ts';
import { runProgram } from '../../scripts/servers/service.ts';
import { createBootstrapCsrs, nodeNames, removeCsrs, until } from '../support/crowd.ts';
import { requireTokenCli } from '../support/token-cli.ts';

const GROUP = 'system:bootstrappers:node:';
const TOKEN = /^[a-z0-9]{6}\.[a-z0-9]{16}$/;

describe('bootstrap-token for many nodes, on the real API server and OpenBao', function () {
  this.timeout(120_000);
  const cli = requireTokenCli('tokens-fleet', ['fleet-blue']);

  function fileOf(name: string, lines: readonly string[]): string {
    const file = join(cli().folder, name);
    writeFileSync(file, lines.map((line) => `${line}\n`).join(''));
    return file;
  }

  /** Each node has one token, and that is what a machine can fetch. */
  async function expectOneEach(nodes: readonly string[]): Promise<void> {
    for (const node of nodes) {
      const held = await cli().shelf.secretsOf(GROUP + node);
      expect(held.length, node).to.equal(1);
      const { 'token-id': id, 'token-secret': secret } = held[0]?.data ?? {};
      expect(held[0]?.metadata.annotations, node).not.to.have.property('kubelet-bootstrap/publishing-until');
      expect((await cli().shelf.entry(`nodes/${node}`)).data?.['token'], node).to.equal(`${id}.${secret}`);
    }
  }

  describe('issue --nodes', () => {
    it('issues to each node of a file, and run again it keeps what is there', async () => {
      const nodes = nodeNames('fleet-a', 20);
      const file = fileOf('a.csv', ['node,ttl,address', ...nodes.map((node, index) => `${node},30m,10.9.0.${index}`)]);
      const first = await cli().run(['issue', '--nodes', file, '-o', 'json']);
      expect(first.code, first.stderr).to.equal(0);
      expect(first.stderr).to.match(/20 of 20 nodes done: 20 issued\n$/);
      const again = await cli().run(['issue', '--nodes', file, '-o', 'json']);
      expect(again.code, again.stderr).to.equal(0);
      expect(again.stderr).to.match(/20 of 20 nodes done: 20 kept\n$/);
      const idsOf = (text: string): string[] => (JSON.parse(text) as { id: string }[]).map(({ id }) => id);
      expect(idsOf(again.stdout)).to.deep.equal(idsOf(first.stdout)).and.to.have.length(20);
      await expectOneEach(nodes);
    });

    for (const [how, by, code] of [
      ['interrupted', 'SIGINT', 130],
      ['killed', 'SIGKILL', -1],
    ] as const) {
      it(`${how} amid 120 nodes and run again, it goes on, and each node has one token that can be fetched`, async () => {
        const nodes = nodeNames(`fleet-${how}`, 120);
        const file = fileOf(how, nodes);
        const stop = new AbortController();
        const running = cli().run(['issue', '--nodes', file], {}, undefined, { when: stop.signal, by });
        const isIssued = async (): Promise<boolean> => (await cli().shelf.entry(`nodes/${nodes[8]}`)).status === 200;
        await until('the first tokens are issued', isIssued);
        stop.abort();
        expect((await running).code).to.equal(code);
        const again = await cli().run(['issue', '--nodes', file]);
        expect(again.code, again.stderr).to.equal(0);
        expect(again.stderr).to.match(/120 of 120 nodes done: .*\d+ kept/);
        await expectOneEach(nodes);
      });
    }

    it('names every problem of the file with its line, and issues nothing', async () => {
      const file = fileOf('bad', [
        'fleet-bad-1',
        'Not A Node',
        'fleet-bad-1',
        'fleet-bad-2,soon',
        'fleet-bad-3,,10.0.0',
      ]);
      const { code, stdout, stderr } = await cli().run(['issue', '--nodes', file]);
      expect({ code, stdout }).to.deep.equal({ code: 2, stdout: '' });
      for (const line of [2, 3, 4, 5]) expect(stderr).to.include(`line ${line}: `);
      expect(await cli().shelf.secretsOf(`${GROUP}fleet-bad-1`)).to.deep.equal([]);
    });

    it('--dry-run says what it would do and writes nothing', async () => {
      const { code, stdout } = await cli().run([
        'issue',
        '--nodes',
        fileOf('dry', ['fleet-dry', 'fleet-a-1']),
        '--dry-run',
      ]);
      expect(code).to.equal(0);
      expect(stdout).to.match(/fleet-dry +would be issued\nfleet-a-1 +would be kept\n/);
      expect(await cli().shelf.secretsOf(`${GROUP}fleet-dry`)).to.deep.equal([]);
    });

    it('gives lines that join a machine', async () => {
      const { code, stdout } = await cli().run(['issue', '--nodes', fileOf('join', ['fleet-a-1']), '-o', 'join']);
      expect(code).to.equal(0);
      expect(Buffer.from(/printf %s '(\S+)'/.exec(stdout)?.[1] ?? '', 'base64').toString()).to.match(
        /token: [a-z0-9]{6}\.[a-z0-9]{16}\n/,
      );
    });
  });

  describe('one token', () => {
    it('extend gives it a later end in the cluster and in Vault, and a sooner one only with --shorten', async () => {
      const { id, token } = await cli().issue('fleet-extend', '--ttl', '30m');
      const longer = await cli().run(['extend', id, '--ttl', '2h']);
      expect(longer.code, longer.stderr).to.equal(0);
      const expiration = (await cli().shelf.secret(id))?.data['expiration'];
      expect(Date.parse(expiration ?? '')).to.be.greaterThan(Date.now() + 110 * 60_000);
      const { data, custom } = await cli().shelf.entry('nodes/fleet-extend');
      expect(data).to.include({ token, expires_at: expiration });
      expect(custom).to.include({ 'token-id': id, 'expires-at': expiration });
      const shorter = await cli().run(['extend', id, '--ttl', '1h']);
      expect(shorter.code).to.equal(4);
      expect(shorter.stderr).to.include('--shorten');
      expect((await cli().run(['extend', id, '--ttl', '1h', '--shorten'])).code).to.equal(0);
      expect((await cli().shelf.secret(id))?.data['expiration']).to.equal(
        (await cli().shelf.entry('nodes/fleet-extend')).data?.['expires_at'],
      );
      expect((await cli().shelf.whoIs(token))?.username).to.equal(`system:bootstrap:${id}`);
    });

    it('rotate puts another in its place, and revokes it once that can be fetched', async () => {
      const { id } = await cli().issue('fleet-rotate', '--description', 'of rack 9');
      const { code, stdout, stderr } = await cli().run(['rotate', '--for-node', 'fleet-rotate']);
      expect(code, stderr).to.equal(0);
      expect(stdout.trimEnd()).to.match(TOKEN);
      expect(stderr).to.match(/issued for node fleet-rotate.*\ntoken [a-z0-9]{6} revoked\n$/);
      expect(await cli().shelf.secret(id)).to.equal(undefined);
      expect((await cli().shelf.secret(stdout.slice(0, 6)))?.data['description']).to.equal('of rack 9');
      await expectOneEach(['fleet-rotate']);
    });

    it('verify holds Secret, login and Vault against each other, and ends with 11 for an entry edited by hand', async () => {
      const { id } = await cli().issue('fleet-verify');
      const right = await cli().run(['verify', id]);
      expect(right.code, right.stdout).to.equal(0);
      expect(right.stdout).not.to.include('failed');
      await cli().shelf.putEntry('nodes/fleet-verify', `${id}.aaaaaaaaaaaaaaaa`);
      const wrong = await cli().run(['verify', id]);
      expect(wrong.code).to.equal(11);
      expect(wrong.stdout).to.match(/Vault +failed/);
    });

    it('generate prints a token, and needs neither config nor cluster', async () => {
      const { code, stdout, stderr } = await runProgram('bootstrap-token', ['generate']);
      expect({ code, stderr }).to.deep.equal({ code: 0, stderr: '' });
      expect(stdout.trimEnd()).to.match(TOKEN);
    });

    it('report-stolen revokes it, says so in an Event, and names who used it', async () => {
      const { controlPlane, shelf } = cli();
      const { id, token } = await cli().issue('fleet-stolen');
      const thief = new HttpsClient(readKubeconfig(controlPlane.tokenKubeconfig('fleet-stolen', token)));
      await until('the token logs in', async () => (await thief.send('GET', '/api')).status !== 401);
      await createBootstrapCsrs(thief, ['fleet-stolen']);
      await thief.close();
      const { code, stdout, stderr } = await cli().run(['report-stolen', id]);
      expect(code, stderr).to.equal(0);
      expect(stdout).to.match(new RegExp(`fleet-stolen +csr-fleet-stolen +pending`, 'i'));
      expect(stderr).to.include('kubelet-bootstrap node ban fleet-stolen');
      expect(await shelf.secret(id)).to.equal(undefined);
      expect((await shelf.entry('nodes/fleet-stolen')).status).to.equal(404);
      const events = '/api/v1/namespaces/kube-system/events?fieldSelector=reason%3DTokenReportedStolen';
      const { items } = (await controlPlane.admin.must('GET', events)) as { items: { message: string }[] };
      expect(items.map(({ message }) => message).join())
        .to.include(`token ${id}`)
        .and.include('csr-fleet-stolen');
      await removeCsrs(controlPlane, 'csr-fleet-stolen');
    });
  });

  describe('many at once', () => {
    it('revoke --all-expired asks first, and takes what is over, whoever made it', async () => {
      const { shelf } = cli();
      const old = [];
      for (const _ of [1, 2])
        old.push(await shelf.putSecret({ groups: 'system:bootstrappers:pool:fleet-blue', expiresInMs: -60_000 }));
      const asked = await cli().run(['revoke', '--all-expired']);
      expect(asked.code).to.equal(2);
      expect(asked.stderr).to.include('--yes');
      const done = await cli().run(['revoke', '--all-expired', '--yes']);
      expect(done.code, done.stderr).to.equal(0);
      for (const token of old) expect(await shelf.secret(token.slice(0, 6))).to.equal(undefined);
      expect((await cli().run(['list', '--expired', '-o', 'json'])).stdout.trim()).to.equal('[]');
    });

    it('list tells those of one node from the others', async () => {
      const { stdout } = await cli().run(['list', '--for-node', 'fleet-rotate', '-o', 'json']);
      expect((JSON.parse(stdout) as unknown[]).length).to.equal(1);
    });

    it('no output of all these runs has a secret in it, but where it was asked for', () => cli().expectNoSecrets());
  });
});
