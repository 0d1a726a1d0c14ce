import { ConfigError, isRemote, RefusedError, type RemoteErrorCode, UsageError } from '../errors.ts';

/** Exit codes are stable: scripts may rely on them. */
export const EXIT_CODES = {
  ok: 0,
  failed: 1,
  usage: 2,
  notFound: 3,
  conflict: 4,
  unavailable: 5,
  forbidden: 6,
  partly: 7,
  ailing: 10,
  sick: 11,
  interrupted: 130,
} as const;

/** What each code means; the README's table is held against this one. */
export const EXIT_MEANINGS: Readonly<Record<keyof typeof EXIT_CODES, string>> = {
  ok: 'Done.',
  failed: 'Something failed that has no code of its own; the message says what.',
  usage: 'The command line or the config is wrong; nothing was started or written.',
  notFound: 'The CSR, token, node or pool that was named does not exist.',
  conflict:
    'What was asked for stands in the way of something that is there, such as a second token for a node, or would cost nodes their access.',
  unavailable: 'The API server or Vault could not be reached, is sealed, or asked to wait; try again.',
  forbidden: 'The API server or Vault refused the credential or the right.',
  partly: 'Of many nodes some got their token and some did not; the messages say which and why.',
  ailing:
    '`doctor` found warnings, and no errors; `expiry` something that ends soon, or that it could not look at; `ca status` a step that is due.',
  sick: '`doctor` or `expiry` found errors, `ca status` a CA that cannot be used or is not trusted, or `verify` or `vault setup --check` something that is not as it should be.',
  interrupted: 'Ended by a second SIGINT or SIGTERM, or in the middle of a command.',
};

/** The same in a few words, for help. */
export const EXIT_WORDS: Readonly<Record<keyof typeof EXIT_CODES, string>> = {
  ok: 'done',
  failed: 'failed',
  usage: 'wrong command line or config',
  notFound: 'not found',
  conflict: 'in the way of something that is there',
  unavailable: 'API server or Vault unreachable',
  forbidden: 'credential or right refused',
  partly: 'some of many nodes got no token',
  ailing: 'warnings found',
  sick: 'errors found',
  interrupted: 'interrupted',
};

const EXIT_OF_REMOTE: Readonly<Record<RemoteErrorCode, keyof typeof EXIT_CODES>> = {
  NotFound: 'notFound',
  Conflict: 'conflict',
  AlreadyExists: 'conflict',
  Invalid: 'failed',
  Unauthorized: 'forbidden',
  Forbidden: 'forbidden',
  Expired: 'unavailable',
  TooManyRequests: 'unavailable',
  Sealed: 'unavailable',
  Unavailable: 'unavailable',
  TooLarge: 'failed',
  Unreadable: 'failed',
};

/** The exit code for anything that was thrown. */
export function exitCodeOf(error: unknown): number {
  if (error instanceof UsageError || error instanceof ConfigError) return EXIT_CODES.usage;
  if (isRemote(error)) return EXIT_CODES[EXIT_OF_REMOTE[error.code]];
  if (error instanceof RefusedError && error.code === 'NotFound') return EXIT_CODES.notFound;
  if (error instanceof RefusedError && (error.code === 'AlreadyExists' || error.code === 'Unsafe')) {
    return EXIT_CODES.conflict;
  }
  return EXIT_CODES.failed;
}
