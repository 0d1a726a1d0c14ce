const LONGEST = 80;

/** A value of unknown origin in double quotes, fit for a log line or a condition: printable ASCII, 80 characters at most. */
export function quote(value: string): string {
  const cut = value.length > LONGEST ? value.slice(0, LONGEST) : value;
  const safe = cut.replaceAll(/[^ -~]|["\\]/g, (character) =>
    character === '"' || character === '\\'
      ? `\\${character}`
      : `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
  return `"${safe}"${cut === value ? '' : `… (${value.length} characters)`}`;
}

/** The first three of a list, and how many more there are. */
export function listed(items: readonly string[]): string {
  const rest = items.length - 3;
  return items.slice(0, 3).join(', ') + (rest > 0 ? ` and ${rest} more` : '');
}
