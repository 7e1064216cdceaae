/**
 * What became of each message of a migration, one JSON line each, on disk before and after Gmail is asked. Gmail's insert has
 * no idempotency key and the scope cannot read, so a message whose outcome is not known is never sent again by itself.
 */
import { closeSync, existsSync, fsyncSync, openSync, readFileSync, writeSync } from 'node:fs';
import { UsageError } from '../failure.ts';

export interface JournalLine {
  /** SHA-256 of the message with CR LF line ends, lower-case hex. */
  readonly sha256: string;
  readonly user: string;
  /** `begun` without a later line: whether it was inserted is not known. */
  readonly state: 'begun' | 'inserted' | 'refused';
  readonly messageId?: string | undefined;
  readonly gmailId?: string;
}

export class Journal {
  readonly #states = new Map<string, JournalLine>();
  readonly #file: number;

  /** Throws `UsageError` for a file that is something else. A last line that was cut by a crash is passed over. */
  constructor(path: string) {
    const text = existsSync(path) ? readFileSync(path, 'utf8') : '';
    const lines = text.split('\n');
    const cut = lines.pop() ?? '';
    for (const line of lines) this.#keep(path, line);
    this.#file = openSync(path, 'a', 0o600);
    if (cut !== '') this.#write('\n');
  }

  stateOf(user: string, sha256: string): JournalLine | undefined {
    return this.#states.get(`${user} ${sha256}`);
  }

  /** On disk when it returns. */
  write(line: JournalLine): void {
    this.#states.set(`${line.user} ${line.sha256}`, line);
    this.#write(`${JSON.stringify(line)}\n`);
  }

  close(): void {
    closeSync(this.#file);
  }

  #write(text: string): void {
    writeSync(this.#file, text);
    fsyncSync(this.#file);
  }

  #keep(path: string, text: string): void {
    let line: Partial<JournalLine>;
    try {
      line = JSON.parse(text) as Partial<JournalLine>;
    } catch (error) {
      if (text.startsWith('{')) return; // cut by a crash, and closed at the next start
      throw new UsageError(`${path} is no journal of "mail import".`, { cause: error });
    }
    if (typeof line.sha256 !== 'string' || typeof line.user !== 'string' || typeof line.state !== 'string')
      throw new UsageError(`${path} is no journal of "mail import".`);
    this.#states.set(`${line.user} ${line.sha256}`, line as JournalLine);
  }
}
