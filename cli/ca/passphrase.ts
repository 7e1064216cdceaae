/** What is asked of the passphrase of the root key. Whoever gets hold of the file guesses at their leisure. */

const MIN_LENGTH = 16;
const MAX_LENGTH = 1024;
const MIN_DISTINCT = 8;

const KEYBOARD_ROWS = ['1234567890', 'qwertyuiop', 'asdfghjkl', 'zxcvbnm'];

/**
 * Why a passphrase is refused, as the end of a sentence that begins with "the passphrase"; undefined when it is taken.
 * It asks for length and against patterns, not for kinds of characters: six words drawn by dice are good, and so is
 * what a password manager makes. NIST SP 800-63B §3.1.1.2 wants at least 15 characters and no composition rules.
 */
export function passphraseProblem(passphrase: string): string | undefined {
  const characters = [...passphrase];
  if (/\p{Cc}/u.test(passphrase)) return 'has a line break or another control character in it';
  if (passphrase !== passphrase.trim()) return 'begins or ends with a space, which is easily lost';
  if (characters.length < MIN_LENGTH) {
    return `has ${characters.length} characters; it needs at least ${MIN_LENGTH}`;
  }
  if (characters.length > MAX_LENGTH) return `has more than ${MAX_LENGTH} characters`;
  const distinct = new Set(characters.map((character) => character.toLowerCase())).size;
  if (distinct < MIN_DISTINCT) {
    return `has only ${distinct} different characters; it needs at least ${MIN_DISTINCT}`;
  }
  if (repeats(characters)) return 'is a shorter text repeated';
  if (isSequence(characters)) return 'follows the alphabet, the digits or the keyboard';
  return undefined;
}

/** Whether every character equals the one some fixed distance, at most half the length, before it. */
function repeats(characters: readonly string[]): boolean {
  for (let period = 1; period <= characters.length / 2; period += 1) {
    if (characters.every((character, index) => index < period || character === characters[index - period]))
      return true;
  }
  return false;
}

/** Whether more than half of the steps go to the same character, its neighbour in the alphabet or on the keyboard. */
function isSequence(characters: readonly string[]): boolean {
  const lower = characters.map((character) => character.toLowerCase());
  const predictable = lower.filter((character, index) => {
    const before = lower[index - 1];
    return before !== undefined && areNeighbours(before, character);
  }).length;
  return predictable > (lower.length - 1) / 2;
}

function areNeighbours(left: string, right: string): boolean {
  const step = Math.abs((left.codePointAt(0) ?? 0) - (right.codePointAt(0) ?? 0));
  if (step <= 1) return true;
  return KEYBOARD_ROWS.some((row) => row.includes(left + right) || row.includes(right + left));
}
