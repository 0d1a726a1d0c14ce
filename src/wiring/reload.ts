/** The config in force: the one that the service was started with, with what could be taken from its file since. */
import { type Config, policyOf } from '../config.ts';
import { changedKeys, isLive } from '../config/changes.ts';
import { messageOf } from '../errors.ts';
import type { PolicyConfig } from '../policy/policy-config.ts';
import type { Part } from '../runtime/lifecycle.ts';
import { periodic } from '../runtime/periodic.ts';
import type { Context } from './context.ts';

const LOOK_EVERY_MS = 10_000;

export class ConfigInForce {
  /** Parts that do not look again go by this one. */
  readonly #started: Config;
  #config: Config;
  #policy: PolicyConfig;
  #said = '';
  readonly #context: Pick<Context, 'clock' | 'log' | 'metrics'>;
  readonly #changed: (() => void)[] = [];
  /** The file says what is in force. */
  current = true;

  constructor(config: Config, context: Pick<Context, 'clock' | 'log' | 'metrics'>) {
    this.#started = config;
    this.#config = config;
    this.#policy = policyOf(config);
    this.#context = context;
  }

  get policy(): PolicyConfig {
    return this.#policy;
  }

  /** What the live keys say now; the others are for parts that were wired with them. */
  get config(): Config {
    return this.#config;
  }

  /** Has `changed` told when decisions may come out otherwise. */
  subscribe(changed: () => void): void {
    this.#changed.push(changed);
  }

  /** Reads the file now and then; one that is wrong changes nothing and is said once. */
  part(read: () => Promise<Config>): Part {
    return periodic('config', LOOK_EVERY_MS, this.#context.clock, () => this.take(read));
  }

  /** Takes what it can from the config as it is read now. Never rejects. */
  async take(read: () => Promise<Config>): Promise<void> {
    const { log, metrics } = this.#context;
    try {
      this.#put(await read());
    } catch (error) {
      this.current = false;
      const said = messageOf(error);
      if (said !== this.#said) {
        metrics.reloadFailed();
        log.error({ error: said }, 'the config file is wrong: what was good before stays in force');
      }
      this.#said = said;
    }
  }

  #put(fresh: Config): void {
    const { log } = this.#context;
    const live = changedKeys(this.#config, fresh).filter(isLive);
    const waiting = changedKeys(this.#started, fresh).filter((path) => !isLive(path));
    this.current = waiting.length === 0;
    if (live.length > 0) {
      this.#config = fresh;
      this.#policy = policyOf(fresh);
      log.info({ keys: live }, 'config read anew, in force now');
      for (const tell of this.#changed) tell();
    }
    const said = waiting.length === 0 ? '' : `needs a restart: ${waiting.join(', ')}`;
    if (said !== '' && said !== this.#said)
      log.warn({ keys: waiting }, 'changed in the config file, but needs a restart');
    this.#said = said;
  }
}
