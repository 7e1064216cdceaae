import type { Terminal } from './terminal.ts';

const FIRST_SIGN_MS = 2_000;
const NEXT_SIGN_MS = 5_000;

/**
 * Does the work and, when it takes longer than two seconds, says on standard error what is being waited for, and again
 * every five. `label` is asked each time, so it may count.
 */
export async function withProgress<T>(
  terminal: Terminal,
  label: () => string,
  work: () => Promise<T>,
  { firstMs = FIRST_SIGN_MS, nextMs = NEXT_SIGN_MS } = {},
): Promise<T> {
  const startedMs = performance.now();
  let timer: NodeJS.Timeout;
  const sign = () => {
    terminal.tell(`… ${label()} (${Math.round((performance.now() - startedMs) / 1000)} s)`);
    timer = setTimeout(sign, nextMs);
  };
  timer = setTimeout(sign, firstMs);
  try {
    return await work();
  } finally {
    clearTimeout(timer);
  }
}
