/** Kills, losses and rivals at any single call of one process to the API server or to Vault. */
import { RemoteError } from '../../src/errors.ts';
import type { Transport } from '../../src/kubernetes/transport.ts';
import type { VaultCaller } from '../../src/vault/key-value.ts';

/** What happens at the call of that number, from 0. */
export type Fault =
  /** The process ends before it is sent. */
  | 'killed before'
  /** It takes effect, and the process ends before it hears of that. */
  | 'killed after'
  /** It takes effect, and the answer is lost; the process goes on. */
  | 'answer lost'
  /** It takes no effect; the process goes on. */
  | 'refused'
  /** Somebody else does all of their work before it is sent. */
  | 'overtaken';

export interface FaultPoint {
  readonly fault: Fault;
  readonly at: number;
  readonly overtake?: () => Promise<void>;
}

/** Both ways out of a process, with one fault on them. */
export class FaultyWays {
  readonly transport: Transport;
  readonly vault: VaultCaller;
  /** Of the calls so far. */
  readonly calls: string[] = [];
  readonly #point: FaultPoint;
  #dead = false;

  constructor(transport: Transport, vault: VaultCaller, point: FaultPoint) {
    this.#point = point;
    const call: Transport['call'] = (wanted, signal) =>
      this.#through(`${wanted.verb} ${wanted.resource}`, () => transport.call(wanted, signal));
    this.transport = Object.assign(Object.create(transport) as Transport, { call });
    this.vault = {
      call: (request, signal) =>
        this.#through(`${request.method} ${request.path[1]}`, () => vault.call(request, signal)),
    };
  }

  /** Whether the fault has come to pass. */
  get wasMet(): boolean {
    return this.calls.length > this.#point.at;
  }

  async #through<T>(name: string, send: () => Promise<T>): Promise<T> {
    if (this.#dead) throw new Error('the process has ended');
    const isIt = this.calls.length === this.#point.at;
    this.calls.push(name);
    if (!isIt) return send();
    const { fault, overtake } = this.#point;
    if (fault === 'killed before') this.#dead = true;
    if (this.#dead) throw new Error('the process has ended');
    if (fault === 'refused') throw lost();
    if (fault === 'overtaken') {
      await overtake?.();
      return send();
    }
    await send();
    this.#dead = fault === 'killed after';
    throw this.#dead ? new Error('the process has ended') : lost();
  }
}

function lost(): RemoteError {
  return new RemoteError('vault', 'Unavailable', 'no answer: a fault of the test');
}
