import pino from 'pino';
import type { Log } from '../ports.ts';

/** pino tells a destination that has it of the level of each line, before the line. */
const TELLS_LEVEL = Symbol.for('pino.metadata');
/** pino's number for it. */
const WARN = 40;

/** JSON lines with RFC 3339 times. `write` gets each line with its newline, and whether it is a warning or worse. */
export function createLog(level: string, write: (line: string, isWarning: boolean) => void): Log {
  const destination = {
    [TELLS_LEVEL]: true,
    lastLevel: 0,
    write: (line: string) => write(line, destination.lastLevel >= WARN),
  };
  return pino(
    {
      level,
      base: null,
      messageKey: 'message',
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }), log: withoutSecrets },
    },
    destination,
  );
}

type Fields = Record<string, unknown>;

/** Nothing hands these over; should something ever do, they stay out of the log. */
const SECRET: ReadonlySet<string> = new Set(['token', 'secret', 'secret_id', 'keyPem']);
/** Inside of other fields: at the top `request` is the digest of one. */
const SECRET_INSIDE: ReadonlySet<string> = new Set([...SECRET, 'request']);

/** pino's own redaction takes as long as writing the line does, and there are two lines a certificate. */
function withoutSecrets(fields: Fields): Fields {
  const kept: Fields = {};
  for (const [key, value] of Object.entries(fields)) {
    if (SECRET.has(key)) continue;
    kept[key] =
      isPlain(value) && Object.keys(value).some((inner) => SECRET_INSIDE.has(inner)) ? stripped(value) : value;
  }
  return kept;
}

function stripped(value: Fields): Fields {
  return Object.fromEntries(Object.entries(value).filter(([key]) => !SECRET_INSIDE.has(key)));
}

function isPlain(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
