/**
 * What a sweep looks for: users of whom directory and ledger say different things. It only ever asks "is a look worth
 * it?"; the look itself reads everything again and decides.
 */
import type { SweptUser } from '../../ports/ledger/sweeps.ts';

/** What directory and policy make of somebody in a list, as `standingOf` (shared/plan/standing.ts) makes it of somebody who is looked at. */
export type ListedStanding =
  | {
      readonly kind: 'covered';
      readonly ruleName: string;
      readonly observes: boolean;
      /** A group that the rule excludes is gone: it covers nobody but whom it covered before, and of others nothing is concluded. */
      readonly isUnsure: boolean;
    }
  | { readonly kind: 'suspended'; readonly ruleName: string; readonly observes: boolean }
  | { readonly kind: 'outside'; readonly last: LastRules }
  /** Outside, whatever is gone from the directory. */
  | { readonly kind: 'archived'; readonly last: LastRules }
  /** Their unit is not in the tree that was read: any rule may cover them. */
  | { readonly kind: 'unplaced' }
  | { readonly kind: 'deleted' };

/** What the policy says of whoever no rule covers any more, by the rule that covered them last. */
export interface LastRules {
  /** Its own unit or group is gone from the directory: nobody knows whether they left. */
  readonly isGone: (ruleName: string | undefined) => boolean;
  /** It only observes: a departure is written down, and their state stays as it is. */
  readonly observes: (ruleName: string | undefined) => boolean;
}

/** Why a look is worth it; becomes the event of the hint's cause. */
export type Difference =
  /** The policy covers them and the ledger does not serve them so. */
  'came-into-scope' | 'rule-changed' | 'left-scope' | 'suspended' | 'deleted' | 'addresses-changed';

export const UNPLACED: ListedStanding = { kind: 'unplaced' };
export const DELETED: ListedStanding = { kind: 'deleted' };

type Known = Omit<SweptUser, 'userId' | 'addressDigest'>;
type Covered = Extract<ListedStanding, { kind: 'covered' }>;
type Leaver = Extract<ListedStanding, { kind: 'outside' | 'archived' }>;

/** Undefined when the ledger already says what the list says. The deleted are listed without a digest of their addresses. */
export function differenceOf(
  standing: ListedStanding,
  known: SweptUser | undefined,
  listedDigest: number | undefined,
): Difference | undefined {
  const difference = differenceInStanding(standing, known);
  if (difference !== undefined || known?.addressDigest === undefined || listedDigest === undefined)
    return difference;
  return listedDigest === known.addressDigest ? undefined : 'addresses-changed';
}

/**
 * The part that does not depend on addresses. A wait that has its own next action (pending, blocked) is no difference, and neither is
 * anything that a look leaves as it is.
 */
export function differenceInStanding(
  standing: ListedStanding,
  known: Known | undefined,
): Difference | undefined {
  if (known === undefined)
    return standing.kind === 'covered' && !standing.isUnsure ? 'came-into-scope' : undefined;
  switch (standing.kind) {
    case 'covered':
      return differenceOfCovered(standing, known);
    case 'suspended': {
      // Whoever left and came back suspended leaves as somebody suspended from now on.
      const isSeen = known.isSuspended && !known.hasLeftScope;
      return isSeen && (known.state !== 'ready' || standing.observes) ? undefined : 'suspended';
    }
    case 'outside':
      return standing.last.isGone(known.ruleName) ? undefined : differenceOfLeaver(standing, known);
    case 'archived':
      return differenceOfLeaver(standing, known);
    case 'unplaced':
      return undefined;
    case 'deleted':
      return known.isDeleted ? undefined : 'deleted';
    default:
      return standing satisfies never;
  }
}

function differenceOfCovered(
  { ruleName, observes, isUnsure }: Covered,
  known: Known,
): Difference | undefined {
  if (isUnsure && known.ruleName !== ruleName) return undefined;
  // Whoever is observed stays what they were, which is out for whoever never had a certificate.
  const isServed = (known.state !== 'out' && known.state !== 'leaving') || (observes && known.isObserved);
  if (!isServed || known.hasLeftScope || known.isSuspended) return 'came-into-scope';
  return known.ruleName === ruleName ? undefined : 'rule-changed';
}

function differenceOfLeaver({ kind, last }: Leaver, known: Known): Difference | undefined {
  // Whoever is archived leaves by other terms.
  const isSeen = known.hasLeftScope && known.isArchived === (kind === 'archived');
  return isSeen && (known.state !== 'ready' || last.observes(known.ruleName)) ? undefined : 'left-scope';
}
