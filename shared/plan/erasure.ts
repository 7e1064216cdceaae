/**
 * Which wrapped keys of deleted users are due for erasure. Pure. Becoming due destroys nothing: two admins have to ask for it, and all
 * of this is asked again when each user's turn comes.
 */
import { createHash } from 'node:crypto';
import type { DirectoryPresence } from '../domain/directory-user.ts';
import type { DeletedUsersKey, ShownKey } from '../domain/erasure.ts';
import type { Policy } from '../domain/policy.ts';

const AGAINST: Readonly<Record<NonNullable<DeletedUsersKey['against']>, string>> = {
  'not-out': 'their departure is not over yet',
  'used-by-the-living': 'the same key is recorded for somebody who is not deleted',
  'being-moved': 'the key is being moved to another key service',
};

/** Why a key must not be erased now, without a full stop; undefined where nothing stands against it. By the rule that covered its user last. */
export function whyKept(key: DeletedUsersKey, policy: Policy, now: Date): string | undefined {
  const rule = policy.rules.find(({ name }) => name === key.ruleName);
  if (rule?.observeOnly === true) return `rule "${rule.name}" only observes`;
  const { wrappedKeysMs } = (rule ?? policy.defaults).grace;
  if (wrappedKeysMs === undefined) {
    return rule === undefined
      ? 'the rule that covered them last is gone from the policy, and then wrapped keys are kept'
      : `rule "${rule.name}" keeps wrapped keys`;
  }
  const dueAt = new Date(key.deletedAt.getTime() + wrappedKeysMs);
  if (now.getTime() < dueAt.getTime()) return `they are kept until ${dueAt.toISOString()}`;
  return key.against === undefined ? undefined : AGAINST[key.against];
}

/** Why the directory forbids it; only of somebody it finds nowhere any more is anything erased. */
export function whyDirectoryForbids(presence: DirectoryPresence): string | undefined {
  if (presence.kind === 'present') return 'the account is there again';
  if (presence.kind === 'deleted')
    return 'the directory still lists the account as deleted, so it can be undeleted';
  return undefined;
}

export const dueForErasure = (
  keys: readonly DeletedUsersKey[],
  policy: Policy,
  now: Date,
): readonly ShownKey[] =>
  keys
    .filter((key) => whyKept(key, policy, now) === undefined)
    .map(({ keyId, userId, primaryEmail, deletedAt, spkiSha256Hex, certificates }) => ({
      keyId,
      userId,
      user: primaryEmail,
      deletedSince: deletedAt.toISOString(),
      spkiSha256: spkiSha256Hex,
      certificates,
    }));

/** SHA-256, lower-case hex: what both admins name. Any key, user or certificate more or less, or otherwise, changes it. */
export const erasureDigest = (shown: readonly ShownKey[]): string =>
  createHash('sha256')
    .update(
      JSON.stringify(
        shown.map((key) => [
          ...[key.keyId, key.userId, key.user, key.deletedSince, key.spkiSha256],
          key.certificates.map(({ serial, from, to, addresses }) => [serial, from, to, addresses]),
        ]),
      ),
    )
    .digest('hex');
