/** Both programs: their commands, options and help. */
import { Command, CommanderError, Option } from 'commander';
import { messageOf } from '../errors.ts';
import { DEFAULT_SERVICE_USER, doctor, type DoctorFlags } from './commands/doctor.ts';
import { explain, type ExplainFlags } from './commands/explain.ts';
import {
  banNode,
  type BanFlags,
  listNodes,
  type NodeListFlags,
  releaseNode,
  type ReleaseFlags,
  unbanNode,
} from './commands/nodes.ts';
import { run } from './commands/run.ts';
import { simulate, type SimulateFlags } from './commands/simulate.ts';
import { issue, type IssueFlags, list, type ListFlags, revoke, show } from './commands/tokens.ts';
import { EXIT_CODES, exitCodeOf } from './exit-codes.ts';
import type { Io } from './io.ts';
import { type OptionRow, RUN_OPTIONS, type RunFlags, SHARED_OPTIONS, type SharedFlags } from './settings.ts';

export type ProgramName = 'kubelet-bootstrap' | 'bootstrap-token';

/** Runs a command line and answers the exit code. Never throws. */
export async function runProgram(name: ProgramName, args: readonly string[], io: Io): Promise<number> {
  let code: number = EXIT_CODES.ok;
  const end = (ended: number): void => void (code = ended);
  const program = name === 'bootstrap-token' ? tokenProgram(io) : serviceProgram(io, end);
  try {
    await program.parseAsync(args, { from: 'user' });
    return code;
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT_CODES.ok : EXIT_CODES.usage;
    if (io.interrupted.aborted) {
      io.err(`${name}: interrupted\n`);
      return EXIT_CODES.interrupted;
    }
    io.err(`${name}: ${error instanceof Error && error.name === 'Error' ? error.message : messageOf(error)}\n`);
    return exitCodeOf(error);
  }
}

/** `kubelet-bootstrap`: the service, and what explains its decisions. `end` is told of an exit code that is not 0. */
export function serviceProgram(io: Io, end: (code: number) => void = () => {}): Command {
  const program = newProgram('kubelet-bootstrap', io).description(
    'Mints kubelet bootstrap tokens into Vault, approves and signs kubelet CSRs, removes what is stale.',
  );
  withOptions(program.command('run'), SHARED_OPTIONS, RUN_OPTIONS)
    .description('run the service until SIGTERM')
    .action((flags: RunFlags) => run(flags, io));
  withOptions(program.command('explain [csr]'), SHARED_OPTIONS)
    .description(
      'print every check on a CSR, what it expected and found, the verdict and what would mend it; writes nothing',
    )
    .option('-f, --filename <file>', 'a file with CSRs instead of one of the cluster')
    .addOption(outputOption('text', 'text or json'))
    .action((csr: string | undefined, flags: ExplainFlags) => explain(csr, flags, io));
  withOptions(program.command('simulate'), SHARED_OPTIONS)
    .description('judge recorded CSRs by a config and print only what would be decided otherwise; writes nothing')
    .requiredOption('-f, --filename <path>', 'file or folder with CSRs, as kubectl get csr -o yaml writes them')
    .option('--baseline <file>', 'a config to compare with, instead of what was decided on record')
    .addOption(
      new Option('--facts <source>', 'assumed: tokens, bindings and nodes are as they should be; cluster: as it is now')
        .choices(['assumed', 'cluster'])
        .default('assumed'),
    )
    .addOption(outputOption('text', 'text or json'))
    .action((flags: SimulateFlags) => simulate(flags, io));
  withOptions(program.command('doctor'), SHARED_OPTIONS)
    .description('print what is wrong with the cluster and the set-up, and how to mend it; writes nothing')
    .option('--service-user <name>', 'the user that the service is to the API server', DEFAULT_SERVICE_USER)
    .addOption(outputOption('text', 'text or json'))
    .action(async (flags: DoctorFlags) => end(await doctor(flags, io)));
  nodeCommands(program, io);
  return program.addHelpText('after', HELP_END);
}

