import { readdirSync, readFileSync } from 'node:fs';
import { posix } from 'node:path';

/** One import or re-export. `typeOnly`: erased before the program runs. */
export interface ImportLine {
  readonly target: string;
  readonly typeOnly: boolean;
}

/** One file of `src/`, its path written from there: `policy/review.ts`. */
export interface SourceFile {
  readonly path: string;
  readonly lines: number;
  /** The text without comments, and with every string and regular expression emptied. */
  readonly code: string;
  /** Files as paths from `src/`, packages as they are named. */
  readonly imports: readonly ImportLine[];
}

/** Reads every `.ts` file below the root. */
export function readSources(root: URL): SourceFile[] {
  return readdirSync(root, { recursive: true, encoding: 'utf8' })
    .filter((path) => path.endsWith('.ts'))
    .sort()
    .map((path) => parseSource(path, readFileSync(new URL(path, root), 'utf8')));
}

/** One file from its text. */
export function parseSource(path: string, text: string): SourceFile {
  return { path, lines: text.trimEnd().split('\n').length, code: withoutText(text), imports: importsOf(path, text) };
}

const FROM = /^(?:import|export)(\s+type\b)?[^;'"]*?\bfrom\s*['"]([^'"]+)['"]/gm;
const BARE = /^import\s*['"]([^'"]+)['"]/gm;
const CALLED = /\bimport\(\s*['"]([^'"]+)['"]/g;

function importsOf(path: string, text: string): ImportLine[] {
  const resolve = (target: string): string =>
    target.startsWith('.') ? posix.join(posix.dirname(path), target) : target;
  return [
    ...[...text.matchAll(FROM)].map(([, type, target = '']) => ({
      target: resolve(target),
      typeOnly: type !== undefined,
    })),
    ...[...text.matchAll(BARE), ...text.matchAll(CALLED)].map(([, target = '']) => ({
      target: resolve(target),
      typeOnly: false,
    })),
  ];
}

/**
 * Comment, string, regular expression (only where an operand can stand), or a brace or back quote: what decides whether
 * a character is code. Order matters.
 */
const TOKEN =
  /\/\/[^\n]*|\/\*[^]*?\*\/|'(?:[^'\\\n]|\\.)*'|"(?:[^"\\\n]|\\.)*"|(?<=(?:^|[(,=:[!&|?{};>+]|\breturn)\s*)\/(?:[^/\\[\n]|\\.|\[(?:[^\]\\\n]|\\.)*\])+\/[a-z]*|[`{}]/g;
const TEMPLATE_TEXT = /(?:[^`\\$]|\\[^]|\$(?!\{))*/y;

function withoutText(text: string): string {
  let code = '';
  let at = 0;
  // For each open brace, whether it is the `${` of a template.
  const braces: boolean[] = [];
  const template = (from: number): number => {
    TEMPLATE_TEXT.lastIndex = from;
    TEMPLATE_TEXT.exec(text);
    const end = TEMPLATE_TEXT.lastIndex;
    if (text[end] !== '$') return end + 1;
    code += '{';
    braces.push(true);
    return end + 2;
  };
  for (;;) {
    TOKEN.lastIndex = at;
    const token = TOKEN.exec(text);
    code += text.slice(at, token?.index);
    if (token === null) return code;
    at = token.index + token[0].length;
    if (token[0] === '`') at = template(at);
    else if (token[0] === '{') {
      code += '{';
      braces.push(false);
    } else if (token[0] === '}') {
      code += '}';
      if (braces.pop() === true) at = template(at);
    } else if (!token[0].startsWith('//') && !token[0].startsWith('/*')) code += '""';
  }
}
