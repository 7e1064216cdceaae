import type { Busy } from '../core/rooms.ts';

export interface Drained {
  readonly quiet: boolean;
  /** Totals since the emulator's state was made. */
  readonly delivered: number;
  readonly deadLettered: number;
  /** What is still under way, in words; only when not quiet. */
  readonly pending?: readonly string[];
}

export interface DrainParts {
  readonly busy: readonly Busy[];
  readonly counters: () => { readonly delivered: number; readonly deadLettered: number };
}

/** Between two looks at a quiet system, in milliseconds: work that ends may start new work a moment later. */
const PAUSE_MS = 20;
/** While there is work to wait for: whoever waits should not wait for the next look as well. */
const BUSY_PAUSE_MS = 5;

/**
 * Waits until every part is quiet at two consecutive looks between which nothing was delivered, or until the time
 * (real, in milliseconds) is up or the caller has gone.
 */
export async function drain(parts: DrainParts, timeoutMs: number, signal: AbortSignal): Promise<Drained> {
  const endMs = performance.now() + timeoutMs;
  let quietAt: string | undefined;
  for (;;) {
    const pending = parts.busy.flatMap((part) => part.pending());
    const counters = parts.counters();
    const mark = JSON.stringify(counters);
    if (pending.length === 0 && quietAt === mark) return { quiet: true, ...counters };
    quietAt = pending.length === 0 ? mark : undefined;
    if (performance.now() >= endMs || signal.aborted) return { quiet: false, ...counters, pending };
    const pauseMs = quietAt === undefined ? BUSY_PAUSE_MS : PAUSE_MS;
    await new Promise((resolve) => setTimeout(resolve, pauseMs));
  }
}
