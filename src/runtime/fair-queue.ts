import type { Queue, QueueAddOptions } from 'p-queue';

type Run = () => Promise<unknown>;

/** Where a task stands in line. */
export interface Place {
  /** Classes with work get turns in proportion to their weights. */
  readonly class: string;
  readonly weight: number;
  /** Within a class every flow with work gets one turn after another, however much each has waiting. */
  readonly flow: string;
}

/** `add()` options of a p-queue over a FairQueue. */
export interface FairQueueOptions extends QueueAddOptions {
  readonly place?: Place;
}

interface TaskClass {
  weight: number;
  credit: number;
  /** Flows with work in the order of their turns: the first one is next. */
  readonly flows: Map<string, Run[]>;
}

const ANYWHERE: Place = { class: '', weight: 1, flow: '' };

/**
 * The waiting line behind p-queue: smooth weighted round robin over classes, plain round robin over the flows of a
 * class. Adding and taking cost the number of classes, not of tasks (p-queue's own priority line costs O(n) to insert).
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
      tasks = { weight: place.weight, credit: 0, flows: new Map() };
      this.#classes.set(place.class, tasks);
    }
    const waiting = tasks.flows.get(place.flow);
    if (waiting === undefined) tasks.flows.set(place.flow, [run]);
    else waiting.push(run);
    this.#size += 1;
  }

  dequeue(): Run | undefined {
    const tasks = this.#nextClass();
    if (tasks === undefined) return undefined;
    const [first] = tasks.flows;
    if (first === undefined) return undefined;
    const [flow, waiting] = first;
    const run = waiting.shift();
    tasks.flows.delete(flow);
    // Put back at the end: that is the turn of the others.
    if (waiting.length > 0) tasks.flows.set(flow, waiting);
    this.#size -= 1;
    return run;
  }

  /** All tasks that wait: p-queue counts them by it. Options are not kept, so they select nothing. */
  filter(): Run[] {
    return [...this.#classes.values()].flatMap((tasks) => [...tasks.flows.values()].flat());
  }

  /** Weights are set by class; a single task has no priority. */
  setPriority(): void {
    throw new TypeError('a FairQueue has no priorities of single tasks');
  }

  remove(task: string | Run): void {
    for (const { flows } of this.#classes.values()) {
      for (const [flow, waiting] of flows) {
        const index = waiting.findIndex((run) => run === task);
        if (index === -1) continue;
        waiting.splice(index, 1);
        if (waiting.length === 0) flows.delete(flow);
        this.#size -= 1;
        return;
      }
    }
  }

  #nextClass(): TaskClass | undefined {
    let next: TaskClass | undefined;
    let total = 0;
    for (const tasks of this.#classes.values()) {
      // A class without work saves up nothing.
      if (tasks.flows.size === 0) {
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