function nodeCommands(program: Command, io: Io): void {
  const node = program.command('node').description('what is on record of nodes; release, ban and unban one');
  withOptions(node.command('list'), SHARED_OPTIONS)
    .description('list the nodes on record: joined when, by which token, certificates until when')
    .addOption(outputOption('text', 'text or json'))
    .action((flags: NodeListFlags) => listNodes(flags, io));
  withOptions(node.command('release <name>'), SHARED_OPTIONS)
    .description('let the next first certificate replace the node although it is alive')
    .option('--for <duration>', 'how long', '30m')
    .action((name: string, flags: ReleaseFlags) => releaseNode(name, flags, io));
  withOptions(node.command('ban <name>'), SHARED_OPTIONS)
    .description('no more approvals and renewals for the node; what it has stays good until its end')
    .option('--reason <text>', 'for people')
    .action((name: string, flags: BanFlags) => banNode(name, flags, io));
  withOptions(node.command('unban <name>'), SHARED_OPTIONS)
    .description('lift the ban')
    .action((name: string, flags: SharedFlags) => unbanNode(name, flags, io));
}

/** `bootstrap-token`: the token tool of admins. */
export function tokenProgram(io: Io): Command {
  const program = newProgram('bootstrap-token', io).description(
    'Issues, lists, shows and revokes kubelet bootstrap tokens, in the cluster and in Vault at once.',
  );
  withOptions(program.command('issue'), SHARED_OPTIONS)
    .description('issue a token for one node, or the next one of a pool')
    .option('--for-node <name>', 'the only node that the token is good for')
    .option('--pool <name>', 'a pool of the config')
    .option('--ttl <duration>', 'lifetime, such as 30m or 24h (default: from the config)')
    .option('--description <text>', 'for people; never a secret')
    .option('--uses <number>', 'how many nodes a token of a pool is good for (default: from the config)')
    .option('--address <addresses...>', 'addresses of the node, vouched for in its serving certificates')
    .option('--replace', 'revoke the tokens that the node or pool has; the new one may replace a node that is alive')
    .option('--show-secret', 'do not mask the secret part in json and yaml')
    .addOption(outputOption('token', 'token, json, yaml or bootstrap-kubeconfig'))
    .addHelpText(
      'after',
      '\nExample:\n  bootstrap-token issue --for-node worker-17 --ttl 30m\n\n' +
        'The token alone goes to stdout, everything else to stderr.',
    )
    .action((flags: IssueFlags) => issue(flags, io));
  withOptions(program.command('list'), SHARED_OPTIONS)
    .description('list the bootstrap tokens of the cluster')
    .option('--show-secret', 'do not mask the secret parts in json and yaml')
    .addOption(outputOption('text', 'text, json or yaml'))
    .action((flags: ListFlags) => list(flags, io));
  withOptions(program.command('show <id>'), SHARED_OPTIONS)
    .description('show one token, and whether Vault has it')
    .option('--show-secret', 'do not mask the secret part')
    .addOption(outputOption('text', 'text, json or yaml'))
    .action((id: string, flags: ListFlags) => show(id, flags, io));
  withOptions(program.command('revoke [ids...]'), SHARED_OPTIONS)
    .description('withdraw tokens from Vault, then delete their Secrets')
    .option('--for-node <name>', 'every token of this node')
    .option('--pool <name>', 'every token of this pool')
    .action((ids: string[], flags: SharedFlags) => revoke(ids, flags, io));
  return program.addHelpText('after', HELP_END);
}

const HELP_END = `
Exit codes: 0 done, 1 failed, 2 wrong command line or config, 3 not found, 4 in the way of something that is there,
5 API server or Vault unreachable, 6 credential or right refused, 10 doctor has warnings, 11 doctor has errors,
130 interrupted.`;

function newProgram(name: ProgramName, io: Io): Command {
  return new Command(name)
    .exitOverride()
    .showHelpAfterError('(--help tells more)')
    .configureOutput({ writeOut: (text) => io.out(text), writeErr: (text) => io.err(withoutSecrets(text)) });
}

/** The parser quotes what it does not understand, such as a whole token where there is no argument. */
function withoutSecrets(text: string): string {
  return text.replaceAll(/\b([a-z0-9]{6})\.[a-z0-9]{16}\b/g, '$1.****************');
}

function withOptions(command: Command, ...tables: readonly Readonly<Record<string, OptionRow>>[]): Command {
  for (const { flag, env, help } of tables.flatMap((table) => Object.values(table))) {
    command.option(flag, env === undefined ? help : `${help} [$${env}]`);
  }
  return command;
}

function outputOption(fallback: string, help: string): Option {
  return new Option('-o, --output <format>', help).default(fallback);
}
