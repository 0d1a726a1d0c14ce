/** Feeds requests to reader and policy until the time is up; `fuzz.test.ts` starts it and watches over it. */
import * as fc from 'fast-check';
import { parentPort, workerData } from 'node:worker_threads';
import { explainChecks, review } from '../../src/policy/review.ts';
import { ruleInput } from '../policy/good-request.ts';
import { seeds } from './corpus.ts';
import { anyRequest } from './requests.ts';

/** What the worker is started with. */
export interface FuzzOrder {
  readonly seconds: number;
  readonly seed: number;
  /** What is being read: how many were before it, its length, its bytes. */
  readonly current: SharedArrayBuffer;
}

export interface FuzzResult {
  readonly executions: number;
  /** Distinct requests that the reader accepted, the first of them. */
  readonly accepted: readonly Uint8Array[];
}

const MOST_KEPT = 2000;
const PATHS = ['bootstrap', 'renewal', 'serving'] as const;
const PRINTABLE = /^[ -~…]*$/;

const { seconds, seed, current } = workerData as FuzzOrder;
const numbers = new Int32Array(current, 0, 2);
const bytes = new Uint8Array(current, 8);
const accepted = new Map<string, Uint8Array>();
let executions = 0;

fc.assert(
  fc.property(anyRequest(seeds()), (request) => {
    bytes.set(request.subarray(0, bytes.length));
    Atomics.store(numbers, 1, request.length);
    Atomics.store(numbers, 0, executions);
    executions += 1;
    const problem = check(request);
    if (problem !== undefined) throw new Error(`${problem}: ${Buffer.from(request).toString('base64')}`);
  }),
  { seed, numRuns: Number.MAX_SAFE_INTEGER, interruptAfterTimeLimit: seconds * 1000 },
);

const result: FuzzResult = { executions, accepted: [...accepted.values()] };
// Nothing is transferred.
parentPort?.postMessage(result, []);

/** What is wrong with what was made of the request; it may be anything, so only what holds for every request is. */
function check(request: Uint8Array): string | undefined {
  const path = PATHS[executions % PATHS.length] ?? 'serving';
  const input = ruleInput(path, { request });
  const verdict = review(input);
  const { csr, seen, problems } = input.request.reading();
  if (explainChecks(input).some((each) => each.actual === '')) return 'a check does not say what it found';
  if ((csr === undefined) !== problems.length > 0) return 'refused without a problem, or read with one';
  if (input.request.commonName !== seen.commonName) return 'another name alone than in the whole';
  if (verdict.kind === 'approve' && csr === undefined) return 'approved what was not read';
  if (problems.some(({ message }) => !PRINTABLE.test(message) || message.length > 4000)) return 'a message is unfit';
  if (csr !== undefined && accepted.size < MOST_KEPT) accepted.set(Buffer.from(request).toString('latin1'), request);
  return undefined;
}
