import { randomUUID } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { http } from '@google-cloud/functions-framework';
import { builtOnce } from '../../../functions/built-once.ts';
import { FUNCTIONS, type FunctionName } from '../../../functions/catalog.ts';
import { NOT_STARTED } from '../../../functions/not-started.ts';
import type { Ledger } from '../../../shared/ports/ledger.ts';
import { AUDIENCE, CALLER } from './callers.ts';
import { type Served, serve } from './served.ts';

const POLICY = `version: 1
rules:
  - name: staff
    orgUnit: /Staff
    keyService: https://kacls.acme.example
`;

/** Settings with which every function starts, Google being at `rootUrl`. `folder` gets the policy file. */
export function settings(folder: string, rootUrl: string): Record<string, string> {
  const policyFile = join(folder, 'policy.yaml');
  writeFileSync(policyFile, POLICY);
  return {
    SEALWRIGHT_PROJECT: 'acme-sealwright',
    SEALWRIGHT_POLICY_FILE: policyFile,
    SEALWRIGHT_DATABASE_URL: 'postgres://sealwright:hunter2@127.0.0.1:1/ledger',
    SEALWRIGHT_GOOGLE_ROOT_URL: rootUrl,
    SEALWRIGHT_AUDIENCE: AUDIENCE,
    SEALWRIGHT_CALLERS: CALLER,
    SEALWRIGHT_SIGN_URL: 'https://sign.acme.example/',
    SEALWRIGHT_GMAIL_ACCOUNT: 'sealwright-gmail@acme-sealwright.iam.gserviceaccount.com',
    SEALWRIGHT_DIRECTORY_ACCOUNT: 'sealwright-directory@acme-sealwright.iam.gserviceaccount.com',
    SEALWRIGHT_WATCH_URL: 'https://watch.acme.example/',
    SEALWRIGHT_BUCKET: 'acme-pki',
    SEALWRIGHT_ADMINS: 'admin@acme.example',
    SEALWRIGHT_ADMIN_AUDIENCES: 'https://admin.acme.example/',
    SEALWRIGHT_KEY_SERVICE_URL: 'https://kacls.acme.example',
    SEALWRIGHT_KEY_SERVICE_TENANT: 'C00sample',
    SEALWRIGHT_KEY_SERVICE_DOMAIN: 'acme.example',
    SEALWRIGHT_KEY_SERVICE_IDENTITY_PROVIDERS: JSON.stringify([
      { issuer: 'https://idp.acme.example', jwksUrl: 'https://idp.acme.example/jwks', audiences: ['web'] },
    ]),
    SEALWRIGHT_KEY_SERVICE_KEYS: 'projects/acme/secrets/kek/versions/1',
  };
}

/** A function exactly as it is deployed, limits included, but for the ledger. */
export async function serveDeployed(
  name: FunctionName,
  environment: Readonly<Record<string, string | undefined>>,
  given: { readonly ledger?: Ledger } = {},
): Promise<Served> {
  const registered = `${name}-${randomUUID()}`;
  http(registered, builtOnce(name, FUNCTIONS[name], environment, given, NOT_STARTED[name]));
  return await serve(registered);
}
