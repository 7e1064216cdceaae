/** Asking at a terminal for something that must not appear on it. */
import { CommandFailure } from '../failure.ts';

/** The part of `process.stdin` that is used. */
export interface PromptInput extends NodeJS.EventEmitter {
  readonly isTTY?: boolean;
  setRawMode?(raw: boolean): unknown;
  resume(): unknown;
  pause(): unknown;
}

export interface PromptOutput {
  write(text: string): unknown;
}

const ENTER = new Set(['\r', '\n']);
const CONTROL_C = '\u0003';
const CONTROL_D = '\u0004';
const CONTROL_U = '\u0015';
const BACKSPACE = new Set(['\u007f', '\b']);

/**
 * One line, typed without an echo; backspace and Ctrl-U correct it. Throws `CommandFailure` when it is broken off with
 * Ctrl-C or Ctrl-D. The terminal is put back as it was in every case.
 */
export function hiddenInput(
  { input, output }: { readonly input: PromptInput; readonly output: PromptOutput },
  question: string,
): Promise<string> {
  return new Promise((resolve, reject) => {
    const typed: string[] = [];
    const decoder = new TextDecoder();
    const end = (settle: () => void) => {
      input.off('data', onData);
      input.off('end', onEnd);
      input.setRawMode?.(false);
      input.pause();
      output.write('\n');
      settle();
    };
    const brokenOff = () =>
      end(() => reject(new CommandFailure('broken-off', 'Broken off; nothing was made.')));
    const onEnd = brokenOff;
    const onData = (chunk: Uint8Array) => {
      for (const character of decoder.decode(chunk, { stream: true })) {
        if (ENTER.has(character)) return end(() => resolve(typed.join('')));
        if (character === CONTROL_C || character === CONTROL_D) return brokenOff();
        if (character === CONTROL_U) typed.length = 0;
        else if (BACKSPACE.has(character)) typed.pop();
        else typed.push(character);
      }
    };
    // In raw mode the terminal echoes nothing and hands on Ctrl-C as a character. The question comes last: whoever
    // answers it at once must find the echo off.
    input.setRawMode?.(true);
    input.on('data', onData);
    input.on('end', onEnd);
    input.resume();
    output.write(question);
  });
}
