import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { afterAll, beforeAll, describe, expect, it, test } from 'vitest';
import { passphraseProblem } from '../../cli/ca/passphrase.ts';
import { readPassphrase } from '../../cli/ca/passphrase-source.ts';
import { CommandFailure, UsageError } from '../../cli/failure.ts';

const GOOD = 'mauve tractor opens seven quiet harbours';

describe('a passphrase for the root key', () => {
  test.each([
    ['of six words', GOOD],
    ['as a password manager makes it', 'Vq7-x2Lm.9wTzR4k'],
    ['in another script', 'семь тихих гаваней и трактор'],
    ['of exactly 16 characters', 'plum-vex-9-torso'],
  ])('%s is taken', (_what, passphrase) => {
    expect(passphraseProblem(passphrase)).toBeUndefined();
  });

  test.each([
    ['is empty', '', 'has 0 characters; it needs at least 16'],
    ['has 15 characters', 'plum-vex-9-tors', 'has 15 characters; it needs at least 16'],
    ['has few characters of four bytes', '🐎🔋📎🌲🦊🍋🎲🧵', 'has 8 characters; it needs at least 16'],
    ['has few different characters', 'abcabdabcabdabcaabcd', 'has only 4 different characters'],
    ['is upper and lower case of the same', 'aAbBcCdDeEfFgGaABb', 'has only 7 different characters'],
    ['is a word repeated', 'Vq7-x2Lm.Vq7-x2Lm.Vq7', 'is a shorter text repeated'],
    ['is the alphabet', 'abcdefghijklmnopqrst', 'follows the alphabet, the digits or the keyboard'],
    ['is the alphabet backwards', 'zyxwvutsrqponmlkji', 'follows the alphabet, the digits or the keyboard'],
    ['is the keyboard', 'qwertyuiopasdfghjkl', 'follows the alphabet, the digits or the keyboard'],
    ['is digits in a row', '0123456789123456', 'follows the alphabet, the digits or the keyboard'],
    ['has a line break', `${GOOD}\nmore`, 'has a line break or another control character in it'],
    ['ends with a space', `${GOOD} `, 'begins or ends with a space, which is easily lost'],
    ['has no end', `${GOOD} `.repeat(100).trim(), 'has more than 1024 characters'],
  ])('that %s is refused', (_what, passphrase, problem) => {
    expect(passphraseProblem(passphrase)).toContain(problem);
  });
});

