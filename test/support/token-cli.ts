/** `bootstrap-token` as a program of its own on the shared real servers, for the tests of one `describe`. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { after, before } from 'mocha';
import { stringify } from 'yaml';
import type { ControlPlane } from '../../scripts/servers/control-plane.ts';
import type { OpenBao } from '../../scripts/servers/openbao.ts';
import { newSupervisor } from '../../scripts/servers/servers.ts';
import { type CommandResult, configFor, type CutShort, runProgram } from '../../scripts/servers/service.ts';
import { requireServers } from './servers.ts';
import { type TokenShelf, tokenShelf } from './token-shelf.ts';

type Environment = Readonly<Record<string, string>>;

export interface TokenCli {
  readonly controlPlane: ControlPlane;
  readonly openBao: OpenBao;
  readonly shelf: TokenShelf;
  /** For files of the test. */
  readonly folder: string;
  /** Runs it with the config, and with the admin's kubeconfig unless another is given. */
  run(args: readonly string[], env?: Environment, kubeconfig?: string, cut?: CutShort): Promise<CommandResult>;
  /** Issues for a node and answers the token. */
  issue(node: string, ...more: string[]): Promise<{ id: string; token: string }>;
  /** Fails when any run so far has said a secret that it was not asked for. */
  expectNoSecrets(): void;
}

const TOKEN = /\b[a-z0-9]{6}\.[a-z0-9]{16}\b/;

/** `prefix` is the test's own, in Vault. */
export function requireTokenCli(prefix: string, pools: readonly string[]): () => TokenCli {
  const servers = requireServers();
  let cli: TokenCli | undefined;
  let close = async (): Promise<void> => {};
  before('write the config', () => {
    const { controlPlane, openBao } = servers();
    const supervisor = newSupervisor();
    const shelf = tokenShelf(controlPlane, openBao, prefix);
    close = async () => {
      await shelf.close();
      await supervisor.stop();
    };
    const folder = supervisor.folder('cli');
    const configFile = join(folder, 'config.yaml');
    const config = configFor(servers(), {
      pools: Object.fromEntries(pools.map((pool) => [pool, { nodeNames: `${pool}-[0-9]+` }])),
      vault: { prefix },
    });
    writeFileSync(configFile, stringify(config));
    const said: { readonly text: string; readonly asked: boolean }[] = [];

    const run: TokenCli['run'] = async (args, env, kubeconfig = controlPlane.adminKubeconfig, cut = {}) => {
      const shared = ['--config', configFile, '--kubeconfig', kubeconfig];
      const result = await runProgram('bootstrap-token', [...args, ...shared], env, cut);
      const masked =
        !['issue', 'rotate', 'generate'].includes(args[0] ?? '') || args.includes('json') || args.includes('yaml');
      said.push({ text: result.stderr, asked: false });
      said.push({ text: result.stdout, asked: !masked || args.includes('--show-secret') });
      return result;
    };
    const issue: TokenCli['issue'] = async (node, ...more) => {
      const { code, stdout, stderr } = await run(['issue', '--for-node', node, ...more]);
      expect(code, stderr).to.equal(0);
      return { token: stdout.trimEnd(), id: stdout.slice(0, 6) };
    };
    const expectNoSecrets = (): void => {
      const tokens = said.flatMap(({ text, asked }) => (asked ? (TOKEN.exec(text)?.[0] ?? []) : []));
      expect(tokens, 'tokens that were asked for').not.to.deep.equal([]);
      const secrets = [...tokens.map((token) => token.slice(7)), openBao.rootToken];
      for (const { text } of said.filter(({ asked }) => !asked)) {
        expect(text).not.to.match(TOKEN);
        for (const secret of secrets) expect(text).not.to.include(secret);
      }
    };
    cli = { controlPlane, openBao, shelf, folder, run, issue, expectNoSecrets };
  });
  after('clean up', () => close());
  return () => {
    if (cli === undefined) throw new Error('the program is only there in hooks and tests');
    return cli;
  };
}
