/** Every valid node name fits in whole. */
const LONGEST = 253;

/** A value of unknown origin in double quotes, cut, in printable ASCII: fit for a log line, a condition, a terminal. */
export function quote(value: string): string {
  const safe = value
    .slice(0, LONGEST)
    .replaceAll(/[^ -~]|["\\]/g, (character) =>
      character === '"' || character === '\\'
        ? `\\${character}`
        : `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
    );
  const whole = value.length <= LONGEST && safe.length <= LONGEST;
  return `"${safe.slice(0, LONGEST)}"${whole ? '' : `... (${value.length} characters)`}`;
}

/** The first three of a list, and how many more there are. */
export function listed(items: readonly string[]): string {
  const rest = items.length - 3;
  return items.slice(0, 3).join(', ') + (rest > 0 ? ` and ${rest} more` : '');
}
