import type { Place } from './fair-queue.ts';

/** How many may wait at most. */
export interface RoomLimits {
  readonly ofUser: number;
  /** Of one user in one class and flow. */
  readonly ofFlow: number;
}

/**
 * Counts what waits in a line and turns away what is too much of one user, or of one flow: no user takes the room of
 * another, and a flow leaves room for the others of its user. Once somebody was turned away everybody is, until half is
 * free: so those who were first may come again first.
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
    const full = all.filter(({ name, most }) => this.#full.has(name) || this.#countOf(name) >= most);
    for (const { name } of full) this.#full.add(name);
    if (full.length > 0) return false;
    for (const { name } of all) this.#waiting.set(name, this.#countOf(name) + 1);
    return true;
  }

  /** Gives a place back that was taken. True when those of its user may come again who were turned away. */
  giveBack(place: Place): boolean {
    let opened = false;
    for (const { name, most } of this.#spaces(place)) {
      const left = this.#countOf(name) - 1;
      if (left > 0) this.#waiting.set(name, left);
      else this.#waiting.delete(name);
      if (left <= most / 2 && this.#full.delete(name)) opened = true;
    }
    return opened && this.admits(place.user);
  }

  /** Whether anything of this user was not turned away since there was room for it. */
  admits(user: string): boolean {
    return !this.#full.has(nameOfUser(user));
  }

  #countOf(name: string): number {
    return this.#waiting.get(name) ?? 0;
  }

  #spaces(place: Place): readonly { readonly name: string; readonly most: number }[] {
    const { ofUser, ofFlow } = this.#limits;
    return [
      { name: nameOfUser(place.user), most: ofUser },
      { name: JSON.stringify([place.class, place.user, place.flow]), most: ofFlow },
    ];
  }
}

function nameOfUser(user: string): string {
  return `user ${user}`;
}
