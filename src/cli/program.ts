/** Both programs: their commands, options and help. */
import { type Command, CommanderError, Option } from 'commander';
import { messageOf } from '../errors.ts';
import { caRotate, type CaRotateFlags, caStatus, type CaStatusFlags } from './commands/ca.ts';
import { DEFAULT_SERVICE_USER, doctor, type DoctorFlags } from './commands/doctor.ts';
import { expiry, type ExpiryFlags } from './commands/expiry.ts';
import { explain, type ExplainFlags } from './commands/explain.ts';
import { fleetPlan, type FleetPlanFlags, MEASURED_RATE } from './commands/fleet-plan.ts';
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
import { vaultSetup, type VaultSetupFlags } from './commands/vault-setup.ts';
import { EXIT_CODES, exitCodeOf } from './exit-codes.ts';
import type { Io } from './io.ts';
import { HELP_END, newProgram, outputOption, type ProgramName, withOptions } from './program-parts.ts';
import { RUN_OPTIONS, type RunFlags, SHARED_OPTIONS, type SharedFlags } from './settings.ts';
import { tokenProgram } from './token-program.ts';

export type { ProgramName } from './program-parts.ts';
export { tokenProgram } from './token-program.ts';

/** Runs a command line and answers the exit code. Never throws. */
export async function runProgram(name: ProgramName, args: readonly string[], io: Io): Promise<number> {
  let code: number = EXIT_CODES.ok;
  const end = (ended: number): void => void (code = ended);
  const program = name === 'bootstrap-token' ? tokenProgram(io, end) : serviceProgram(io, end);
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
    'Mints kubelet bootstrap tokens into Vault, approves and signs kubelet CSRs, removes what is stale, and says why.',
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
  withOptions(program.command('expiry'), SHARED_OPTIONS)
    .description('print everything that has an end, soonest first; writes nothing')
    .option('--alarms', 'only what is near its end, over, or cannot be used or looked at')
    .addOption(outputOption('text', 'text or json'))
    .action(async (flags: ExpiryFlags) => end(await expiry(flags, io)));
  nodeCommands(program, io);
  fleetCommands(program, io);
  vaultCommands(program, io, end);
  caCommands(program, io, end);
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

function fleetCommands(program: Command, io: Io): void {
  const fleet = program.command('fleet').description('what is ahead of all nodes together');
  withOptions(fleet.command('plan'), SHARED_OPTIONS)
    .description('print the renewals of each hour ahead, and the longest outage that no node notices; writes nothing')
    .option('--join <number>', 'nodes that join now, all at once, beside those on record', '0')
    .option('--pool <name>', 'the pool whose lifetimes they get')
    .option('--hours <number>', 'how far to look ahead (default: the longest lifetime, 24 to 168)')
    .option('--rate <number>', 'certificates that the signer makes in a second', MEASURED_RATE)
    .addOption(outputOption('text', 'text or json'))
    .action((flags: FleetPlanFlags) => fleetPlan(flags, io));
}

function vaultCommands(program: Command, io: Io, end: (code: number) => void): void {
  const vault = program.command('vault').description('mounts, policies and roles in Vault');
  withOptions(vault.command('setup'), SHARED_OPTIONS)
    .description('make in Vault what the config and the machines need; run again it changes nothing')
    .option('--print', 'print the commands that would do it; needs no Vault')
    .option('--check', 'compare and print what differs; writes nothing')
    .option('--for-node <name...>', 'nodes that get an AppRole role of their own')
    .option('--nodes <file>', 'the same for every node of a file, - for stdin, as bootstrap-token issue takes it')
    .option('--make-ca', 'where the issuer of signer.ca.pki is not there: make a root whose key never leaves Vault')
    .option('--import-ca <file>', 'where it is not there: import this PEM bundle of a CA, its chain and its key')
    .option('--machine-mount <mount>', 'AppRole method that machines log in at, below auth/', 'approle')
    .option('--secret-id-ttl <duration>', "how long a machine's secret_id can be used; 0: for ever", '720h')
    .option('--jwt-role <name>', 'role for machines that log in with an identity token of their cloud')
    .option('--jwt-user-claim <claim>', 'the claim of that token that holds the name of the node')
    .option('--jwt-audience <audience>', 'the audience that such a token must be for', 'vault')
    .option('--jwt-mount <mount>', 'JWT method that they log in at, below auth/', 'jwt')
    .addOption(outputOption('text', 'text or json'))
    .addHelpText(
      'after',
      '\nTakes VAULT_TOKEN, the token of an admin of Vault. Enabled methods are left for you to configure:\n' +
        'bao write auth/kubernetes/config ..., bao write auth/jwt/config ...',
    )
    .action(async (flags: VaultSetupFlags) => end(await vaultSetup(flags, io)));
}

function caCommands(program: Command, io: Io, end: (code: number) => void): void {
  const ca = program.command('ca').description('the CA that is signed with, and its rotation');
  withOptions(ca.command('status'), SHARED_OPTIONS)
    .description(
      'print the CAs, which nodes hold certificates of which, whether the API server trusts them, what is next',
    )
    .addOption(outputOption('text', 'text or json'))
    .action(async (flags: CaStatusFlags) => end(await caStatus(flags, io)));
  withOptions(ca.command('rotate'), SHARED_OPTIONS)
    .description('do one step of a rotation: put a next CA there, have it sign, drop the previous one')
    .option('--certificate <file>', 'take this as the next CA, its chain behind it, instead of making a root')
    .option('--key <file>', 'its key')
    .option('--same-key', 'make only a new certificate, for name and key of the CA that is there')
    .option('--common-name <name>', 'name of a CA that is made')
    .option('--lifetime <duration>', 'of a CA that is made', '87600h')
    .option('--sign-from <time>', 'have the next CA sign from then on: now, or an RFC 3339 time')
    .option('--finish', 'drop the previous CA')
    .option('--cancel', 'take the next CA away, or go back to the first one')
    .option('--force', 'also where it can cost nodes their access')
    .option('--dry-run', 'print what would be done; writes nothing')
    .action(async (flags: CaRotateFlags) => end(await caRotate(flags, io)));
}
