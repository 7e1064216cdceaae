import type { GenerateKey } from '../pki/key.ts';
import type { RandomBytes } from '../pki/serial.ts';
import type { Bucket } from '../ports/bucket.ts';
import type { Bus } from '../ports/bus.ts';
import type { Clock } from '../ports/clock.ts';
import type { Ledger } from '../ports/ledger.ts';
import type { Secrets } from '../ports/secrets.ts';
import type { SigningKeys } from '../ports/signing-keys.ts';

/** What an admin's commands about the CA act with. */
export interface AuthorityDeps {
  readonly clock: Clock;
  readonly ledger: Ledger;
  readonly secrets: Pick<Secrets, 'add' | 'listVersions'>;
  readonly signingKeys: SigningKeys;
  readonly bucket: Bucket;
  readonly bus: Pick<Bus, 'requestCrl'>;
  readonly random: RandomBytes;
  readonly generateKey?: GenerateKey;
}
