import { der } from '../../src/pki/der-writer.ts';
import { checkStrictDer, type DerElement, derElements } from '../../src/pki/strict-der.ts';

/** One value of a good request. What an OCTET STRING or BIT STRING holds is below it when it is DER itself. */
export interface DerNode {
  readonly tag: number;
  /** Of a value that holds no others. */
  readonly content: Uint8Array;
  /** The octet that counts the unused bits, before the values in a BIT STRING. */
  readonly prefix: Uint8Array;
  readonly children: readonly DerNode[];
  /** Where it stands: `0.1.0`, counted from the outermost. */
  readonly path: string;
}

/** One value as it is about to be written: the values in it are written already, with what was changed in them. */
export interface Written {
  readonly tag: number;
  readonly content: Uint8Array;
  readonly children: readonly Uint8Array[];
}

/** Writes a value otherwise than DER has it. */
export type Change = (value: Written) => Uint8Array;

const NOTHING = new Uint8Array();

/** The tree of a whole DER value, standing at this path. */
export function readTree(bytes: Uint8Array, path = '0'): DerNode {
  const [element] = derElements(bytes) ?? [];
  if (element === undefined) throw new Error('not DER');
  return treeOf(element, path);
}

function treeOf({ tag, content }: DerElement, path: string): DerNode {
  const prefix = tag === 0x03 ? content.subarray(0, 1) : NOTHING;
  const inner = content.subarray(prefix.length);
  const holdsValues = (tag & 0x20) !== 0 || ((tag === 0x03 || tag === 0x04) && checkStrictDer(inner) === undefined);
  const children = holdsValues ? (derElements(inner) ?? []) : [];
  return { tag, content, prefix, children: children.map((child, index) => treeOf(child, `${path}.${index}`)), path };
}

/** Every value of the tree, the outermost first. */
export function nodesOf(tree: DerNode): DerNode[] {
  return [tree, ...tree.children.flatMap(nodesOf)];
}

/** The bytes of the tree, with these changes in it, by path. */
export function writeTree(node: DerNode, changes: ReadonlyMap<string, Change>): Uint8Array {
  const children = node.children.map((child) => writeTree(child, changes));
  const content = children.length === 0 ? node.content : Buffer.concat([node.prefix, ...children]);
  return (changes.get(node.path) ?? writePlain)({ tag: node.tag, content, children });
}

function writePlain({ tag, content }: Written): Uint8Array {
  return der(tag, content);
}
