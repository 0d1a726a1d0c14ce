import Mocha from 'mocha';
import { reasonOfSkip } from './skip.ts';

const { EVENT_RUN_END, EVENT_TEST_PENDING } = Mocha.Runner.constants;

/**
 * Mocha's `spec` reporter, then the titles of skipped tests with the reason, then as the very last line of the process
 * `N passed, N failed, N skipped`. A failed hook counts as a failure, and so does a run that ended before its end.
 */
export default class CountReporter extends Mocha.reporters.Spec {
  constructor(runner: Mocha.Runner, options?: Mocha.MochaOptions) {
    super(runner, options);
    const skipped: string[] = [];
    let ended = false;
    runner.on(EVENT_TEST_PENDING, (test) => skipped.push(test.fullTitle()));
    runner.once(EVENT_RUN_END, () => {
      ended = true;
    });
    // What a test left running may still print after the end of the run: only at exit is the last line the last.
    process.once('exit', () => {
      const failed = (runner.stats?.failures ?? 0) + (ended ? 0 : 1);
      if (!ended) process.exitCode = 1;
      // Synchronous to files, pipes and terminals on every system that the tests run on.
      process.stdout.write(
        [
          ...skipped.map((title) => `skipped: ${title}: ${reasonOfSkip(title) ?? 'no reason given'}\n`),
          ...(ended ? [] : ['the process ended in the middle of the run\n']),
          `${runner.stats?.passes ?? 0} passed, ${failed} failed, ${skipped.length} skipped\n`,
        ].join(''),
      );
    });
  }
}
