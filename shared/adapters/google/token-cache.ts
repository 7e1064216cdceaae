import type { Clock } from '../../ports/clock.ts';

export interface Token {
  readonly value: string;
  readonly expiresAt: Date;
}

/**
 * Tokens by key, until shortly before they expire by the injected clock. Whoever asks while a token is being fetched
 * waits for that same one. At most `capacity` tokens are kept; the one unused for longest goes first. A failure is
 * handed to everybody who waited and is not remembered.
 */
export class TokenCache {
  readonly #clock: Clock;
  readonly #capacity: number;
  readonly #marginMs: number;
  readonly #tokens = new Map<string, Token>();
  readonly #flights = new Map<string, Promise<Token>>();

  constructor(options: { clock: Clock; capacity?: number; marginMs?: number }) {
    this.#clock = options.clock;
    this.#capacity = options.capacity ?? 2000;
    this.#marginMs = options.marginMs ?? 60_000;
  }

  async get(key: string, fetch: () => Promise<Token>): Promise<string> {
    const kept = this.#tokens.get(key);
    if (kept !== undefined && this.#isFresh(kept)) {
      this.#tokens.delete(key);
      this.#tokens.set(key, kept);
      return kept.value;
    }
    return (await (this.#flights.get(key) ?? this.#fly(key, fetch))).value;
  }

  /** Forgets the token, unless a newer one has taken its place. */
  forget(key: string, value: string): void {
    if (this.#tokens.get(key)?.value === value) this.#tokens.delete(key);
  }

  get size(): number {
    return this.#tokens.size;
  }

  #isFresh(token: Token): boolean {
    return token.expiresAt.getTime() - this.#clock.now().getTime() > this.#marginMs;
  }

  async #fly(key: string, fetch: () => Promise<Token>): Promise<Token> {
    const flight = fetch().finally(() => this.#flights.delete(key));
    this.#flights.set(key, flight);
    const token = await flight;
    this.#tokens.delete(key);
    if (this.#isFresh(token)) this.#tokens.set(key, token);
    for (const oldest of this.#tokens.keys()) {
      if (this.#tokens.size <= this.#capacity) break;
      this.#tokens.delete(oldest);
    }
    return token;
  }
}
