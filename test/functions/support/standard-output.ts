import { vi } from 'vitest';

/** What the code under test writes to standard output, kept instead of shown, until it is given back. */
export function keepStandardOutput(): { readonly text: () => string; readonly restore: () => void } {
  const pieces: string[] = [];
  const spy = vi.spyOn(process.stdout, 'write').mockImplementation((piece) => {
    pieces.push(String(piece));
    return true;
  });
  return { text: () => pieces.join(''), restore: () => spy.mockRestore() };
}
