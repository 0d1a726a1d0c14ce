import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { before, describe, it } from 'mocha';
import type { CommandResult } from '../../scripts/servers/service.ts';
import { requireTokenCli } from '../support/token-cli.ts';

const PREFIX = 'tokens-cli-refusals';
const NODE_GROUP = 'system:bootstrappers:node:';

describe('what bootstrap-token refuses, and what it does when a server refuses it', function () {
  this.timeout(60_000);
  const cli = requireTokenCli(PREFIX, ['cli-blue', 'cli-green']);

  describe('what cannot be asked for', () => {
    const rows: readonly (readonly [string, readonly string[], number, string])[] = [
      ['a pool that is not in the config', ['--pool', 'cli-red'], 3, 'known pools: cli-blue, cli-green'],
      ['a node name with an upper-case letter', ['--for-node', 'Cli-7'], 2, 'lower-case DNS name'],
      ['a node name with an underscore', ['--for-node', 'cli_7'], 2, 'lower-case DNS name'],
      ['a node name of 252 characters', ['--for-node', `${'cli.'.repeat(62)}abcd`], 2, 'at most 251'],
      ['an empty node name', ['--for-node', ''], 2, 'lower-case DNS name'],
      ['a lifetime that is no duration', ['--for-node', 'cli-7', '--ttl', '1d'], 2, '--ttl 1d'],
      ['a lifetime of less than a minute', ['--for-node', 'cli-7', '--ttl', '59s'], 2, '--ttl 59s'],
      ['a lifetime of more than a year', ['--for-node', 'cli-7', '--ttl', '8761h'], 2, '--ttl 8761h'],
      ['neither a node nor a pool', [], 2, 'one of --for-node, --pool and --nodes'],
      ['a node and a pool', ['--for-node', 'cli-7', '--pool', 'cli-blue'], 2, 'either --for-node or --pool'],
      ['an unknown format', ['--for-node', 'cli-7', '-o', 'xml'], 2, '-o xml'],
    ];
    it('is refused, each with its exit code and reason, and nothing is written', async () => {
      // Others' tokens come to their end meanwhile.
      const list = async (): Promise<string[]> => {
        const { stdout } = await cli().run(['list', '-o', 'json']);
        const listed = JSON.parse(stdout) as { id: string; vaultPath?: string; expiresAt: string }[];
        return listed.flatMap(({ id, vaultPath, expiresAt }) => (vaultPath === undefined ? [] : `${id} ${expiresAt}`));
      };
      const before = await list();
      const refused = await Promise.all(rows.map(([, args]) => cli().run(['issue', ...args])));
      for (const [index, [what, , code, reason]] of rows.entries()) {
        const { code: ended, stdout, stderr } = refused[index] ?? { code: -1, stdout: '', stderr: '' };
        expect({ code: ended, stdout }, what).to.deep.equal({ code, stdout: '' });
        expect(stderr, what).to.include(reason);
      }
      expect(await list()).to.deep.equal(before);
      expect((await cli().shelf.entry('nodes/cli-7')).metadata).to.equal(undefined);
    });
  });

  describe('when a server or a credential fails', () => {
    const forNode = ['issue', '--for-node', 'cli-9'];
    const nothingLeft = async (): Promise<void> => {
      expect(await cli().shelf.secretsOf(`${NODE_GROUP}cli-9`)).to.deep.equal([]);
      expect((await cli().shelf.entry('nodes/cli-9')).status).to.equal(404);
    };

    it('Vault sealed ends with 5 and leaves nothing behind', async () => {
      const { openBao } = cli();
      await openBao.seal();
      try {
        const { code, stderr } = await cli().run(forNode);
        expect(code).to.equal(5);
        expect(stderr).to.include('sealed');
      } finally {
        await openBao.unseal();
      }
      await nothingLeft();
    });

    const rows: readonly (readonly [string, number, () => Promise<CommandResult>])[] = [
      ['Vault unreachable', 5, () => cli().run(forNode, { VAULT_ADDR: 'https://127.0.0.1:1' })],
      ['a Vault token that is none', 6, () => cli().run(forNode, { VAULT_TOKEN: 's.0123456789abcdefghijklmn' })],
      ['the API server unreachable', 5, () => runAs(deadKubeconfig())],
      [
        'a client certificate without rights',
        6,
        async () => runAs(await cli().controlPlane.clientKubeconfig('cli-nobody', 'cli-nobody')),
      ],
      [
        'a bearer token that is none',
        6,
        () => runAs(cli().controlPlane.tokenKubeconfig('cli-none', 'abcdef.0123456789abcdef')),
      ],
    ];
    for (const [what, code, work] of rows) {
      it(`${what} ends with ${code} and leaves nothing behind`, async () => {
        const failed = await work();
        expect(failed.code, failed.stderr).to.equal(code);
        expect(failed.stdout).to.equal('');
        expect(failed.stderr.trimEnd().split('\n').length).to.equal(1);
        await nothingLeft();
      });
    }

    const runAs = (kubeconfig: string): Promise<CommandResult> => cli().run(forNode, {}, kubeconfig);

    function deadKubeconfig(): string {
      const { adminKubeconfig, server } = cli().controlPlane;
      const file = join(cli().folder, 'dead.kubeconfig');
      writeFileSync(file, readFileSync(adminKubeconfig, 'utf8').replace(server, 'https://127.0.0.1:1'), {
        mode: 0o600,
      });
      return file;
    }
  });

  describe('with the rights of manifests/vault/admin.hcl alone', () => {
    let env: Readonly<Record<string, string>> = {};
    before('make a Vault token with that policy', async () => {
      const { openBao } = cli();
      const text = readFileSync(new URL('../../manifests/vault/admin.hcl', import.meta.url), 'utf8');
      const policy = text.replaceAll('/kubelet-bootstrap/', `/${PREFIX}/`);
      await openBao.root('POST', 'sys/policies/acl/tokens-cli-admin', { policy });
      const made = (await openBao.root('POST', 'auth/token/create', {
        policies: ['tokens-cli-admin'],
        no_default_policy: true,
      })) as { auth: { client_token: string } };
      env = { VAULT_TOKEN: made.auth.client_token };
    });

    it('an admin issues, replaces, shows and revokes tokens of nodes', async () => {
      const first = await cli().run(['issue', '--for-node', 'cli-10'], env);
      const second = await cli().run(['issue', '--for-node', 'cli-10', '--replace'], env);
      const shown = await cli().run(['show', second.stdout.slice(0, 6)], env);
      expect([first.code, second.code, shown.code]).to.deep.equal([0, 0, 0]);
      expect(shown.stdout).to.match(/^inVault +fetchable$/m);
      expect((await cli().run(['revoke', '--for-node', 'cli-10'], env)).code).to.equal(0);
      expect((await cli().shelf.entry('nodes/cli-10')).metadata?.destroyed).to.equal(true);
    });

    it('an admin who asks for a token of a pool is told of the path that is closed, and nothing is left behind', async () => {
      const { code, stdout, stderr } = await cli().run(['issue', '--pool', 'cli-green'], env);
      expect({ code, stdout }).to.deep.equal({ code: 6, stdout: '' });
      expect(stderr).to.include(`secret/metadata/${PREFIX}/pools/cli-green`);
      expect(await cli().shelf.secretsOf('system:bootstrappers:pool:cli-green')).to.deep.equal([]);
    });
  });

  describe('afterwards', () => {
    it('no output of all these runs has a secret in it, but where it was asked for', () => cli().expectNoSecrets());
  });
});
