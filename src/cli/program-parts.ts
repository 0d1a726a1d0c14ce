/** What both programs are built with. */
import { Command, Option } from 'commander';
import type { Io } from './io.ts';
import type { OptionRow } from './settings.ts';
import { VERSION } from './version.ts';

export type ProgramName = 'kubelet-bootstrap' | 'bootstrap-token';

export const HELP_END = `
Exit codes: 0 done, 1 failed, 2 wrong command line or config, 3 not found, 4 in the way of something that is there,
5 API server or Vault unreachable, 6 credential or right refused, 10 doctor has warnings, 11 doctor has errors,
130 interrupted.`;

/** A program that throws instead of exiting, and prints through `io`. */
export function newProgram(name: ProgramName, io: Io): Command {
  return new Command(name)
    .version(VERSION, '--version', 'print the version')
    .exitOverride()
    .showHelpAfterError('(--help tells more)')
    .configureOutput({ writeOut: (text) => io.out(text), writeErr: (text) => io.err(withoutSecrets(text)) });
}

/** The parser quotes what it does not understand, such as a whole token where there is no argument. */
function withoutSecrets(text: string): string {
  return text.replaceAll(/\b([a-z0-9]{6})\.[a-z0-9]{16}\b/g, '$1.****************');
}

/** Adds the options of these tables. */
export function withOptions(command: Command, ...tables: readonly Readonly<Record<string, OptionRow>>[]): Command {
  for (const { flag, env, help } of tables.flatMap((table) => Object.values(table))) {
    command.option(flag, env === undefined ? help : `${help} [$${env}]`);
  }
  return command;
}

/** `-o`, with what a command prints without it. */
export function outputOption(fallback: string, help: string): Option {
  return new Option('-o, --output <format>', help).default(fallback);
}
