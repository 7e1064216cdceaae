import { unverified } from '../../domain/issuer-address.ts';
import type { IssuerRecord } from '../../domain/records.ts';
import type { IssueLeafStep } from '../../domain/step.ts';
import { subjectTemplateKind } from '../../domain/subject-template.ts';
import { isSealwrightError, permanent, retryable } from '../../errors.ts';
import { addressesOf } from '../../pki/issuer-addresses.ts';
import { buildLeaf, type UnsignedLeaf } from '../../pki/leaf.ts';
import { leafProfileFor } from '../../pki/profile.ts';
import { drawSerial } from '../../pki/serial.ts';
import type { LeafIntent } from '../../ports/ledger.ts';
import type { StepContext, StepOutcome } from '../context.ts';
import { resolveKey, spkiOf } from './references.ts';

/** Two of 2^136 serials are never equal by chance; a third draw that collides means the random source is broken. */
const SERIAL_DRAWS = 3;
/** How far the clocks of two machines may be apart, milliseconds. */
const CLOCK_TOLERANCE_MS = 5 * 60_000;

/**
 * Issues a leaf: draws a serial, builds and lints the exact bytes, commits both, then has `sign` use the CA key. Any
 * failure after the commit leaves an intent that a later plan finishes or revokes.
 */
export async function issueLeaf(step: IssueLeafStep, context: StepContext): Promise<StepOutcome> {
  const { deps, made } = context;
  const keyId = resolveKey(step.key, context);
  const spkiDer = await spkiOf(keyId, context);
  const issuer = await readyIssuer(context);
  const leaf = await commitIntent(
    context,
    { issuerId: issuer.issuerId, keyId, holder: 'key-service' },
    (serialHex) =>
      buildLeaf({
        issuer,
        spkiDer,
        addresses: step.addresses,
        serialHex,
        now: deps.clock.now(),
        validityDays: step.validityDays,
        profile: leafProfileFor(step.purpose, 'rsa', subjectKindOf(step)),
        ...(step.subject === undefined ? {} : { subject: step.subject }),
      }),
  );
  await refuseReassigned(context, leaf);
  const leafDer = await deps.signing.signLeaf(leaf.serialHex);
  made.serials.set(step.purpose, leaf.serialHex);
  const privateKey = made.privateKeys.get(keyId);
  if (privateKey !== undefined)
    made.uploads.set(leaf.serialHex, {
      leafDer,
      chainDer: [issuer.certificateDer, ...issuer.chainDer],
      privateKey,
    });
  made.signed.add(leaf.serialHex);
  return {
    outcome: 'done',
    details: {
      serialHex: leaf.serialHex,
      purpose: step.purpose,
      keyId,
      notAfter: leaf.notAfter.toISOString(),
    },
  };
}

/** Which profile a step's subject needs. */
export const subjectKindOf = ({ subject }: Pick<IssueLeafStep, 'subject'>) =>
  subject === undefined ? 'mailbox' : subjectTemplateKind(subject.template);

/**
 * The active issuer, once a CRL of its own is published and still good and every address its leaves carry was found right
 * from outside: Gmail fetches them when the certificate is uploaded, and a leaf whose revocation could not be looked up must
 * not exist.
 */
export async function readyIssuer({ deps }: StepContext): Promise<IssuerRecord> {
  const found = await deps.ledger.issuerToUse();
  if (found === undefined) {
    throw permanent('issuer-missing', 'There is no issuing CA yet. Make one with "sealwright ca init".');
  }
  const { issuer, crl, issuerAddresses } = found;
  if (crl === undefined || crl.nextUpdate.getTime() <= deps.clock.now().getTime()) {
    await deps.bus.requestCrl(issuer.issuerId);
    throw retryable(
      'issuer-not-ready',
      `Issuer ${issuer.issuerId} has no published CRL that is still good; one was asked for.`,
    );
  }
  const nowMs = deps.clock.now().getTime();
  // Its leaves would begin and end too early, and a renewal would come too late.
  if (nowMs < crl.thisUpdate.getTime() - CLOCK_TOLERANCE_MS) {
    throw retryable(
      'issuer-not-ready',
      `This machine's clock says ${deps.clock.now().toISOString()}, and the CRL that issuer ${issuer.issuerId} published last was made at ${crl.thisUpdate.toISOString()}: nothing is issued until the clock is right.`,
    );
  }
  const missing = unverified(addressesOf(issuer), issuerAddresses);
  if (missing.length > 0) {
    await deps.bus.requestCrl(issuer.issuerId);
    throw retryable(
      'issuer-not-ready',
      `Issuer ${issuer.issuerId} may not issue until ${missing.map(({ url }) => url).join(' and ')} ${missing.length === 1 ? 'was' : 'were'} found right from outside; publish-crl was asked to look.`,
    );
  }
  return issuer;
}

/** Draws serials until one is new, and commits it with the bytes built over it. */
export async function commitIntent(
  { deps, lease, facts }: StepContext,
  of: Pick<LeafIntent, 'issuerId' | 'keyId' | 'holder'>,
  build: (serialHex: string) => UnsignedLeaf,
): Promise<UnsignedLeaf> {
  for (let draw = 1; ; draw += 1) {
    const leaf = build(drawSerial(deps.random));
    try {
      await deps.ledger.recordLeafIntent(lease, { ...leaf, ...of, userId: facts.userId });
      return leaf;
    } catch (error) {
      if (!isSealwrightError(error) || error.code !== 'conflict' || draw === SERIAL_DRAWS) throw error;
    }
  }
}

/**
 * Between reading the directory and committing the intent an address may have gone to somebody else. They are seen before
 * they ask for leaves of others, and this intent is committed before it asks for the latest holders: one of the two finds the
 * other. The intent stays and is revoked by the next plan, which knows of the new holder.
 */
export async function refuseReassigned(
  { deps, facts }: StepContext,
  leaf: { readonly serialHex: string; readonly addresses: readonly string[] },
): Promise<void> {
  const holders = await deps.ledger.latestHolders(leaf.addresses);
  const claim = holders.find(({ userId }) => userId !== facts.userId);
  if (claim === undefined) return;
  throw retryable(
    'intent-mismatch',
    `The address ${claim.address} went to the user ${claim.userId} meanwhile: serial ${leaf.serialHex} is not signed, and the user is looked at again.`,
  );
}
