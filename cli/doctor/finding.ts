export type Verdict = 'ok' | 'warning' | 'failed' | 'unknown';

/** What one look found, and what to do about it. */
export interface Finding {
  readonly check: string;
  readonly verdict: Verdict;
  readonly detail: string;
  readonly advice?: string;
}

export const found = (check: string, verdict: Verdict, detail: string, advice?: string): Finding => ({
  check,
  verdict,
  detail,
  ...(advice === undefined ? {} : { advice }),
});
