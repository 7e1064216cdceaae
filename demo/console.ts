/** What a person sees while the demo works: one line per thing done, with its time, and a sign of life while waiting. */
const SIGN_OF_LIFE_MS = 2_000;

export interface Console {
  chapter(title: string): void;
  /** Prints "… label" when it takes longer than two seconds, and "✓ label (time)" or "✗ label" at its end. */
  step<T>(label: string, work: () => Promise<T>, show?: (result: T) => string): Promise<T>;
  line(text: string): void;
}

export function progressConsole(write: (text: string) => void): Console {
  return {
    chapter: (title) => write(`\n${title}\n`),
    line: (text) => write(`    ${text}\n`),
    async step(label, work, show) {
      const startedMs = performance.now();
      const seconds = () => ((performance.now() - startedMs) / 1000).toFixed(1);
      const timer = setInterval(() => write(`  … ${label} (${seconds()} s)\n`), SIGN_OF_LIFE_MS);
      try {
        const result = await work();
        const detail = show === undefined ? '' : ` — ${show(result)}`;
        write(`  ✓ ${label}${detail} (${seconds()} s)\n`);
        return result;
      } catch (error) {
        write(`  ✗ ${label} (${seconds()} s)\n`);
        throw new StepFailed(label, error);
      } finally {
        clearInterval(timer);
      }
    },
  };
}

/** The demo ends with the failing step named. */
export class StepFailed extends Error {
  override readonly name = 'StepFailed';

  constructor(step: string, cause: unknown) {
    super(`The step "${step}" failed: ${cause instanceof Error ? cause.message : String(cause)}`, { cause });
  }
}
