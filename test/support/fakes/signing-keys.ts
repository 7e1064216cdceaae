import { permanent } from '../../../shared/errors.ts';
import type { SigningKeys } from '../../../shared/ports/signing-keys.ts';

const nothing = async (): Promise<never> => {
  throw permanent('kms-key-unusable', 'There is no Cloud KMS here.');
};

/** For tests whose issuers have their key in Secret Manager: whoever asks Cloud KMS is wrong. */
export const noSigningKeys: SigningKeys = { publicKey: nothing, signDigest: nothing };
