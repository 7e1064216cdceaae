/** People whom an event named while no rule covered them: nothing is done for them, and nothing else tells of it. */
import type { HintSource } from '../../domain/hint.ts';

export interface PassedOver {
  readonly userId: string;
  /** When we looked at them. */
  readonly at: Date;
  readonly source: HintSource;
  readonly event: string;
}

export interface PassedOverLedger {
  /** Now. Takes the place of an earlier event of the same user; forgets what is older than ninety days. */
  recordPassedOver(passed: Omit<PassedOver, 'at'>): Promise<void>;
  /** Since an instant, in the order of their ids: at most so many, those behind `after`. */
  passedOver(asked: {
    readonly since: Date;
    readonly after?: string;
    readonly limit: number;
  }): Promise<readonly PassedOver[]>;
}
