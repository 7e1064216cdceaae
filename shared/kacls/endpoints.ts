/**
 * The key service (KACLS): it holds users' private keys in the only form they exist in at rest, and uses them for
 * their owners. This table is the service: what is not in it does not exist.
 * https://developers.google.com/workspace/cse/reference
 *
 * - *wrapped key*: a private key that only this service can open (`wrapped-key.ts`).
 * - *key-encryption key* (KEK): what wraps it; versioned, never leaves the service.
 * - *authentication token*: the customer's identity provider says who the caller is.
 * - *authorization token*: Google says what the caller may do, with which key, for which message.
 *
 * What it will not do: store keys, hash what it is asked to sign, serve anybody without both tokens, or decide whose
 * key is made. Endpoints that join later (wrap, unwrap, privileged…) are further rows, each with a gate of `access.ts`.
 */
import { forAnybody, forUser, forWrapCaller, type GatedOperation } from './access.ts';
import { privateKeyDecrypt } from './private-key-decrypt.ts';
import { privateKeySign } from './private-key-sign.ts';
import { wrapPrivateKey } from './wrap-private-key.ts';

export interface Endpoint {
  readonly method: 'GET' | 'POST';
  readonly maxBodyBytes: number;
  /** Name of the audit line; undefined where no key is touched. Each privileged use has one of its own, to alert on. */
  readonly auditEvent?: string;
  readonly run: GatedOperation;
}

const KILOBYTE = 1024;

/** By the last part of the path. */
export const ENDPOINTS: ReadonlyMap<string, Endpoint> = new Map<string, Endpoint>([
  [
    'status',
    {
      method: 'GET',
      maxBodyBytes: 32 * KILOBYTE,
      run: forAnybody(({ version }) => ({
        server_type: 'KACLS',
        vendor_id: 'Sealwright',
        version,
        name: 'Sealwright key service',
        operations_supported: [...ENDPOINTS.keys()].filter((name) => name !== 'status'),
      })),
    },
  ],
  [
    'wrapprivatekey',
    {
      method: 'POST',
      maxBodyBytes: 64 * KILOBYTE,
      auditEvent: 'private-key-wrapped',
      run: forWrapCaller(wrapPrivateKey),
    },
  ],
  [
    'privatekeysign',
    {
      method: 'POST',
      maxBodyBytes: 32 * KILOBYTE,
      auditEvent: 'private-key-used',
      run: forUser({ issuers: ['gmail'], roles: ['signer'], delegation: 'refused' }, privateKeySign),
    },
  ],
  [
    'privatekeydecrypt',
    {
      method: 'POST',
      maxBodyBytes: 32 * KILOBYTE,
      auditEvent: 'private-key-used',
      run: forUser({ issuers: ['gmail'], roles: ['decrypter'], delegation: 'refused' }, privateKeyDecrypt),
    },
  ],
]);

/** The largest limit of the table. */
export const MAX_BODY_BYTES = Math.max(...[...ENDPOINTS.values()].map(({ maxBodyBytes }) => maxBodyBytes));
