/** What both programs are built with. */
import { Command, Option } from 'commander';
import { EXIT_CODES, EXIT_WORDS } from './exit-codes.ts';
import type { Io } from './io.ts';
import type { OptionRow } from './settings.ts';
import { VERSION } from './version.ts';

export type ProgramName = 'kubelet-bootstrap' | 'bootstrap-token';

/** What the help of a program ends with: the exit codes, in lines of a terminal. */
export const HELP_END = `\n${wrapped(
  (Object.keys(EXIT_CODES) as (keyof typeof EXIT_CODES)[]).map((name) => `${EXIT_CODES[name]} ${EXIT_WORDS[name]}`),
)}`;

/** `Exit codes: a, b,\nc.`, no line longer than 80 characters. */
function wrapped(items: readonly string[]): string {
  const lines = ['Exit codes:'];
  for (const [index, item] of items.entries()) {
    const text = `${item}${index === items.length - 1 ? '.' : ','}`;
    const line = lines.at(-1) ?? '';
    if (line.length + 1 + text.length <= 80) lines[lines.length - 1] = `${line} ${text}`;
    else lines.push(text);
  }
  return lines.join('\n');
}

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
