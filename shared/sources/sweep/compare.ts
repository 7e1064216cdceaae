/**
 * What a sweep looks for: users of whom directory and ledger say different things. It only ever asks "is a look worth
 * it?"; the look itself reads everything again and decides.
 */
import type { SweptUser } from '../../ports/ledger/sweeps.ts';

/** What directory and policy make of somebody in a list. */
export type ListedStanding =
  | { readonly kind: 'covered'; readonly ruleName: string }
  | { readonly kind: 'suspended'; readonly ruleName: string }
  | { readonly kind: 'outside' }
  /** A unit or group that the policy names is gone from the directory: nothing is concluded from a list either. */
  | { readonly kind: 'undecided'; readonly ruleName?: string }
  | { readonly kind: 'deleted' };

/** Why a look is worth it; becomes the event of the hint's cause. */
export type Difference =
  /** The policy covers them and the ledger does not serve them so. */
  'came-into-scope' | 'rule-changed' | 'left-scope' | 'suspended' | 'deleted' | 'addresses-changed';

export const OUTSIDE: ListedStanding = { kind: 'outside' };
export const DELETED: ListedStanding = { kind: 'deleted' };
export const UNDECIDED: ListedStanding = { kind: 'undecided' };
/** Their unit is not in the tree that was read: any rule may cover them. */
export const UNPLACED: ListedStanding = { kind: 'undecided' };

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

/** The part that does not depend on addresses. A wait that has its own next action (pending, blocked) is no difference. */
export function differenceInStanding(
  standing: ListedStanding,
  known: Omit<SweptUser, 'userId' | 'addressDigest'> | undefined,
): Difference | undefined {
  if (known === undefined) return standing.kind === 'covered' ? 'came-into-scope' : undefined;
  switch (standing.kind) {
    case 'covered': {
      const isServed = known.state !== 'out' && known.state !== 'leaving';
      if (!isServed || known.hasLeftScope || known.isSuspended) return 'came-into-scope';
      return known.ruleName === standing.ruleName ? undefined : 'rule-changed';
    }
    case 'suspended':
      return known.state === 'ready' || !known.isSuspended ? 'suspended' : undefined;
    case 'outside':
      return known.state === 'ready' || !known.hasLeftScope ? 'left-scope' : undefined;
    case 'undecided':
      return undefined;
    case 'deleted':
      return known.state === 'out' ? undefined : 'deleted';
    default:
      return standing satisfies never;
  }
}
