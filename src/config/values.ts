/** What single values of the config file look like. */
import { isIP } from 'node:net';
import { RE2JS } from 're2js';
import * as z from 'zod';
import { parseRanges } from '../policy/addresses.ts';
import { formatDuration, parseDuration } from '../runtime/duration.ts';
import { isNodeName, isPoolName } from '../tokens/binding.ts';
import { parseTime } from '../tokens/token-secret.ts';

const DURATION_WANTED = 'must be a duration such as 90s, 15m or 1h30m';

/** A Go duration within bounds, read into milliseconds. */
export function duration(least: number, most: number): z.ZodType<number, string> {
  return z.string(DURATION_WANTED).transform((text, ctx) => {
    const ms = parseDuration(text);
    if (ms === undefined) {
      ctx.addIssue({ code: 'custom', message: `"${text}" ${DURATION_WANTED}` });
      return z.NEVER;
    }
    if (ms < least || ms > most) {
      const bounds = `${least < 1000 ? `${least}ms` : formatDuration(least)} to ${formatDuration(most)}`;
      ctx.addIssue({ code: 'custom', message: `"${text}" is out of bounds: ${bounds}` });
      return z.NEVER;
    }
    return ms;
  });
}

export const https = z.url({ protocol: /^https$/, error: 'must be a URL that begins with https://' });
export const file = z.string().min(1, 'must name a file');
export const concurrency = z.int().min(1).max(256);
export const dnsSuffix = z
  .string()
  .regex(/^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/, 'must be a lower-case DNS name');

export const dnsSubdomain = z.string().refine(isNodeName, 'must be a lower-case DNS name');
export const dnsLabel = z.string().refine(isPoolName, 'must be a lower-case DNS label');

export const time = z.string().transform((text, ctx) => {
  const ms = parseTime(text);
  if (ms !== undefined) return ms;
  ctx.addIssue({ code: 'custom', message: `"${text}" is no time such as 2027-01-31T00:00:00Z` });
  return z.NEVER;
});

const range = z.string().refine((text) => parseRanges([text]).wrong.length === 0, {
  error: ({ input }) => `"${String(input)}" is no range such as 10.0.0.0/8`,
});
export const ranges = z.array(range).transform((texts) => parseRanges(texts).ranges);

export function isListenAddress(text: string): boolean {
  const [, ipv6, ipv4, port] = /^(?:\[([^\]]+)\]|([^:]+)):([0-9]{1,5})$/.exec(text) ?? [];
  return (isIP(ipv6 ?? '') === 6 || isIP(ipv4 ?? '') === 4) && Number(port) <= 65_535;
}

export const pattern = z.string().transform((text, ctx) => {
  try {
    return { text, matcher: RE2JS.compile(text) };
  } catch (error) {
    ctx.addIssue({ code: 'custom', message: `"${text}" is no RE2 pattern: ${String(error)}` });
    return z.NEVER;
  }
});

export const pathSegment = z.string().regex(/^[A-Za-z0-9_-]+$/, 'must be of letters, digits, - and _');
export const pathSegments = z
  .string()
  .regex(/^[A-Za-z0-9_-]+(\/[A-Za-z0-9_-]+)*$/, 'must be segments of letters, digits, - and _, with / between them');
