/** Every row by the way a request comes; the README's tables of checks are made of them, too. */
import type { RequestPath } from '../../src/policy/verdict.ts';
import { SERVING_ADDRESS_ROWS } from './address-rows.ts';
import { BOOTSTRAP_ROWS } from './bootstrap-rows.ts';
import { FIRST_CERTIFICATE_ROWS, RENEWAL_NODE_ROWS, SERVING_NODE_ROWS } from './node-rows.ts';
import { OTHER_ROWS, RENEWAL_ROWS, type Row, SERVING_ROWS } from './review-rows.ts';

export const TABLES: Readonly<Record<RequestPath, readonly Row[]>> = {
  bootstrap: [...BOOTSTRAP_ROWS, ...FIRST_CERTIFICATE_ROWS],
  renewal: [...RENEWAL_ROWS, ...RENEWAL_NODE_ROWS],
  serving: [...SERVING_ROWS, ...SERVING_NODE_ROWS, ...SERVING_ADDRESS_ROWS],
  other: OTHER_ROWS,
};
