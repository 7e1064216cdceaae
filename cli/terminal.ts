/**
 * Where output goes. Standard output carries what was asked for and nothing else; progress and errors go to standard
 * error. There is no colour, so `NO_COLOR` has nothing to switch off.
 */
export interface Terminal {
  /** One or more lines for standard output; a line break is added. */
  print(text: string): void;
  /** One or more lines for standard error; a line break is added. */
  tell(text: string): void;
}

export interface Writable {
  write(text: string): unknown;
}

export const terminalOn = (out: Writable, err: Writable): Terminal => ({
  print: (text) => void out.write(`${printable(text)}\n`),
  tell: (text) => void err.write(`${printable(text)}\n`),
});

/**
 * Text from elsewhere (a user's name, a reason, somebody's policy file) must not move the cursor or retitle the window:
 * control characters other than tab and line feed, and the marks that turn writing direction, become visible escapes.
 */
export const printable = (text: string): string =>
  text.replaceAll(/[^\P{Cc}\t\n]|[\u200e\u200f\u202a-\u202e\u2066-\u2069]/gu, (character) => {
    const code = character.codePointAt(0) ?? 0;
    return `\\u${code.toString(16).padStart(4, '0')}`;
  });
