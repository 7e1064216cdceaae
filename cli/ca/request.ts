/** The flags and settings of `ca init`, checked before anything is made or anybody is asked for a passphrase. */
import type { SetUpRequest } from '../../shared/authority/set-up.ts';
import { isDottedOid } from '../../shared/pki/der.ts';
import { EXAMPLE_POLICY_OID, RESERVED_POLICY_ARC } from '../../shared/pki/oids.ts';
import { urlProblem } from '../../shared/pki/public-url.ts';
import type { Call } from '../command.ts';
import { UsageError } from '../failure.ts';

const NEEDED_SETTINGS = {
  SEALWRIGHT_PROJECT: 'the Google Cloud project id',
  SEALWRIGHT_DATABASE_URL: 'the address of the ledger, postgres://…',
  SEALWRIGHT_BUCKET: 'the bucket behind the public address',
} as const;

const DEFAULT_SECRET = 'issuing-ca-key';

export interface InitRequest extends SetUpRequest {
  readonly offline: string;
}

/** Throws `UsageError` naming everything that is missing at once, or the first thing that cannot be right. */
export function readInitRequest(call: Pick<Call, 'text' | 'environment'>): InitRequest {
  const missing = ['country', 'organization', 'pki-url', 'policy-oid', 'offline'].filter(
    (flag) => call.text(flag) === undefined,
  );
  if (missing.length > 0) {
    throw new UsageError(`"ca init" needs ${missing.map((flag) => `--${flag}`).join(', ')}.`);
  }
  const request = {
    country: call.text('country') ?? '',
    organization: call.text('organization') ?? '',
    pkiUrl: call.text('pki-url') ?? '',
    policyOid: call.text('policy-oid') ?? '',
    offline: call.text('offline') ?? '',
  };
  checkCountry(request.country);
  checkPkiUrl(request.pkiUrl);
  checkPolicyOid(request.policyOid);
  const absent = Object.entries(NEEDED_SETTINGS).filter(([name]) => (call.environment[name] ?? '') === '');
  if (absent.length > 0) {
    const list = absent.map(([name, what]) => `${name} (${what})`).join(', ');
    throw new UsageError(`Missing in the environment: ${list}.`);
  }
  return {
    ...request,
    keySecret: keySecretOf(call.text('key-secret'), call.environment['SEALWRIGHT_PROJECT'] ?? ''),
  };
}

function checkCountry(country: string): void {
  if (!/^[A-Z]{2}$/.test(country)) {
    throw new UsageError(`--country takes two capital letters (ISO 3166-1), such as DE, not "${country}".`);
  }
}

function checkPkiUrl(text: string): void {
  const problem = urlProblem(text, { trial: false });
  if (problem !== undefined) {
    throw new UsageError(
      `--pki-url is printed into every certificate and must answer for years: ${problem.found}. Write a plain http address on a name of your own, such as http://pki.acme.example/.`,
    );
  }
  if (new URL(text).pathname !== '/') {
    throw new UsageError(
      `--pki-url ends at its host: the bucket's objects are served from there by name. Leave out "${new URL(text).pathname}".`,
    );
  }
}

function checkPolicyOid(text: string): void {
  if (!isDottedOid(text)) {
    throw new UsageError(
      `--policy-oid takes an object identifier such as ${EXAMPLE_POLICY_OID}, not "${text}". One under your own enterprise number is free from IANA.`,
    );
  }
  if (text.startsWith(RESERVED_POLICY_ARC)) {
    throw new UsageError(
      `${text} claims that this CA is audited against the S/MIME Baseline Requirements; use an OID under your own enterprise number.`,
    );
  }
}

function keySecretOf(text: string | undefined, project: string): string {
  if (text === undefined) return `projects/${project}/secrets/${DEFAULT_SECRET}`;
  if (/^[A-Za-z0-9_-]{1,255}$/.test(text)) return `projects/${project}/secrets/${text}`;
  if (/^projects\/[^/]+\/secrets\/[A-Za-z0-9_-]{1,255}$/.test(text)) return text;
  throw new UsageError(
    `--key-secret takes the name of a secret, such as ${DEFAULT_SECRET} or projects/PROJECT/secrets/SECRET, not "${text}".`,
  );
}
