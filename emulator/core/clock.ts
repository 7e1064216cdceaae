import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';

/**
 * The clock everything on this machine shares: the real one plus an offset that only grows. The offset lives in a
 * file so that the product's functions, in a process of their own, read the same time at every call, also after
 * either process was killed.
 */
export class EmulatorClock {
  readonly #file: string | undefined;
  readonly #onMove: (() => void)[] = [];
  #offsetMs = 0;

  /** `file`: where the offset is kept, decimal milliseconds; undefined keeps it in memory. */
  constructor(file?: string) {
    this.#file = file;
    if (file !== undefined && existsSync(file)) {
      const text = readFileSync(file, 'utf8').trim();
      if (!/^\d+$/.test(text)) throw new Error(`The clock file ${file} holds no number of milliseconds.`);
      this.#offsetMs = Number(text);
    } else this.#write();
  }

  now(): Date {
    return new Date(this.nowMs());
  }

  nowMs(): number {
    return Date.now() + this.#offsetMs;
  }

  /** How far ahead of the machine's clock, in milliseconds. */
  get offsetMs(): number {
    return this.#offsetMs;
  }

  /** Called after each move, in the order of registration. */
  onMove(listener: () => void): void {
    this.#onMove.push(listener);
  }

  advance(milliseconds: number): void {
    if (!Number.isFinite(milliseconds) || milliseconds < 0) {
      throw new RangeError('The clock only moves forward: give a length of time that is not negative.');
    }
    this.#offsetMs += milliseconds;
    this.#write();
    for (const listener of this.#onMove) listener();
  }

  set(instant: Date): void {
    this.advance(instant.getTime() - this.nowMs());
  }

  #write(): void {
    if (this.#file === undefined) return;
    mkdirSync(dirname(this.#file), { recursive: true });
    writeFileSync(`${this.#file}.new`, String(Math.round(this.#offsetMs)));
    renameSync(`${this.#file}.new`, this.#file);
  }
}

const UNIT_MS: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/** `35d`, `90m`, `1h30m`, `500ms` → milliseconds; undefined when it is no length of time. */
export function parseDuration(text: string): number | undefined {
  const parts = [...text.matchAll(/(\d+(?:\.\d+)?)(ms|s|m|h|d)/g)];
  if (parts.length === 0 || parts.map((part) => part[0]).join('') !== text) return undefined;
  return parts.reduce((sum, part) => sum + Number(part[1]) * (UNIT_MS[part[2] ?? ''] ?? Number.NaN), 0);
}
