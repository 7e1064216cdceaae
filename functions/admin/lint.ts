/**
 * The linter over what is live, page by page: every certificate in the ledger that has not expired, each with the chain
 * that was uploaded with it, as of now and by the rules of now.
 *
 * What Gmail holds is judged through the ledger: a recorded key pair was created from exactly these bytes or adopted
 * because Gmail listed a certificate with their SHA-256. This function has no access to anybody's mailbox settings, and so
 * does not see pairs that others put there.
 */
import type { IssuerRecord, LeafRecord, UserLedger } from '../../shared/domain/records.ts';
import { invalidInput } from '../../shared/errors.ts';
import { type ChainFinding, type ChainReport, lintChain } from '../../shared/pki/lint-chain.ts';
import { certsOnlyPkcs7 } from '../../shared/pki/pkcs7.ts';
import type { Clock } from '../../shared/ports/clock.ts';
import type { Ledger } from '../../shared/ports/ledger.ts';
import type { HttpAnswer } from '../wire/http.ts';

export interface LintDeps {
  readonly clock: Clock;
  readonly ledger: Pick<Ledger, 'users' | 'issuers'>;
}

const DEFAULT_USERS = 200;
/** A certificate takes a few milliseconds, and a page is answered as a whole. */
const MOST_USERS = 1_000;

/**
 * `{"certificates":[…],"issuers":[…],"next"}`: pass `next` as `after` for the following page. Every certificate that was
 * judged is named, with its findings, none where all rules hold. The first page has the CAs above them.
 */
export async function lintLive(deps: LintDeps, query: URLSearchParams): Promise<HttpAnswer> {
  const after = query.get('after');
  if (after !== null && !/^\d{1,32}$/.test(after))
    throw invalidInput('malformed-request', '"after" must be a user id.');
  const limit = usersOf(query);
  const now = deps.clock.now();
  const issuers = await deps.ledger.issuers();
  const page = await deps.ledger.users({ limit, ...(after === null ? {} : { afterUserId: after }) });
  const certificates: unknown[] = [];
  for (const ledger of page) {
    certificates.push(...lintUser(ledger, issuers, now));
    // Others are answered in between.
    await new Promise((resolve) => setImmediate(resolve));
  }
  const last = page.at(-1)?.user?.userId;
  return {
    status: 200,
    body: {
      at: now,
      certificates,
      ...(after === null
        ? { issuers: issuers.filter(isInUse).map((issuer) => lintIssuer(issuer, now)) }
        : {}),
      ...(page.length === limit && last !== undefined ? { next: last } : {}),
    },
  };
}

function usersOf(query: URLSearchParams): number {
  const text = query.get('limit');
  if (text === null) return DEFAULT_USERS;
  const limit = /^\d{1,4}$/.test(text) ? Number(text) : 0;
  if (limit >= 1 && limit <= MOST_USERS) return limit;
  throw invalidInput('malformed-request', `"limit" must be a whole number from 1 to ${MOST_USERS}.`);
}

const isInUse = ({ state }: IssuerRecord): boolean => state !== 'retired';

function lintUser(ledger: UserLedger, issuers: readonly IssuerRecord[], now: Date): readonly unknown[] {
  return ledger.leaves
    .filter((leaf) => leaf.leafDer !== undefined && leaf.notAfter.getTime() > now.getTime())
    .map((leaf) => {
      const issuer = issuers.find(({ issuerId }) => issuerId === leaf.issuerId);
      const report = lintLeaf(leaf, issuer, now);
      const [judged] = report.certificates;
      return {
        user: ledger.user?.primaryEmail,
        serial: leaf.serialHex,
        issuer: leaf.issuerId,
        role: judged?.role ?? 'leaf',
        profile: judged?.profile,
        notAfter: leaf.notAfter,
        holder: leaf.holder,
        revoked: leaf.revocation !== undefined,
        inGmail: ledger.keypairs.some(
          ({ serialHex, state }) => serialHex === leaf.serialHex && state === 'created',
        ),
        findings: [...report.findings, ...(judged?.findings ?? [])].map(shown),
      };
    });
}

/** With its chain, and to the rules for what is our own. What is wrong with the chain itself is told of the issuer, once. */
function lintLeaf(leaf: LeafRecord, issuer: IssuerRecord | undefined, now: Date): ChainReport {
  const [address] = leaf.addresses;
  const chain = issuer === undefined ? [] : [issuer.certificateDer, ...issuer.chainDer];
  return lintChain(certsOnlyPkcs7([leaf.leafDer ?? new Uint8Array(), ...chain]), {
    now,
    ...(address === undefined ? {} : { address }),
    ...(issuer === undefined ? {} : { ownIssuersDer: [issuer.certificateDer] }),
  });
}

function lintIssuer(issuer: IssuerRecord, now: Date) {
  const report = lintChain(certsOnlyPkcs7([issuer.certificateDer, ...issuer.chainDer]), {
    now,
    expects: 'issuing',
    ownIssuersDer: issuer.chainDer,
  });
  return {
    issuer: issuer.issuerId,
    state: issuer.state,
    findings: report.findings.map(shown),
    certificates: report.certificates.map((certificate) => ({
      role: certificate.role,
      profile: certificate.profile,
      subject: certificate.subject,
      serial: certificate.serialHex,
      notAfter: certificate.notAfter,
      findings: certificate.findings.map(shown),
    })),
  };
}

const shown = ({ rule, severity, sentence, found, source, fix }: ChainFinding) => ({
  rule,
  severity,
  sentence,
  found,
  source,
  fix,
});
