/** `abcdef.0123456789abcdef`: the public ID and the secret of a bootstrap token. */
export interface BootstrapToken {
  readonly id: string;
  readonly secret: string;
}

const ALPHABET = 'abcdefghijklmnopqrstuvwxyz0123456789';
const TOKEN = /^([a-z0-9]{6})\.([a-z0-9]{16})$/;
const TOKEN_ID = /^[a-z0-9]{6}$/;

/** Bytes at or above this are thrown away: 252 = 7 * 36, so what is left maps to the alphabet without bias. */
const UNBIASED = 252;

/**
 * Draws a token from a source of random bytes, every character of `[a-z0-9]` equally likely
 * (kubeadm's `cluster-bootstrap/token/util` does the same).
 */
export function drawToken(randomBytes: (count: number) => Uint8Array): BootstrapToken {
  let drawn = '';
  while (drawn.length < 22) {
    for (const byte of randomBytes(32)) {
      if (byte < UNBIASED && drawn.length < 22) drawn += ALPHABET.charAt(byte % ALPHABET.length);
    }
  }
  return { id: drawn.slice(0, 6), secret: drawn.slice(6) };
}

/** Reads `<id>.<secret>`; undefined for anything else, white space included. */
export function parseToken(text: string): BootstrapToken | undefined {
  const match = TOKEN.exec(text);
  return match === null ? undefined : { id: match[1] as string, secret: match[2] as string };
}

/** The text a kubelet sends as its bearer token. */
export function formatToken(token: BootstrapToken): string {
  return `${token.id}.${token.secret}`;
}

/** True for six characters of `[a-z0-9]`. */
export function isTokenId(text: string): boolean {
  return TOKEN_ID.test(text);
}

const TOKEN_USER = /^system:bootstrap:([a-z0-9]{6})$/;

/** The token ID in a user name that the API server made from a bootstrap token; undefined for any other user. */
export function tokenIdOfUser(username: string): string | undefined {
  return TOKEN_USER.exec(username)?.[1];
}
