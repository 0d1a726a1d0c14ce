import pino from 'pino';
import type { Log } from '../ports.ts';

/** JSON lines with RFC 3339 times. `write` gets each line with its newline. */
export function createLog(level: string, write: (line: string) => void): Log {
  return pino(
    {
      level,
      base: null,
      messageKey: 'message',
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
      // Nothing hands these over; should something ever do, they stay out of the log.
      redact: {
        paths: ['token', 'secret', '*.token', '*.secret', '*.secret_id', '*.keyPem', '*.request'],
        remove: true,
      },
    },
    { write },
  );
}
