/**
 * Looks through all that service, commands and the fetch script write in a run of tests, and fails the run when a token,
 * a Vault token, an identity token or a private key is in it. Loaded by the mocha configs.
 */
import { readSaid, type Said } from '../../scripts/servers/said.ts';

const SECRETS: readonly (readonly [string, RegExp])[] = [
  ['a bootstrap token', /\b[a-z0-9]{6}\.(?=[a-z]*[0-9])[a-z0-9]{16}\b/],
  ['a Vault token', /\b(?:hv)?[sbr]\.(?=[\w-]*[A-Z0-9])[\w-]{24,}/],
  ['an identity token', /\beyJ[\w-]{8,}\.eyJ[\w-]{8,}\.[\w-]{8,}/],
  ['a private key', /-----BEGIN (?:[A-Z]+ )?PRIVATE KEY-----/],
];
/** Commands whose stdout is a secret because somebody asked for it. */
const ASKED = /^bootstrap-token (?:issue|rotate|generate)\b|--show-secret\b/;

/** Which secrets are in what a program said; where it was asked for them, only stderr is looked at. */
export function secretsSaid({ program, stdout, stderr }: Said): string[] {
  const text = ASKED.test(program) ? stderr : `${stdout}\n${stderr}`;
  return SECRETS.flatMap(([what, pattern]) => {
    const found = pattern.exec(text);
    if (found === null) return [];
    const line = text.slice(text.lastIndexOf('\n', found.index) + 1, found.index).slice(-200);
    return [`${program} said ${what} after: ${line}`];
  });
}

const said: string[] = [];
let programs = 0;

export const mochaHooks = {
  beforeAll(): void {
    readSaid((each) => {
      programs += 1;
      said.push(...secretsSaid(each));
    });
  },
  afterAll(): void {
    if (said.length > 0) throw new Error(`secrets in what ${programs} programs said:\n${said.join('\n')}`);
  },
};