describe('the passphrase', () => {
  let folder: string;
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'sealwright-cli-'));
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  const noTerminal = { input: new PassThrough(), output: new PassThrough() };
  const call = (file?: string, environment: Record<string, string> = {}) => ({
    text: (flag: string) => (flag === 'passphrase-file' ? file : undefined),
    environment,
  });
  const fileWith = (text: string) => {
    const file = join(folder, `${Math.random()}`);
    writeFileSync(file, text);
    return file;
  };

  test.each([
    ['without a line break', GOOD],
    ['with a line break', `${GOOD}\n`],
    ["with a Windows editor's line break", `${GOOD}\r\n`],
  ])('is read from a file %s', async (_how, text) => {
    expect(await readPassphrase(call(fileWith(text)), noTerminal)).toBe(GOOD);
  });

  it('is read from the environment', async () => {
    expect(await readPassphrase(call(undefined, { SEALWRIGHT_ROOT_PASSPHRASE: GOOD }), noTerminal)).toBe(
      GOOD,
    );
  });

  test.each([
    ['given twice', () => call(fileWith(GOOD), { SEALWRIGHT_ROOT_PASSPHRASE: GOOD }), 'is given twice'],
    ['in a file that is not there', () => call('/nowhere/p'), 'cannot be read (ENOENT)'],
    ['too short, in a file', () => call(fileWith('hunter2\n')), 'has 7 characters'],
    [
      'empty in the environment',
      () => call(undefined, { SEALWRIGHT_ROOT_PASSPHRASE: '' }),
      'has 0 characters',
    ],
    [
      'nowhere, and there is no terminal',
      () => call(),
      'give --passphrase-file FILE, set SEALWRIGHT_ROOT_PASSPHRASE',
    ],
  ])('%s is a usage error that does not show it', async (_what, given, sentence) => {
    const refusal = await readPassphrase(given(), noTerminal).catch((error: unknown) => error);
    expect(refusal).toBeInstanceOf(UsageError);
    expect(String(refusal)).toContain(sentence);
    expect(String(refusal)).not.toContain('hunter2');
    expect(String(refusal)).not.toContain(GOOD);
  });

  describe('at a terminal', () => {
    class Keyboard extends PassThrough {
      readonly isTTY = true;
      readonly modes: boolean[] = [];
      setRawMode(raw: boolean): void {
        this.modes.push(raw);
      }
    }

    /** Types each entry when the next question appears. */
    function person(...entries: readonly string[]) {
      const input = new Keyboard();
      const output = new PassThrough();
      const queue = [...entries];
      let shown = '';
      output.on('data', (chunk) => {
        shown += chunk;
        if (String(chunk).endsWith(': ')) setImmediate(() => input.write(queue.shift() ?? '\u0004'));
      });
      return { input, output, shown: () => shown };
    }

    it('is asked for twice and never shown, and the terminal is put back', async () => {
      const who = person(`${GOOD}\r`, `${GOOD}\r`);
      expect(await readPassphrase(call(), who)).toBe(GOOD);
      expect(who.shown()).toBe('Passphrase for the root key (16 characters or more): \nThe same again: \n');
      expect(who.input.modes).toEqual([true, false, true, false]);
    });

    it('is asked for only once the echo is off, for those who paste it at once', async () => {
      const input = new Keyboard();
      const output = new PassThrough();
      const echoAtQuestion: boolean[] = [];
      const write = output.write.bind(output);
      output.write = (chunk: unknown) => {
        if (String(chunk).endsWith(': ')) {
          echoAtQuestion.push(input.modes.at(-1) !== true);
          input.write(`${GOOD}\r`);
        }
        return write(String(chunk));
      };
      expect(await readPassphrase(call(), { input, output })).toBe(GOOD);
      expect(echoAtQuestion).toEqual([false, false]);
    });

    it('can be corrected with backspace and Ctrl-U', async () => {
      const who = person(`wrong\u0015${GOOD}xy\u007f\u007f\r`, `${GOOD}\n`);
      expect(await readPassphrase(call(), who)).toBe(GOOD);
    });

    it('may arrive in pieces, also within a character', async () => {
      const input = new Keyboard();
      const output = new PassThrough();
      const bytes = Buffer.from('семь тихих гаваней и трактор\r', 'utf8');
      let questions = 0;
      output.on('data', (chunk) => {
        if (!String(chunk).endsWith(': ')) return;
        questions += 1;
        for (let at = 0; at < bytes.length; at += 1) input.write(bytes.subarray(at, at + 1));
      });
      expect(await readPassphrase(call(), { input, output })).toBe('семь тихих гаваней и трактор');
      expect(questions).toBe(2);
    });

    it('that differs the second time is refused', async () => {
      await expect(readPassphrase(call(), person(`${GOOD}\r`, `${GOOD}!\r`))).rejects.toThrow(
        'The two passphrases differ. Nothing was made; start again.',
      );
    });

    it('that is weak is refused before it is asked for again', async () => {
      const who = person('hunter2\r');
      await expect(readPassphrase(call(), who)).rejects.toThrow('The passphrase you typed has 7 characters');
      expect(who.shown()).not.toContain('again');
    });

    test.each([
      ['Ctrl-C', '\u0003'],
      ['Ctrl-D', '\u0004'],
    ])('is broken off with %s, and the terminal is put back', async (_key, typed) => {
      const who = person(`half${typed}`);
      const failure = await readPassphrase(call(), who).catch((error: unknown) => error);
      expect(failure).toBeInstanceOf(CommandFailure);
      expect(String(failure)).toContain('Broken off; nothing was made.');
      expect(who.input.modes).toEqual([true, false]);
    });
  });
});
