/**
 * Mail epochs and their move. An *epoch* is the time in which mail was encrypted to one Gmail key pair: it opens only while
 * the key service that pair names is there. A *move* wraps that key again under another key service and uploads the same
 * certificate once more with it.
 */
import type { KeyMove } from '../../domain/records.ts';
import type { Lease } from '../ledger.ts';

/** The epochs that one key service is needed for. */
export interface MailEpochs {
  readonly keyServiceUrl: string;
  /** Gmail key pairs made with it, those of everybody who ever had one. */
  readonly keypairs: number;
  readonly users: number;
  /** Of these pairs, moved elsewhere. */
  readonly moved: number;
  /** Of these moved, how many pairs of this service were disabled afterwards. */
  readonly disabledAfterMove: number;
  /** Of these pairs, how many could not be moved when it was last tried. */
  readonly refused: number;
  /** Of those tied to it still, the earliest begin and the latest end of their certificates; absent where there are none. */
  readonly from?: Date;
  readonly until?: Date;
}

/** One epoch of a user that is tied to a key service still. */
export interface TiedEpoch {
  readonly userId: string;
  readonly primaryEmail: string;
  readonly serialHex: string;
  readonly keypairId: string;
  readonly from: Date;
  readonly until: Date;
  /** Why its move was refused, when it was. */
  readonly refused?: string;
}

export interface KeyMoves {
  mailEpochs(): Promise<readonly MailEpochs[]>;
  /** Those not moved, by user and age, after the pair with this serial (exclusive), at most `limit`. */
  tiedEpochs(
    keyServiceUrl: string,
    page: { readonly after?: string; readonly limit: number },
  ): Promise<readonly TiedEpoch[]>;
  /**
   * What a job would move: pairs under this service that were not moved yet and wait for no other job, and whose they are.
   * `observed`: how many users have such pairs and are left out, because one of `exceptRules` covers them or covered them last.
   */
  keyMovesWanted(
    fromUrl: string,
    exceptRules: readonly string[],
  ): Promise<{ readonly keypairs: number; readonly users: number; readonly observed: number }>;
  /**
   * One move for each pair under `fromUrl` that `keyMovesWanted` counts; makes their users due, `paceMs` apart. `keypairs` 0: there was nothing to move, and no job.
   */
  recordKeyMoveJob(job: {
    readonly fromUrl: string;
    readonly toUrl: string;
    readonly disableOld: boolean;
    readonly requestedBy: string;
    readonly paceMs: number;
    /** Default: none. */
    readonly exceptRules?: readonly string[];
  }): Promise<{ readonly jobId: string; readonly keypairs: number; readonly users: number }>;
  /** The new form, before Gmail sees it. Throws `conflict` for a blob that is none of our own key service. */
  recordMovedForm(
    lease: Lease,
    move: { readonly jobId: string; readonly serialHex: string; readonly wrappedKey: string },
  ): Promise<void>;
  /** `moved` names Gmail's second pair. Closing what is closed is done already. */
  closeKeyMove(
    lease: Lease,
    move: Pick<KeyMove, 'jobId' | 'serialHex'> &
      (
        | { readonly state: 'moved'; readonly keypairId: string }
        | { readonly state: 'refused'; readonly detail: string }
      ),
  ): Promise<void>;
}
