import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';

const WRITE_DELAY_MS = 200;
/** A large state takes long to write: at most half a percent of the time goes there. */
const WAITS_PER_WRITE = 200;

/**
 * What the emulator remembers: one JSON document of named sections, each owned by one room and changed in place.
 * Written to a file shortly after a change and when the emulator stops, so that a restart continues from it.
 * Values are JSON: bytes are base64 text, instants are RFC 3339 text or milliseconds.
 */
export class EmulatorState {
  readonly #file: string | undefined;
  /** By own properties only; a null prototype keeps `constructor` and the like from passing for sections. */
  readonly #sections: Record<string, unknown>;
  #timer: NodeJS.Timeout | undefined;
  #lastWriteMs = 0;

  /** Throws a sentence when the file is there but holds something else. */
  constructor(file?: string) {
    this.#file = file;
    const kept = file !== undefined && existsSync(file) ? readSections(file) : {};
    this.#sections = Object.assign(Object.create(null), kept);
  }

  /** The section's value, made by `initial` the first time. The caller changes it in place and calls `changed`. */
  section<T extends object>(name: string, initial: () => T): T {
    this.#sections[name] ??= initial();
    return this.#sections[name] as T;
  }

  has(name: string): boolean {
    return name in this.#sections;
  }

  changed(): void {
    if (this.#file === undefined) return;
    const delayMs = Math.max(WRITE_DELAY_MS, this.#lastWriteMs * WAITS_PER_WRITE);
    this.#timer ??= setTimeout(() => this.flush(), delayMs).unref();
  }

  /** Writes now; the file is replaced whole, so that a crash leaves the old or the new one. */
  flush(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (this.#file === undefined) return;
    const startedMs = performance.now();
    mkdirSync(dirname(this.#file), { recursive: true });
    // It holds the emulated secrets: keys of users, of the CA and of service accounts.
    writeFileSync(`${this.#file}.new`, JSON.stringify(this.#sections), { mode: 0o600 });
    renameSync(`${this.#file}.new`, this.#file);
    this.#lastWriteMs = performance.now() - startedMs;
  }
}

function readSections(file: string): Record<string, unknown> {
  let value: unknown;
  try {
    value = JSON.parse(readFileSync(file, 'utf8'));
  } catch (error) {
    throw new Error(`The emulator's state file ${file} is not JSON. Remove it to start anew.`, {
      cause: error,
    });
  }
  if (value === null || typeof value !== 'object' || Array.isArray(value)) {
    throw new Error(`The emulator's state file ${file} holds no state. Remove it to start anew.`);
  }
  return value as Record<string, unknown>;
}
