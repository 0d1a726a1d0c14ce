import { execFile } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect } from 'chai';
import { before, describe, it } from 'mocha';
import { parse } from 'yaml';
import { findBinaries } from '../../scripts/servers/binaries.ts';
import { requireTokenCli } from '../support/token-cli.ts';
import { OURS } from '../support/token-shelf.ts';

const NODE_GROUP = 'system:bootstrappers:node:';
const POOL_GROUP = 'system:bootstrappers:pool:';

describe('bootstrap-token on the real API server and OpenBao', function () {
  this.timeout(60_000);
  const cli = requireTokenCli('tokens-cli', ['cli-blue']);

  describe('issue --for-node', () => {
    let issued: { id: string; token: string };

    it('prints the token alone on stdout and everything else on stderr', async () => {
      const args = ['issue', '--for-node', 'cli-1', '--ttl', '30m', '--description', 'for rack 7'];
      const { code, stdout, stderr } = await cli().run(args);
      expect(code).to.equal(0);
      expect(stdout).to.match(/^[a-z0-9]{6}\.[a-z0-9]{16}\n$/);
      issued = { token: stdout.trimEnd(), id: stdout.slice(0, 6) };
      expect(stderr).to.equal(`token ${issued.id} issued for node cli-1, in Vault at nodes/cli-1\n`);
    });

    it('leaves a Secret that lets it log in and nothing else, and no mark of a publication', async () => {
      const secret = await cli().shelf.secret(issued.id);
      const { expiration = '', ...data } = secret?.data ?? {};
      const { 'kubelet-bootstrap/issued-at': issuedAt = '', ...annotations } = secret?.metadata.annotations ?? {};
      expect(secret?.type).to.equal('bootstrap.kubernetes.io/token');
      expect(secret?.metadata.labels).to.deep.equal(OURS);
      expect(annotations).to.deep.equal({ 'kubelet-bootstrap/vault-path': 'nodes/cli-1' });
      expect(data).to.deep.equal({
        'token-id': issued.id,
        'token-secret': issued.token.slice(7),
        'usage-bootstrap-authentication': 'true',
        'auth-extra-groups': `${NODE_GROUP}cli-1`,
        description: 'for rack 7',
      });
      expect(Date.parse(expiration) - Date.parse(issuedAt)).to.equal(30 * 60_000);
    });

    it('publishes the token with what a machine needs to use it', async () => {
      const { controlPlane } = cli();
      const { data, custom } = await cli().shelf.entry('nodes/cli-1');
      const expiresAt = (await cli().shelf.secret(issued.id))?.data['expiration'];
      expect(data).to.deep.equal({
        token: issued.token,
        expires_at: expiresAt,
        server: controlPlane.server,
        ca_certificate: readFileSync(controlPlane.caFile, 'utf8'),
      });
      expect(custom).to.deep.equal({ 'token-id': issued.id, 'token-version': '1', 'expires-at': expiresAt });
    });

    it('makes a token that logs in as itself, in the group of its node', async () => {
      const who = await cli().shelf.whoIs(issued.token);
      expect(who?.username).to.equal(`system:bootstrap:${issued.id}`);
      expect(who?.groups).to.have.members([`${NODE_GROUP}cli-1`, 'system:bootstrappers', 'system:authenticated']);
    });

    it('for the same node again ends with 4 and names the token that is there', async () => {
      const { code, stdout, stderr } = await cli().run(['issue', '--for-node', 'cli-1']);
      expect({ code, stdout }).to.deep.equal({ code: 4, stdout: '' });
      expect(stderr).to.include(`node cli-1 has token ${issued.id}`).and.include('--replace');
      expect((await cli().shelf.secretsOf(`${NODE_GROUP}cli-1`)).length).to.equal(1);
    });

    it('--replace revokes the old token and issues another', async () => {
      const { token, id } = await cli().issue('cli-1', '--replace');
      expect(await cli().shelf.secret(issued.id)).to.equal(undefined);
      expect((await cli().shelf.secretsOf(`${NODE_GROUP}cli-1`)).map(({ data }) => data['token-id'])).to.deep.equal([
        id,
      ]);
      expect((await cli().shelf.entry('nodes/cli-1')).data?.['token']).to.equal(token);
    });

    it('twice at the same time makes one token that works, and leaves nothing of the other', async () => {
      for (const node of ['cli-2', 'cli-3']) {
        const both = await Promise.all([1, 2].map(() => cli().run(['issue', '--for-node', node])));
        expect(both.map(({ code }) => code)).to.have.members([0, 4]);
        const token = both
          .map(({ stdout }) => stdout)
          .join('')
          .trimEnd();
        const secrets = await cli().shelf.secretsOf(NODE_GROUP + node);
        expect(secrets.map(({ data }) => data['token-id'])).to.deep.equal([token.slice(0, 6)]);
        expect(secrets[0]?.metadata.annotations).not.to.have.property('kubelet-bootstrap/publishing-until');
        const { data, custom } = await cli().shelf.entry(`nodes/${node}`);
        expect(data?.['token']).to.equal(token);
        expect(custom['token-id']).to.equal(token.slice(0, 6));
      }
    });

    for (const [what, node] of [
      ['with dots', 'cli-5.rack-7.example.internal'],
      ['of 251 characters', `${'cli.'.repeat(62)}abc`],
    ] as const) {
      it(`for a name ${what} makes a token that logs in with a colon for each dot`, async () => {
        const { token, id } = await cli().issue(node);
        const group = NODE_GROUP + node.replaceAll('.', ':');
        expect((await cli().shelf.whoIs(token))?.groups).to.include(group);
        const shown = await cli().run(['show', id, '-o', 'json']);
        expect(JSON.parse(shown.stdout)).to.include({ node, state: 'usable', inVault: 'fetchable' });
      });
    }
  });

  describe('issue -o', () => {
    for (const format of ['json', 'yaml'] as const) {
      it(`${format} masks the secret part unless it is asked for`, async () => {
        const read = (text: string): unknown => (format === 'json' ? JSON.parse(text) : parse(text));
        const masked = await cli().run(['issue', '--for-node', `cli-o-${format}`, '-o', format]);
        const { id, token, ...rest } = read(masked.stdout) as { id: string; token: string };
        const node = `cli-o-${format}`;
        expect(token).to.equal(`${id}.****************`);
        expect(rest).to.deep.include({ node, state: 'usable', managed: true, groups: [NODE_GROUP + node] });
        const shown = await cli().run(['show', id, '-o', format, '--show-secret']);
        const secret = (await cli().shelf.secret(id))?.data['token-secret'];
        expect(read(shown.stdout)).to.include({ token: `${id}.${secret}`, inVault: 'fetchable' });
      });
    }

    it('bootstrap-kubeconfig is a kubeconfig that kubectl logs in with', async () => {
      const { stdout } = await cli().run(['issue', '--for-node', 'cli-6', '-o', 'bootstrap-kubeconfig']);
      const file = join(cli().folder, 'bootstrap.kubeconfig');
      writeFileSync(file, stdout, { mode: 0o600 });
      const { kubectl } = await findBinaries(['kubectl']);
      const who = await promisify(execFile)(kubectl, ['auth', 'whoami', '-o', 'json', '--kubeconfig', file]);
      expect((JSON.parse(who.stdout) as { status: { userInfo: { username: string } } }).status.userInfo.username)
        .to //
        .match(/^system:bootstrap:[a-z0-9]{6}$/);
    });
  });

  it('issue --pool issues the next token of a pool, beside the one that is there', async () => {
    const first = await cli().run(['issue', '--pool', 'cli-blue']);
    const second = await cli().run(['issue', '--pool', 'cli-blue']);
    expect([first.code, second.code]).to.deep.equal([0, 0]);
    expect((await cli().shelf.secretsOf(`${POOL_GROUP}cli-blue`)).length).to.equal(2);
    expect((await cli().shelf.entry('pools/cli-blue')).data?.['token']).to.equal(second.stdout.trimEnd());
    expect((await cli().shelf.whoIs(first.stdout.trimEnd()))?.groups).to.include(`${POOL_GROUP}cli-blue`);
  });

  describe('list, show and revoke', () => {
    let kept: { id: string; token: string };
    before(async () => {
      kept = await cli().issue('cli-8');
    });

    it('list is a table, a JSON array or YAML, with the tokens of others and without secrets', async () => {
      const foreign = await cli().shelf.putSecret({ groups: 'system:bootstrappers:kubeadm', expiresInMs: 3_600_000 });
      const [text, json, yaml] = await Promise.all(
        [[], ['-o', 'json'], ['-o', 'yaml']].map((format) => cli().run(['list', ...format])),
      );
      expect(text?.stdout).to.match(/^ID +BINDING +STATE /);
      expect(text?.stdout).to.match(new RegExp(`^${kept.id} +node cli-8 +usable .* nodes/cli-8 `, 'm'));
      const listed = JSON.parse(json?.stdout ?? '') as { id: string; managed: boolean; token: string }[];
      expect(listed).to.be.an('array');
      expect(listed.find(({ id }) => id === kept.id)).to.include({ node: 'cli-8', managed: true });
      expect(listed.find(({ id }) => id === foreign.slice(0, 6))).to.include({ managed: false });
      expect(listed.every(({ id, token }) => token === `${id}.****************`)).to.equal(true);
      expect((parse(yaml?.stdout ?? '') as { id: string }[]).map(({ id }) => id).toSorted()) //
        .to.deep.equal(listed.map(({ id }) => id).toSorted());
      const shown = await cli().run(['list', '-o', 'json', '--show-secret']);
      expect(JSON.parse(shown.stdout)).to.deep.include({ ...listed.find(({ id }) => id === kept.id), ...kept });
    });

    it('show tells where the token stands; of an unknown one it ends with 3', async () => {
      const { stdout } = await cli().run(['show', kept.id]);
      expect(stdout).to.match(/^state +usable$/m);
      expect(stdout).to.match(/^inVault +fetchable$/m);
      const { code, stderr } = await cli().run(['show', 'zzzzzz']);
      expect(code).to.equal(3);
      expect(stderr).to.include('there is no token zzzzzz');
    });

    it('a whole token in place of an ID ends with 2 and is not echoed, wherever it stands', async () => {
      const wrong = [['show', kept.token], ['revoke', kept.token], ['show', kept.id, kept.token], [kept.token]];
      for (const { code, stderr } of await Promise.all(wrong.map((args) => cli().run(args)))) {
        expect(code).to.equal(2);
        expect(stderr).not.to.equal('').and.not.include(kept.token.slice(7));
      }
    });

    it('revoke touches no token when one of those that are named is not there', async () => {
      expect((await cli().run(['revoke', kept.id, 'zzzzzz'])).code).to.equal(3);
      expect((await cli().shelf.entry('nodes/cli-8')).data?.['token']).to.equal(kept.token);
    });

    it('revoke withdraws from Vault, so that a machine can tell, and deletes the Secret; again it ends with 3', async () => {
      const { code, stdout, stderr } = await cli().run(['revoke', kept.id]);
      expect({ code, stdout, stderr }).to.deep.equal({ code: 0, stdout: '', stderr: `token ${kept.id} revoked\n` });
      const { status, data, metadata } = await cli().shelf.entry('nodes/cli-8');
      expect({ status, data, destroyed: metadata?.destroyed })
        .to //
        .deep.equal({ status: 404, data: undefined, destroyed: true });
      expect(await cli().shelf.secret(kept.id)).to.equal(undefined);
      expect((await cli().run(['revoke', kept.id])).code).to.equal(3);
    });

    it('revoke --for-node revokes the token of the node, after which it can have another', async () => {
      const { id } = await cli().issue('cli-8');
      expect((await cli().run(['revoke', '--for-node', 'cli-8'])).stderr).to.equal(`token ${id} revoked\n`);
      const again = await cli().run(['revoke', '--for-node', 'cli-8']);
      expect(again.code).to.equal(3);
      expect(again.stderr).to.include('there is no token for node cli-8');
      await cli().issue('cli-8');
      expect((await cli().run(['revoke'])).code).to.equal(2);
    });
  });

  describe('afterwards', () => {
    it('no output of all these runs has a secret in it, but where it was asked for', () => cli().expectNoSecrets());
  });
});
