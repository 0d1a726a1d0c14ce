/** `bootstrap-token`: its commands, options and help. */
import type { Command } from 'commander';
import { extend, type ExtendFlags, generate, rotate, type RotateFlags } from './commands/token-change.ts';
import { issue } from './commands/token-issue.ts';
import { list, type ListFlags, show, type ShowFlags } from './commands/token-list.ts';
import { revoke, type RevokeFlags } from './commands/token-revoke.ts';
import { reportStolen, type StolenFlags } from './commands/token-stolen.ts';
import { verify, type VerifyFlags } from './commands/token-verify.ts';
import type { Io } from './io.ts';
import { HELP_END, newProgram, outputOption, withOptions } from './program-parts.ts';
import { SHARED_OPTIONS } from './settings.ts';
import type { IssueFlags } from './token-flags.ts';

/** The token tool of admins. `end` is told of an exit code that is not 0. */
export function tokenProgram(io: Io, end: (code: number) => void = () => {}): Command {
  const program = newProgram('bootstrap-token', io).description(
    'Issues, changes, checks and revokes kubelet bootstrap tokens, in the cluster and in Vault at once.',
  );
  issueCommand(program, io, end);
  lookCommands(program, io, end);
  changeCommands(program, io);
  return program.addHelpText('after', HELP_END);
}

function issueCommand(program: Command, io: Io, end: (code: number) => void): void {
  withOptions(program.command('issue'), SHARED_OPTIONS)
    .description('issue a token for one node, for every node of a file, or the next one of a pool')
    .option('--for-node <name>', 'the only node that the token is good for')
    .option('--nodes <file>', 'a file of nodes, - for stdin: lines of node[,ttl][,address ...]; run again it goes on')
    .option('--pool <name>', 'a pool of the config')
    .option('--ttl <duration>', 'lifetime, such as 30m or 24h (default: from the config)')
    .option('--description <text>', 'for people; never a secret')
    .option('--uses <number>', 'how many nodes a token of a pool is good for (default: from the config)')
    .option('--count <number>', 'so many tokens of a pool, all printed; only the last can be fetched from Vault')
    .option('--address <addresses...>', 'addresses of the node, vouched for in its serving certificates')
    .option(
      '--replace',
      'revoke the tokens that node or pool have, once the new one is there; it may replace a live node',
    )
    .option('--wrap-ttl <duration>', 'give one-use wrapping tokens for user-data instead of tokens, good for so long')
    .option('--dry-run', 'say what would be issued; write nothing')
    .option('--show-secret', 'do not mask the secret part in json and yaml')
    .option(
      '-o, --output <format>',
      'token, json, yaml, join (a line for the machine) or bootstrap-kubeconfig (default: token); with --nodes ' +
        'text, token, json, yaml or join (default: text)',
    )
    .addHelpText(
      'after',
      '\nExamples:\n  bootstrap-token issue --for-node worker-17 --ttl 30m\n' +
        '  bootstrap-token issue --nodes nodes.csv --dry-run\n\n' +
        'Results alone go to stdout, everything else to stderr.',
    )
    .action(async (flags: IssueFlags) => end(await issue(flags, io)));
}

function lookCommands(program: Command, io: Io, end: (code: number) => void): void {
  withOptions(program.command('list'), SHARED_OPTIONS)
    .description('list the bootstrap tokens of the cluster')
    .option('--for-node <name>', 'only those of this node')
    .option('--pool <name>', 'only those of this pool')
    .option('--expired', 'only those whose end is past')
    .option('--usable', 'only those that log in')
    .option('--show-secret', 'do not mask the secret parts in json and yaml')
    .addOption(outputOption('text', 'text, wide, json or yaml'))
    .action((flags: ListFlags) => list(flags, io));
  withOptions(program.command('show <id>'), SHARED_OPTIONS)
    .description('show one token, and whether Vault has it')
    .option('--show-secret', 'do not mask the secret part')
    .addOption(outputOption('text', 'text, json or yaml'))
    .action((id: string, flags: ShowFlags) => show(id, flags, io));
  withOptions(program.command('verify <id>'), SHARED_OPTIONS)
    .description('log in with a token, and check that Secret, login and Vault agree; writes nothing')
    .addOption(outputOption('text', 'text or json'))
    .action(async (id: string, flags: VerifyFlags) => end(await verify(id, flags, io)));
  program
    .command('generate')
    .description('print a fresh token; needs no config, reads and writes nothing')
    .action(() => generate(io));
}

function changeCommands(program: Command, io: Io): void {
  withOptions(program.command('extend <id>'), SHARED_OPTIONS)
    .description('give a token another end, in the cluster and in Vault')
    .requiredOption('--ttl <duration>', 'how long from now, such as 30m or 24h')
    .option('--shorten', 'let that be sooner than it would have ended')
    .action((id: string, flags: ExtendFlags) => extend(id, flags, io));
  withOptions(program.command('rotate'), SHARED_OPTIONS)
    .description('issue a new token in the place of the old ones, and revoke those once it can be fetched')
    .option('--for-node <name>', 'the tokens of this node')
    .option('--pool <name>', 'the tokens of this pool')
    .option('--ttl <duration>', 'lifetime of the new one (default: from the config)')
    .option('--show-secret', 'do not mask the secret part in json and yaml')
    .addOption(outputOption('token', 'token, json, yaml, join or bootstrap-kubeconfig'))
    .action((flags: RotateFlags) => rotate(flags, io));
  withOptions(program.command('revoke [ids...]'), SHARED_OPTIONS)
    .description('withdraw tokens from Vault, then delete their Secrets')
    .option('--for-node <name>', 'every token of this node')
    .option('--pool <name>', 'every token of this pool')
    .option('--all-expired', 'every token whose end is past, whoever made it')
    .option('-y, --yes', 'do not ask before more than one is revoked')
    .action((ids: string[], flags: RevokeFlags) => revoke(ids, flags, io));
  withOptions(program.command('report-stolen <id>'), SHARED_OPTIONS)
    .description('revoke a token at once, write an Event, and print which CSRs and nodes used it')
    .addOption(outputOption('text', 'text or json'))
    .action((id: string, flags: StolenFlags) => reportStolen(id, flags, io));
}
