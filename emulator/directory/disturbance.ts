import type { FaultSwitches } from '../core/faults.ts';
import type { Busy } from '../core/rooms.ts';

/** Reordered events wait at most this long, in real time, for others to overtake them. */
const HOLD_MS = 100;

interface Held {
  readonly what: string;
  readonly deliver: () => void;
}

/**
 * The event faults in force (`faults.events`) applied to whatever is sent through: lost, sent twice, late, or shuffled
 * with what else comes within a tenth of a second. Without faults an event goes out at once.
 */
export class Disturbance implements Busy {
  readonly #faults: FaultSwitches;
  readonly #late = new Map<NodeJS.Timeout, string>();
  #held: Held[] = [];
  #holdTimer: NodeJS.Timeout | undefined;

  constructor(faults: FaultSwitches) {
    this.#faults = faults;
  }

  /** `deliver` is called never, once or twice, now or later; it must not throw. `what` names it for `pending`. */
  send(what: string, deliver: () => void): void {
    const { drop, duplicate, delayMs } = this.#faults.current.events;
    if (this.#faults.chance(drop)) return;
    const copies = this.#faults.chance(duplicate) ? 2 : 1;
    for (let copy = 0; copy < copies; copy += 1) {
      if (delayMs > 0) this.#after(delayMs, what, () => this.#shuffle(what, deliver));
      else this.#shuffle(what, deliver);
    }
  }

  pending(): readonly string[] {
    return [...this.#late.values(), ...this.#held.map((held) => `${held.what}, held back`)];
  }

  /** Forgets what has not gone out. */
  close(): void {
    for (const timer of this.#late.keys()) clearTimeout(timer);
    clearTimeout(this.#holdTimer);
    this.#late.clear();
    this.#held = [];
  }

  #after(delayMs: number, what: string, action: () => void): void {
    const timer = setTimeout(() => {
      this.#late.delete(timer);
      action();
    }, delayMs);
    this.#late.set(timer, `${what}, delayed`);
  }

  #shuffle(what: string, deliver: () => void): void {
    if (!this.#faults.chance(this.#faults.current.events.reorder)) {
      deliver();
      return;
    }
    this.#held.push({ what, deliver });
    this.#holdTimer ??= setTimeout(() => this.#release(), HOLD_MS);
  }

  #release(): void {
    this.#holdTimer = undefined;
    const batch = this.#held;
    this.#held = [];
    // Fisher and Yates, drawn from the faults' seed so that one seed gives one order.
    for (let last = batch.length - 1; last > 0; last -= 1) {
      const other = Math.floor(this.#faults.draw() * (last + 1));
      const [a, b] = [batch[last], batch[other]];
      if (a === undefined || b === undefined) continue;
      batch[last] = b;
      batch[other] = a;
    }
    for (const held of batch) held.deliver();
  }
}
