/** One thing that has to be well for the service to be ready. */
export interface HealthCheck {
  readonly name: string;
  /** undefined when well, otherwise what is wrong, in a sentence. */
  readonly check: (signal: AbortSignal) => Promise<string | undefined> | string | undefined;
}

export interface HealthReport {
  readonly ready: boolean;
  readonly checks: readonly { readonly name: string; readonly problem: string | undefined }[];
}

/** Runs every check; one that throws, or has no answer when `signal` aborts, is not well. */
export async function checkHealth(checks: readonly HealthCheck[], signal: AbortSignal): Promise<HealthReport> {
  const late = new Promise<string>((resolve) => {
    signal.addEventListener('abort', () => resolve('no answer in time'), { once: true });
  });
  const results = await Promise.all(
    checks.map(async ({ name, check }) => {
      try {
        return { name, problem: await Promise.race([check(signal), late]) };
      } catch (error) {
        return { name, problem: error instanceof Error ? error.message : String(error) };
      }
    }),
  );
  return { ready: results.every(({ problem }) => problem === undefined), checks: results };
}
