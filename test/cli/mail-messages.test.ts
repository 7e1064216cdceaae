import { mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { UsageError } from '../../cli/failure.ts';
import { readInput } from '../../cli/input-file.ts';
import { messagesIn } from '../../cli/mail/messages.ts';

const texts = (file: string, longest?: number) =>
  messagesIn(Buffer.from(file, 'latin1'), longest).map((message) => message.toString('latin1'));
const FROM = 'From ana@acme.example Mon Nov  2 10:00:00 2026';

describe('a file of old mail', () => {
  it.each<[string, string, readonly string[]]>([
    ['an .eml', 'Subject: a\n\nhello\n', ['Subject: a\r\n\r\nhello\r\n']],
    ['nothing', '\n \n', []],
    ['an mbox of one', `${FROM}\nSubject: a\n\nhello\n`, ['Subject: a\r\n\r\nhello\r\n']],
    [
      'an mbox of two',
      `${FROM}\nSubject: a\n\nhello\n\n${FROM}\nSubject: b\n\nbye\n`,
      ['Subject: a\r\n\r\nhello\r\n', 'Subject: b\r\n\r\nbye\r\n'],
    ],
    [
      'an mbox with line ends of three kinds',
      `${FROM}\r\nSubject: a\r\rhello\r\n\r${FROM}\nSubject: b\n\r\nbye`,
      ['Subject: a\r\n\r\nhello\r\n', 'Subject: b\r\n\r\nbye\r\n'],
    ],
    [
      'quoted "From " lines',
      `${FROM}\nSubject: a\n\n>From here\n>>From there\n`,
      ['Subject: a\r\n\r\nFrom here\r\n>From there\r\n'],
    ],
    [
      'a "From " line after a line that is not empty',
      `${FROM}\nSubject: a\n\nhello\n${FROM}\n`,
      [`Subject: a\r\n\r\nhello\r\n${FROM}\r\n`],
    ],
    [
      'a "From " line without a year',
      `${FROM}\nSubject: a\n\nhello\n\nFrom now on all is well\n`,
      ['Subject: a\r\n\r\nhello\r\n\r\nFrom now on all is well\r\n'],
    ],
    ['a "From " line and nothing else', FROM, []],
  ])('with %s is taken apart', (_what, file, messages) => {
    expect(texts(file)).toEqual(messages);
  });

  it('is taken apart like the same text as one string, whatever its line ends', () => {
    /** RFC 4155 in one expression, for files short enough to be a string. */
    const inOneString = (file: string) =>
      file
        .replace(/\r\n|\r|\n/g, '\r\n')
        .split(/\r\n\r\n(?=From [^\r\n]*\d{4}\b[^\r\n]*\r\n)/)
        .map((piece) => piece.replace(/^From [^\r\n]*(\r\n)?/, '').replace(/^>(>*From )/gm, '$1'))
        .filter((message) => message.trim() !== '')
        .map((message) => (message.endsWith('\r\n') ? message : `${message}\r\n`));
    const parts = fc.constantFrom('\n', '\r', '\r\n', FROM, 'From ', '>From x', '1999', 'x', ' ');
    fc.assert(
      fc.property(fc.array(parts, { maxLength: 30 }), (list) => {
        const file = `${FROM}\n${list.join('')}`;
        expect(texts(file)).toEqual(inOneString(file));
      }),
      { numRuns: 300 },
    );
  });

  it('may be longer than a message may be, whose limit is told with what to do', () => {
    const message = `Subject: a\n\n${'x'.repeat(50)}`;
    const file = `${FROM}\n${message}\n\n${FROM}\n${message}\n`;
    expect(file.length).toBeGreaterThan(150);
    expect(texts(file, 150)).toHaveLength(2);
    for (const longer of [file, file.slice(file.indexOf('\n') + 1)]) {
      expect(() => texts(longer, 100)).toThrow(UsageError);
      expect(() => texts(longer, 100)).toThrow(/more than can be imported \(100\).*split it/);
    }
  });

  it('of 2 GiB is refused with what to do', () => {
    const folder = mkdtempSync(join(tmpdir(), 'sealwright-mbox-'));
    try {
      // Sparse: it takes no room.
      const file = join(folder, 'huge.mbox');
      writeFileSync(file, '');
      truncateSync(file, 2 ** 31);
      expect(() => readInput(file)).toThrow(/huge\.mbox cannot be read: it has 2 GiB or more; split it/);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});
