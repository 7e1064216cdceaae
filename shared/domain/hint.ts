/** Which of our sources said "look at this user". Sources only hint: state is always read again. */
export type HintSource = 'watch' | 'audit' | 'sweep' | 'due' | 'admin';

export interface Cause {
  readonly source: HintSource;
  /** Pub/Sub message id, audit `insertId`, job id or sweep id: whatever lets an auditor find the origin. */
  readonly eventId: string;
  /** What the source called it (`add`, `MOVE_USER_TO_ORG_UNIT`, `rekey`, `renewal`). */
  readonly event: string;
  /** The admin who did it, where the source says so. */
  readonly actor?: string;
  /** When it happened, where the source says so, to the millisecond; from here an auditor counts how long we took. */
  readonly at?: Date;
}

/** What an admin asked for: `eventId` is that of the request, `actor` who asked. */
export const adminCause = (eventId: string, event: string, actor: string): Cause => ({
  source: 'admin',
  eventId,
  event,
  actor,
});

/** "Look at this user", by immutable id or by an address that still has to be resolved. */
export type Hint =
  | { readonly userId: string; readonly cause: Cause }
  | {
      readonly address: string;
      /** After a rename: under this one they answer until the new one has spread, ten minutes at most. */
      readonly formerAddress?: string;
      /** Of a move the path of the new unit, of an alias that came or went that alias: what the directory has to show. */
      readonly detail?: string;
      readonly cause: Cause;
    };
