/**
 * Rotation of key-encryption keys. A new key wraps from then on; what an older one wrapped opens as long as that key is
 * configured. To retire it, every blob under it is re-wrapped, and what Gmail keeps is replaced by the caller.
 */
import { timingSafeEqual } from 'node:crypto';
import type { KeyEncryptionKeys } from '../ports/key-encryption-keys.ts';
import type { Operation } from './access.ts';
import { encodeBase64 } from './base64.ts';
import type { RandomBytes } from './context.ts';
import { requiredText } from './fields.ts';
import { openWrappedKey, privateKeyBinding, sealPrivateKey } from './wrapped-key.ts';

export interface Rewrapped {
  /** The same blob where it already was under the current key. */
  readonly wrappedKey: string;
  readonly fromKekId: string;
  readonly toKekId: string;
  /** Immutable directory id of the owner. */
  readonly userId: string;
  /** As authenticated with the blob, which was proved to open to that key when it was made. */
  readonly spkiSha256: Uint8Array;
}

/**
 * Wraps the private key of a blob under the current key-encryption key, with the same owner, perimeter and SPKI hash,
 * and opens it again before it answers. Throws `wrapped-key-unreadable`: permanent, and naming the key, when the
 * key-encryption key is lost; nothing else is then tried.
 */
export async function rewrapPrivateKey(
  wrapped: string,
  deps: {
    readonly keyEncryptionKeys: KeyEncryptionKeys;
    readonly tenantId: string;
    readonly random: RandomBytes;
  },
): Promise<Rewrapped> {
  const opened = await openWrappedKey(wrapped, deps);
  try {
    const kek = await deps.keyEncryptionKeys.current(privateKeyBinding(deps.tenantId));
    const { userId, spkiSha256 } = opened;
    const moved = { fromKekId: opened.kekId, toKekId: kek.id, userId, spkiSha256 };
    if (opened.kekId === kek.id) {
      if (kek.wrappedDataKey !== undefined) kek.key.fill(0);
      return { wrappedKey: wrapped, ...moved };
    }
    const wrappedKey = sealPrivateKey(opened.privateKeyDer, opened, { ...deps, kek });
    const again = await openWrappedKey(wrappedKey, deps);
    const same =
      again.privateKeyDer.length === opened.privateKeyDer.length &&
      timingSafeEqual(again.privateKeyDer, opened.privateKeyDer);
    again.privateKeyDer.fill(0);
    if (!same) throw new Error('A private key came out of re-wrapping as another.');
    return { wrappedKey, ...moved };
  } finally {
    opened.privateKeyDer.fill(0);
  }
}

/**
 * POST rewrapprivatekey, an operation of our own: `wrapped_private_key` in, the same field under the current
 * key-encryption key out, and in `kek_id` which that is; `spki_hash` of the key inside and `user_id` of its owner, so
 * that a blob somebody hands in is known for what it is. It shows nothing of the private key, so whoever may have keys
 * wrapped may have them re-wrapped, and so may the accounts in `rewrapCallers`.
 */
export const rewrapPrivateKeyOperation: Operation<string> = async ({ body, note }, _caller, context) => {
  const { wrappedKey, fromKekId, toKekId, userId, spkiSha256 } = await rewrapPrivateKey(
    requiredText(body, 'wrapped_private_key'),
    {
      keyEncryptionKeys: context.keyEncryptionKeys,
      tenantId: context.settings.tenantId,
      random: context.random,
    },
  );
  note({ fromKekId, kekId: toKekId });
  return {
    wrapped_private_key: wrappedKey,
    kek_id: toKekId,
    spki_hash: encodeBase64(spkiSha256),
    spki_hash_algorithm: 'SHA-256',
    user_id: userId,
  };
};
