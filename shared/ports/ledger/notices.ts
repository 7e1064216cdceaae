import type { Notice, NoticeKind } from '../../domain/records.ts';
import type { Lease } from '../ledger.ts';

/** What an admin should know about a user and what changes nothing by itself. */
export interface Notices {
  /**
   * Makes the open notices of these kinds exactly `notices`: new ones are written, those that are over are marked
   * resolved and kept. Notices of other kinds stay as they are, because nobody looked.
   */
  recordNotices(
    lease: Lease,
    told: {
      readonly userId: string;
      readonly kinds: readonly NoticeKind[];
      readonly notices: readonly Notice[];
    },
  ): Promise<void>;
}
