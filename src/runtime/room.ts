import type { Place } from './fair-queue.ts';

/** How many may wait at most. */
export interface RoomLimits {
  readonly ofClass: number;
  /** Of one user in one class. */
  readonly ofUser: number;
}

/**
 * Counts what waits in a line, and turns away what is too much: of one user, so that it takes the room of no other, and of
 * one class. Who was turned away may come again when half of what was full is free.
 */
export class Room {
  readonly #limits: RoomLimits;
  readonly #waiting = new Map<string, number>();
  /** What somebody was turned away from. */
  readonly #full = new Set<string>();

  constructor(limits: RoomLimits) {
    this.#limits = limits;
  }

  /** False when there is no room. */
  take(place: Place): boolean {
    const all = this.#spaces(place);
    const full = all.filter(({ name, most }) => this.#countOf(name) >= most);
    for (const { name } of full) this.#full.add(name);
    if (full.length > 0) return false;
    for (const { name } of all) this.#waiting.set(name, this.#countOf(name) + 1);
    return true;
  }

  /** Gives a place back that was taken. True when those may come again who were turned away. */
  giveBack(place: Place): boolean {
    let opened = false;
    for (const { name, most } of this.#spaces(place)) {
      const left = this.#countOf(name) - 1;
      if (left > 0) this.#waiting.set(name, left);
      else this.#waiting.delete(name);
      if (left <= most / 2 && this.#full.delete(name)) opened = true;
    }
    return opened;
  }

  #countOf(name: string): number {
    return this.#waiting.get(name) ?? 0;
  }

  #spaces(place: Place): readonly { readonly name: string; readonly most: number }[] {
    const { ofClass, ofUser } = this.#limits;
    return [
      { name: place.class, most: ofClass },
      { name: `${place.class} ${place.user}`, most: ofUser },
    ];
  }
}
