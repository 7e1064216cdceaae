/**
 * The readiness gate: an issuer issues nothing until the exact addresses its certificates carry, and those that its own
 * certificate and the ones above carry, were fetched as anybody would fetch them, and what came back was verified. What was
 * once right stays right: an outage later is logged, for an alarm, and stops no issuance.
 */
import { type IssuerAddress, type PrintedAddress, unverified } from '../domain/issuer-address.ts';
import type { IssuerRecord } from '../domain/records.ts';
import { isSealwrightError, permanent } from '../errors.ts';
import { DerError } from '../pki/der-reader.ts';
import { type CarriedAddress, carriedAddresses } from '../pki/issuer-addresses.ts';
import type { Clock } from '../ports/clock.ts';
import type { IssuerAddresses } from '../ports/ledger/issuer-addresses.ts';
import type { OcspLedger } from '../ports/ledger/ocsp.ts';
import type { Log } from '../ports/log.ts';
import type { PublicWeb } from '../ports/public-web.ts';
import { type Look, lookAtCertificate, lookAtCrl, lookAtOcsp, NotRight } from './address-looks.ts';
import { currentSigner } from './pre-sign.ts';
import { objectName } from './publish-crl.ts';

export interface ReadinessDeps {
  readonly clock: Clock;
  readonly ledger: IssuerAddresses & Pick<OcspLedger, 'ocspSigners'>;
  readonly publicWeb: PublicWeb;
  readonly log: Log;
}

/** Throws `issuer-not-ready` (permanent), naming each address and what was wrong with it last. */
export function assertVerified(
  issuerId: string,
  printed: readonly PrintedAddress[],
  known: readonly IssuerAddress[],
): void {
  const missing = unverified(printed, known);
  if (missing.length === 0) return;
  const reasons = missing.map(({ kind, url }) => {
    const failure = known.find((entry) => entry.kind === kind && entry.url === url)?.failure;
    return `${url} (${failure ?? 'not fetched yet'})`;
  });
  throw permanent(
    'issuer-not-ready',
    `Issuer ${issuerId} may not issue yet: its certificates or its chain carry addresses that were never found right from outside: ${reasons.join('; ')}. Run publish-crl, which fetches them again.`,
  );
}

type Failure = PrintedAddress & { readonly failure: string };

/** Fetches every address of an issuer, all at once, and records what it gave; answers those that are not right now. Never throws for one. */
export async function checkAddresses(deps: ReadinessDeps, issuer: IssuerRecord): Promise<readonly Failure[]> {
  const { issuerId } = issuer;
  const failures: Failure[] = [];
  const looks = byAddress(carriedAddresses(issuer)).map(async ([{ kind, url }, carried]) => {
    return { kind, url, outcome: await lookAtEach(deps, issuer, carried) };
  });
  for (const { kind, url, outcome } of await Promise.all(looks)) {
    await deps.ledger.recordAddressCheck(issuerId, { kind, url, ...outcome });
    if ('failure' in outcome) failures.push({ kind, url, failure: outcome.failure });
  }
  const known = await deps.ledger.issuerAddresses(issuerId);
  for (const { kind, url, failure } of failures) {
    const wasReady = unverified([{ kind, url }], known).length === 0;
    deps.log.error('public-address-wrong', { issuerId, kind, url, failure, wasReady });
  }
  return failures;
}

/** An address that two certificates carry is right where it is right for both. */
function byAddress(
  carried: readonly CarriedAddress[],
): readonly (readonly [PrintedAddress, readonly CarriedAddress[]])[] {
  const groups = Map.groupBy(carried, ({ kind, url }) => JSON.stringify([kind, url]));
  return [...groups.values()].flatMap((group) =>
    group[0] === undefined ? [] : [[group[0], group] as const],
  );
}

type Outcome = Look | { readonly failure: string };

async function lookAtEach(
  deps: ReadinessDeps,
  issuer: IssuerRecord,
  carried: readonly CarriedAddress[],
): Promise<Outcome> {
  let outcome: Outcome = { failure: 'nothing carries it' };
  for (const address of carried) {
    outcome = await lookAt(deps, issuer, address);
    if ('failure' in outcome) break;
  }
  return outcome;
}

async function lookAt(deps: ReadinessDeps, issuer: IssuerRecord, address: CarriedAddress): Promise<Outcome> {
  const isOurs = address.carrier === 'leaf' || hostOf(address.url) === hostOf(issuer.crlUrl);
  const failed = (why: string) => ({ failure: `${why}. ${remedy(address, isOurs)}` });
  try {
    return await look(deps, issuer, { ...address, isOurs });
  } catch (error) {
    if (error instanceof DerError) return failed(`what came back cannot be read: ${error.message}`);
    if (error instanceof NotRight) return failed(error.message);
    if (isSealwrightError(error) && error.code === 'address-unreachable')
      return failed(error.message.replace(/\.$/, ''));
    throw error;
  }
}

async function look(
  deps: ReadinessDeps,
  issuer: IssuerRecord,
  address: CarriedAddress & { readonly isOurs: boolean },
): Promise<Look> {
  if (hostOf(address.url) === undefined)
    throw new NotRight('it is not plain http, so not everybody can fetch it');
  if (address.kind === 'crl') return await lookAtCrl(deps, address);
  if (address.kind === 'issuer') return await lookAtCertificate(deps, address);
  // About its signer's own certificate, the one that exists before any leaf does.
  const signer = currentSigner(await deps.ledger.ocspSigners(issuer.issuerId));
  if (signer === undefined) throw new NotRight('the issuer has no OCSP signer yet');
  return await lookAtOcsp(deps, address, signer.serialHex);
}

/** Undefined for what is not plain http. */
const hostOf = (url: string): string | undefined =>
  url.startsWith('http:') && URL.canParse(url) ? new URL(url).host : undefined;

/** What to do about it, in a sentence. */
function remedy({ kind, url, carrier }: CarriedAddress, isOurs: boolean): string {
  if (carrier === 'leaf')
    return 'Point the name at the load balancer, which answers over plain http, and run publish-crl';
  if (!isOurs)
    return 'The certificate of a CA in the chain names it: whoever runs the CA above has to mend it, or give out a certificate that names another';
  return kind === 'crl'
    ? 'The issuing CA’s certificate names it for its root’s CRL: publish that with "sealwright ca root-crl --publish FILE"'
    : `The issuing CA’s certificate names it for its root’s: put the root’s certificate, DER, into the bucket as ${objectName(url)} with the content type application/pkix-cert`;
}
