/** The characters of which pages of users are made, found in their bytes. */

export const QUOTE = 0x22;
export const BACKSLASH = 0x5c;
export const COMMA = 0x2c;
export const COLON = 0x3a;
export const SPACE = 0x20;
export const OPEN_BRACE = 0x7b;
export const CLOSE_BRACE = 0x7d;
export const OPEN_BRACKET = 0x5b;
export const CLOSE_BRACKET = 0x5d;

export function pastBlank(bytes: Uint8Array, start: number): number {
  let at = start;
  let code = bytes[at] ?? 0;
  while (code === SPACE || code === 0x0a || code === 0x0d || code === 0x09) {
    at += 1;
    code = bytes[at] ?? 0;
  }
  return at;
}

/** Where the object that begins at `start` ends, by its braces; -1 where it does not. Brackets are left to `JSON.parse`. */
export function objectEnd(bytes: Uint8Array, start: number): number {
  if (bytes[start] !== OPEN_BRACE) return -1;
  let depth = 0;
  let isText = false;
  for (let at = start; at < bytes.length; at += 1) {
    const code = bytes[at];
    if (code === 0) return -1;
    if (isText) {
      if (code === BACKSLASH) at += 1;
      else if (code === QUOTE) isText = false;
    } else if (code === QUOTE) isText = true;
    else if (code === OPEN_BRACE) depth += 1;
    else if (code === CLOSE_BRACE) {
      depth -= 1;
      if (depth === 0) return at + 1;
    }
  }
  return -1;
}
