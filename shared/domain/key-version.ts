/**
 * Where an issuing key is kept, told by the full resource name of its pinned version: the key itself in Secret Manager,
 * or a key in Cloud KMS that signs and never leaves.
 */
export type KeyCustody = 'secret-manager' | 'cloud-kms';

/** `projects/P/secrets/S/versions/N`; never `latest`: which key signs is a decision, not a race. */
export const SECRET_VERSION = /^projects\/[^/]+\/secrets\/[A-Za-z0-9_-]{1,255}\/versions\/[1-9][0-9]*$/;

/** `projects/P/locations/L/keyRings/R/cryptoKeys/K/cryptoKeyVersions/N`. */
export const KMS_KEY_VERSION =
  /^projects\/[^/]+\/locations\/[a-z0-9-]+\/keyRings\/[A-Za-z0-9_-]{1,63}\/cryptoKeys\/[A-Za-z0-9_-]{1,63}\/cryptoKeyVersions\/[1-9][0-9]*$/;

export const custodyOf = (keyVersion: string): KeyCustody =>
  keyVersion.includes('/cryptoKeyVersions/') ? 'cloud-kms' : 'secret-manager';

/** `projects/P/secrets/S` of a key that is in Secret Manager; undefined for one in Cloud KMS. */
export const secretOf = (keyVersion: string): string | undefined =>
  custodyOf(keyVersion) === 'secret-manager'
    ? keyVersion.slice(0, keyVersion.lastIndexOf('/versions/'))
    : undefined;
