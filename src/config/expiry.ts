/** The section `expiry` of the config file. */
import * as z from 'zod';
import { dnsLabel, duration, file } from './values.ts';

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
const LONGEST = 3_650 * DAY;

export const expirySection = z
  .strictObject({
    enabled: z.boolean().default(true).describe('Whether the service watches what has an end'),
    interval: duration(MINUTE, DAY)
      .default(HOUR)
      .describe('Between two looks; sooner where something is about to pass a threshold'),
    warning: duration(MINUTE, LONGEST)
      .default(30 * DAY)
      .describe('Warn when less is left, and less than a twelfth of the whole life'),
    critical: duration(MINUTE, LONGEST)
      .default(7 * DAY)
      .describe('Alarm when less is left, and less than a 24th of the whole life'),
    secretNamespaces: z
      .array(dnsLabel)
      .default([])
      .describe('Namespaces whose Secrets of type kubernetes.io/tls are listed; needs that right'),
    kubeconfigs: z.array(file).default([]).describe('kubeconfig files to watch'),
    files: z.array(file).default([]).describe('PEM files with certificates to watch'),
  })
  .refine(({ warning, critical }) => critical <= warning, {
    path: ['critical'],
    error: 'must not be more than expiry.warning',
  })
  .prefault({});
