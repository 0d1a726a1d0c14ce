import { Worker } from 'node:worker_threads';
import { expect } from 'chai';
import { describe, it } from 'mocha';
import { readKubeletCsr } from '../../src/pki/pkcs10.ts';
import type { FuzzOrder, FuzzResult } from './fuzz-worker.ts';
import { seenByGoOf } from './go-reader.ts';
import { seenByPeculiar, seenByUs } from './parsers.ts';

const SECONDS = Number(process.env['FUZZ_SECONDS'] ?? 60);
const SEED = Number(process.env['FUZZ_SEED'] ?? Math.floor(Math.random() * 2 ** 31));
/** A thousand times what the slowest request takes. */
const HANGS_AFTER_MS = 30_000;
const LARGEST_SHOWN = 64 * 1024;

describe('fuzzing reader and policy', function () {
  this.timeout((SECONDS + 120) * 1000);

  it(`never throws, never hangs, and accepts nothing that others refuse (${SECONDS} s, seed ${SEED})`, async function () {
    const result = await fuzz();
    process.stdout.write(
      `      ${result.executions} executions, ${result.accepted.length} different requests accepted; ` +
        `CPU each: p99 ${result.p99Microseconds} µs, at most ${result.maxMicroseconds} µs\n`,
    );
    expect(result.accepted).to.not.have.length(0);
    const readings = await seenByGoOf(this, result.accepted);
    for (const [index, request] of result.accepted.entries()) {
      const { csr } = readKubeletCsr(request);
      const seen = csr && seenByUs(csr);
      const text = Buffer.from(request).toString('latin1');
      expect(readings[index], text).to.deep.equal(seen);
      expect(await seenByPeculiar(request), text).to.deep.equal(seen);
    }
  });
});

/** Runs the worker to its end. A worker that stops counting is ended, and what it was reading is in the error. */
function fuzz(): Promise<FuzzResult> {
  const current = new SharedArrayBuffer(8 + LARGEST_SHOWN);
  const order: FuzzOrder = { seconds: SECONDS, seed: SEED, current };
  const worker = new Worker(new URL('fuzz-worker.ts', import.meta.url), { workerData: order });
  const numbers = new Int32Array(current, 0, 2);
  return new Promise<FuzzResult>((resolve, reject) => {
    let count = -1;
    const watch = setInterval(() => {
      const now = Atomics.load(numbers, 0);
      if (now === count) {
        const request = Buffer.from(current, 8, Math.min(Atomics.load(numbers, 1), LARGEST_SHOWN));
        reject(new Error(`hangs on request ${now}: ${request.toString('base64')}`));
        void worker.terminate();
      }
      count = now;
    }, HANGS_AFTER_MS);
    worker.once('message', resolve);
    worker.once('error', reject);
    worker.once('exit', (code) => {
      clearInterval(watch);
      reject(new Error(`the worker ended with ${code}`));
    });
  });
}
