/** What is read by whoever goes through all users: many at a time, and never all at once. */
import type { UserLedger } from '../../domain/records.ts';

export interface EverybodyLedger {
  /** What `readUser` answers for each, as of one moment, in their order. A few hundred at a time. */
  readUsers(userIds: readonly string[]): Promise<readonly UserLedger[]>;
  /**
   * How many users are covered now (state other than `out`), by the org unit they were last seen covered in, lower case;
   * under the empty string where none was recorded.
   */
  coveredByUnit(): Promise<ReadonlyMap<string, number>>;
}
