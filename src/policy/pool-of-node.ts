import type { Csr } from '../ports.ts';
import { readBinding } from '../tokens/binding.ts';
import type { Facts } from './facts.ts';

/** The pool that the requester's token is for, or that the node joined by; undefined when it is of none. */
export function poolOfNode(csr: Csr, { record }: Pick<Facts, 'record'>): string | undefined {
  const reading = readBinding(csr.requester.groups);
  if (reading.kind === 'bound' && reading.binding.kind === 'pool') return reading.binding.pool;
  return record.known ? record.value?.token?.pool : undefined;
}
