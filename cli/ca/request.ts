/** The flags and settings of `ca init`, checked before anything is made or anybody is asked for a passphrase. */
import type { SetUpRequest } from '../../shared/authority/set-up.ts';
import { isDottedOid } from '../../shared/pki/der.ts';
import { EXAMPLE_POLICY_OID, RESERVED_POLICIES, RESERVED_POLICY_ARC } from '../../shared/pki/oids.ts';
import type { Call } from '../command.ts';
import { UsageError } from '../failure.ts';
import { projectOf } from './authority-access.ts';
import { checkPkiUrl, keyPlaceOf } from './key-flags.ts';

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
  const project = projectOf(call);
  const place = keyPlaceOf(call, project);
  const reserved = call.text('reserved-policy-oid');
  if (reserved !== undefined) checkReserved(reserved);
  return {
    ...request,
    keySecret: 'keySecret' in place ? place.keySecret : '',
    ...('kmsKeyVersion' in place ? { kmsKeyVersion: place.kmsKeyVersion } : {}),
    ...(reserved === undefined ? {} : { reservedPolicyOid: reserved }),
  };
}

function checkReserved(text: string): void {
  const known: readonly string[] = [...RESERVED_POLICIES.mailbox, ...RESERVED_POLICIES.sponsor];
  if (known.includes(text)) return;
  throw new UsageError(
    `--reserved-policy-oid takes one of ${known.join(', ')}, not "${text}", and claims that this CA is audited against the S/MIME Baseline Requirements.`,
  );
}

function checkCountry(country: string): void {
  if (!/^[A-Z]{2}$/.test(country)) {
    throw new UsageError(`--country takes two capital letters (ISO 3166-1), such as DE, not "${country}".`);
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
      `${text} claims that this CA is audited against the S/MIME Baseline Requirements; use an OID under your own enterprise number here, and --reserved-policy-oid beside it if that is so.`,
    );
  }
}
