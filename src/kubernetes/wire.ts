/** Reading JSON from the API server into required fields, once, at the edge. */
import { RemoteError } from '../errors.ts';

export type WireObject = Readonly<Record<string, unknown>>;

/** An object, or {} for anything else: absent optional objects read as empty. */
export function objectAt(value: unknown): WireObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as WireObject) : {};
}

/** A list, or [] for anything else. */
export function listAt(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}

/** A string, or '' for anything else. */
export function textAt(value: unknown): string {
  return typeof value === 'string' ? value : '';
}

/** A string that has to be there. Throws RemoteError `Unreadable`. */
export function needText(value: unknown, what: string): string {
  if (typeof value === 'string' && value !== '') return value;
  throw new RemoteError('kubernetes', 'Unreadable', `an object without ${what}`);
}

/** Shared by all that have none: most objects have neither labels nor annotations nor finalizers. */
const NO_MAP: Readonly<Record<string, string>> = Object.freeze({});
const NO_TEXTS: readonly string[] = Object.freeze([]);

/** String values of a map; anything else in it is left out. Not to be changed. */
export function textMapAt(value: unknown): Readonly<Record<string, string>> {
  if (value === undefined) return NO_MAP;
  const entries = Object.entries(objectAt(value));
  return Object.fromEntries(entries.filter((entry): entry is [string, string] => typeof entry[1] === 'string'));
}

/** Strings of a list; anything else in it is left out. Not to be changed. */
export function textsAt(value: unknown): readonly string[] {
  if (value === undefined) return NO_TEXTS;
  return listAt(value).filter((item): item is string => typeof item === 'string');
}

/** ms since the epoch of an RFC 3339 time; undefined when there is none. */
export function timeAt(value: unknown): number | undefined {
  const ms = typeof value === 'string' ? Date.parse(value) : Number.NaN;
  return Number.isNaN(ms) ? undefined : ms;
}

/** What every object has. */
export interface WireMeta {
  readonly name: string;
  readonly uid: string;
  readonly resourceVersion: string;
  readonly createdAt: number;
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
  readonly finalizers: readonly string[];
  readonly beingDeleted: boolean;
}

/** Throws RemoteError `Unreadable` when name, uid or resourceVersion is missing. */
export function readMeta(value: unknown): WireMeta {
  const metadata = objectAt(objectAt(value)['metadata']);
  return {
    name: needText(metadata['name'], 'metadata.name'),
    uid: needText(metadata['uid'], 'metadata.uid'),
    resourceVersion: needText(metadata['resourceVersion'], 'metadata.resourceVersion'),
    createdAt: timeAt(metadata['creationTimestamp']) ?? 0,
    labels: textMapAt(metadata['labels']),
    annotations: textMapAt(metadata['annotations']),
    finalizers: textsAt(metadata['finalizers']),
    beingDeleted: metadata['deletionTimestamp'] !== undefined,
  };
}
