import type { Queue, QueueAddOptions } from 'p-queue';

type Run = () => Promise<unknown>;

/** Where a task stands in line. */
export interface Place {
  /** Classes with work get turns in proportion to their weights. */
  readonly class: string;
  readonly weight: number;
  /** Within a class every user with work gets one turn after another, however much each has waiting, */
  readonly user: string;
  /** and within the turns of a user every flow does. */
  readonly flow: string;
}

/** `add()` options of a p-queue over a FairQueue. */
export interface FairQueueOptions extends QueueAddOptions {
  readonly place?: Place;
}

interface TaskClass {
  weight: number;
  credit: number;
  /** Users with work in the order of their turns, each with their flows in the order of theirs: the first is next. */
  readonly users: Map<string, Map<string, Run[]>>;
}

const ANYWHERE: Place = { class: '', weight: 1, user: '', flow: '' };

/**
 * The waiting line behind p-queue: smooth weighted round robin over classes, plain round robin over the users
 * of a class, and over the flows of a user. Adding and taking cost the number of classes, not of tasks (p-queue's own priority line costs O(n) to insert).
 */
export class FairQueue implements Queue<Run, FairQueueOptions> {
  readonly #classes = new Map<string, TaskClass>();
  #size = 0;

  get size(): number {
    return this.#size;
  }

  enqueue(run: Run, options?: Partial<FairQueueOptions>): void {
    const place = options?.place ?? ANYWHERE;
    let tasks = this.#classes.get(place.class);
    if (tasks === undefined) {
      tasks = { weight: place.weight, credit: 0, users: new Map() };
      this.#classes.set(place.class, tasks);
    }
    const flows = tasks.users.get(place.user) ?? new Map<string, Run[]>();
    tasks.users.set(place.user, flows);
    const waiting = flows.get(place.flow);
    if (waiting === undefined) flows.set(place.flow, [run]);
    else waiting.push(run);
    this.#size += 1;
  }

  dequeue(): Run | undefined {
    const tasks = this.#nextClass();
    if (tasks === undefined) return undefined;
    const [firstUser] = tasks.users;
    if (firstUser === undefined) return undefined;
    const [user, flows] = firstUser;
    const [firstFlow] = flows;
    if (firstFlow === undefined) return undefined;
    const [flow, waiting] = firstFlow;
    const run = waiting.shift();
    // Put back at the end: that is the turn of the others.
    flows.delete(flow);
    if (waiting.length > 0) flows.set(flow, waiting);
    tasks.users.delete(user);
    if (flows.size > 0) tasks.users.set(user, flows);
    this.#size -= 1;
    return run;
  }

  /** All tasks that wait: p-queue counts them by it. Options are not kept, so they select nothing. */
  filter(): Run[] {
    return [...this.#lines()].flatMap(({ waiting }) => waiting);
  }

  /** Weights are set by class; a single task has no priority. */
  setPriority(): void {
    throw new TypeError('a FairQueue has no priorities of single tasks');
  }

  remove(task: string | Run): void {
    for (const { users, user, flows, flow, waiting } of this.#lines()) {
      const index = waiting.findIndex((run) => run === task);
      if (index === -1) continue;
      waiting.splice(index, 1);
      if (waiting.length === 0) flows.delete(flow);
      if (flows.size === 0) users.delete(user);
      this.#size -= 1;
      return;
    }
  }

  *#lines(): Generator<{
    users: Map<string, Map<string, Run[]>>;
    user: string;
    flows: Map<string, Run[]>;
    flow: string;
    waiting: Run[];
  }> {
    for (const { users } of this.#classes.values()) {
      for (const [user, flows] of users) {
        for (const [flow, waiting] of flows) yield { users, user, flows, flow, waiting };
      }
    }
  }

  #nextClass(): TaskClass | undefined {
    let next: TaskClass | undefined;
    let total = 0;
    for (const tasks of this.#classes.values()) {
      // A class without work saves up nothing.
      if (tasks.users.size === 0) {
        tasks.credit = 0;
        continue;
      }
      tasks.credit += tasks.weight;
      total += tasks.weight;
      if (next === undefined || tasks.credit > next.credit) next = tasks;
    }
    if (next !== undefined) next.credit -= total;
    return next;
  }
}
