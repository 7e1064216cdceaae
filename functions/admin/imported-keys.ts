/**
 * Keys of old mail. The private key was wrapped by the key service before anything comes here: what is taken is its wrapped form
 * and the certificate it had. It is written down once the key service has shown that the form opens to that key, and the one
 * loop uploads it.
 */
import { createHash } from 'node:crypto';
import { z } from 'zod';
import type { ActivePolicySource } from '../../shared/activation/active-policy.ts';
import type { ImportedCertificate } from '../../shared/domain/imported-certificate.ts';
import type { UserLedger, UserRecord, WrapProof } from '../../shared/domain/records.ts';
import { invalidInput, isSealwrightError, permanent } from '../../shared/errors.ts';
import { sharedWithKnownKeys } from '../../shared/pki/known-keys.ts';
import {
  readOldCertificate,
  requireImportableKey,
  weakKeyRefused,
} from '../../shared/pki/old-certificate.ts';
import type { Bus } from '../../shared/ports/bus.ts';
import type { KeyRewrapping } from '../../shared/ports/key-rewrapping.ts';
import type { Ledger } from '../../shared/ports/ledger.ts';
import type { Log } from '../../shared/ports/log.ts';
import type { HttpAnswer } from '../wire/http.ts';
import { bodyOf } from './body.ts';
import { refuseForObserved } from './observed.ts';
import { howToName } from './somebody.ts';

export interface ImportedKeyDeps {
  readonly ledger: Pick<
    Ledger,
    | 'userIdOfAddress'
    | 'readUser'
    | 'readBlockedKey'
    | 'otherHolderOfKey'
    | 'knownPublicKeys'
    | 'recordImport'
    | 'readImport'
    | 'audit'
  >;
  readonly policies: ActivePolicySource;
  /** Shows whether a wrapped form opens, and to what. */
  readonly keyRewrapping: KeyRewrapping;
  readonly bus: Pick<Bus, 'publishHints'>;
  readonly log: Log;
}

/** Everybody else is leaving or gone. */
const COVERED_STATES: ReadonlySet<string> = new Set(['ready', 'pending', 'blocked']);

/**
 * `{"user","userId","keyService","certificates":[{"certificate","keypairId","importId"}],"imports":[…]}`: which key service wraps
 * the user's keys, and every certificate whose mail opens for them already.
 */
export async function readImportedKeys(deps: ImportedKeyDeps, query: URLSearchParams): Promise<HttpAnswer> {
  const name = query.get('user');
  if (name === null) throw invalidInput('malformed-request', '"user" must name whose keys.');
  const { user, ledger } = await userOf(deps, name);
  const keyService = await keyServiceOf(deps, user);
  return {
    status: 200,
    body: {
      user: user.primaryEmail,
      userId: user.userId,
      keyService,
      certificates: certificatesInGmail(ledger),
      imports: (ledger.imported ?? []).map((imported) => importView(ledger, imported)),
    },
  };
}

export async function readImportedKey(deps: ImportedKeyDeps, importId: string): Promise<HttpAnswer> {
  const imported = await deps.ledger.readImport(importId);
  if (imported === undefined) throw permanent('not-found', `There is no import ${importId}.`);
  return { status: 200, body: importView(await deps.ledger.readUser(imported.userId), imported) };
}

const request = z.strictObject({
  user: z.string().min(3).max(320),
  /** DER, base64: the certificate, then what there is of its chain. */
  chain: z.array(z.base64().min(1).max(30_000)).min(1).max(10),
  keyService: z.url(),
  wrappedKey: z.base64().min(1).max(8_192),
});

/** 202 and the import as `readImportedKey` shows it. The same certificate again is taken again and ends as before. */
export async function requestKeyImport(
  deps: ImportedKeyDeps,
  admin: string,
  body: unknown,
): Promise<HttpAnswer> {
  const wanted = bodyOf(request, body);
  const { user, ledger } = await userOf(deps, wanted.user);
  refuseForObserved((await deps.policies.current()).policy, user);
  if (!COVERED_STATES.has(user.state)) {
    throw permanent('conflict', `No key is imported for ${user.primaryEmail}: ${user.reason}`, {
      details: { field: 'user', state: user.state },
    });
  }
  await requireKeyServiceOf(deps, user, wanted.keyService);
  const chainDer = wanted.chain.map((der) => new Uint8Array(Buffer.from(der, 'base64')));
  const certificateDer = chainDer[0] ?? new Uint8Array();
  const old = readOldCertificate(certificateDer);
  requireImportableKey(old);
  const { spkiDer, modulusBits, addresses, notBefore, notAfter } = old;
  const spkiSha256Hex = createHash('sha256').update(spkiDer).digest('hex');
  await requireTheirs(deps, ledger, { spkiSha256Hex, certificateDer });
  const weakness = await sharedWithKnownKeys(deps.ledger, spkiDer);
  if (weakness !== undefined) throw weakKeyRefused(weakness);
  const proof = await proofOf(deps, { ...wanted, userId: user.userId, spkiSha256Hex });
  const recorded = await deps.ledger.recordImport({
    userId: user.userId,
    ...{ chainDer, addresses, notBefore, notAfter, spkiSha256Hex, spkiDer, modulusBits, proof },
    keyServiceUrl: wanted.keyService,
    wrappedKey: wanted.wrappedKey,
    requestedBy: admin,
  });
  await announce(deps, admin, recorded);
  return { status: 202, body: importView(await deps.ledger.readUser(user.userId), recorded) };
}

async function userOf(
  deps: ImportedKeyDeps,
  name: string,
): Promise<{ readonly user: UserRecord; readonly ledger: UserLedger }> {
  const userId = /^\d+$/.test(name) ? name : await deps.ledger.userIdOfAddress(name.toLowerCase());
  const ledger = userId === undefined ? undefined : await deps.ledger.readUser(userId);
  if (ledger?.user === undefined)
    throw permanent('not-found', `The ledger knows nobody called ${name}.${howToName(name)}`);
  return { user: ledger.user, ledger };
}

/** The one that the user's rule names, as for new keys. */
async function keyServiceOf(deps: ImportedKeyDeps, user: UserRecord): Promise<string> {
  const { policy } = await deps.policies.current();
  const rule = policy.rules.find(({ name }) => name === user.ruleName);
  if (rule?.keyServiceUrl !== undefined) return rule.keyServiceUrl;
  throw permanent(
    'conflict',
    `No key service holds keys of ${user.primaryEmail}: the rule that covers them names none.`,
    { details: { field: 'user' } },
  );
}

async function requireKeyServiceOf(deps: ImportedKeyDeps, user: UserRecord, named: string): Promise<void> {
  const keyService = await keyServiceOf(deps, user);
  if (keyService === named) return;
  throw permanent(
    'conflict',
    `The keys of ${user.primaryEmail} are wrapped by ${keyService}, not by ${named}: wrap this one there too.`,
    { details: { field: 'keyService' } },
  );
}

/** A key that two people have, or one that was given away, is not brought along; neither is a certificate of our own. */
async function requireTheirs(
  deps: ImportedKeyDeps,
  ledger: UserLedger,
  { spkiSha256Hex, certificateDer }: { readonly spkiSha256Hex: string; readonly certificateDer: Uint8Array },
): Promise<void> {
  const ours = ledger.leaves.find(
    ({ leafDer }) => leafDer !== undefined && Buffer.compare(leafDer, certificateDer) === 0,
  );
  if (ours !== undefined) {
    const where =
      ours.holder === 'device' ? 'a certificate for another mail client' : 'in Gmail with its key already';
    throw permanent('conflict', `Sealwright issued this certificate (serial ${ours.serialHex}), ${where}.`);
  }
  const blocked = await deps.ledger.readBlockedKey(spkiSha256Hex);
  if (blocked !== undefined) {
    throw permanent(
      'key-blocked',
      `This key was revoked for compromise on ${blocked.blockedAt.toISOString()} (serial ${blocked.serialHex}) and is not taken again.`,
      { details: { spkiSha256Hex, serialHex: blocked.serialHex } },
    );
  }
  const userId = ledger.user?.userId ?? '';
  const other = await deps.ledger.otherHolderOfKey(spkiSha256Hex, userId);
  if (other === undefined) return;
  throw permanent('conflict', `This key is one of user ${other}; a key belongs to one person.`, {
    details: { spkiSha256Hex },
  });
}

/**
 * Our own key service opens the form and says for which key and whom it is; anything else than this key and this user is refused.
 * Another vendor's has no such operation: then nobody has seen it open.
 */
async function proofOf(
  deps: ImportedKeyDeps,
  wrapped: {
    readonly keyService: string;
    readonly wrappedKey: string;
    readonly userId: string;
    readonly spkiSha256Hex: string;
  },
): Promise<WrapProof> {
  const { keyService: keyServiceUrl, wrappedKey } = wrapped;
  let opened: Awaited<ReturnType<KeyRewrapping['rewrapPrivateKey']>>['opened'];
  try {
    ({ opened } = await deps.keyRewrapping.rewrapPrivateKey({ keyServiceUrl, wrappedKey }));
  } catch (error) {
    const status = isSealwrightError(error) ? Number(error.details?.['httpStatus']) : Number.NaN;
    if ([404, 405].includes(status)) return 'unproven';
    throw error;
  }
  if (opened === undefined) return 'unproven';
  if (opened.spkiSha256Hex === wrapped.spkiSha256Hex && opened.userId === wrapped.userId) return 'proven';
  throw invalidInput(
    'malformed-request',
    'The wrapped key opens to another key, or belongs to another user, than the certificate it came with.',
    { details: { field: 'wrappedKey' } },
  );
}

/** It is recorded and the user is due: from here on a failure is logged, and nobody has to ask twice. */
async function announce(deps: ImportedKeyDeps, admin: string, imported: ImportedCertificate): Promise<void> {
  const { importId, userId, key } = imported;
  const cause = { source: 'admin', eventId: importId, event: 'key-import', actor: admin } as const;
  const details = { importId, keyId: key.keyId, spkiSha256Hex: key.spkiSha256Hex, proof: key.proof };
  try {
    await deps.ledger.audit({
      userId,
      cause,
      step: 'key-import-requested',
      reason: `${admin} imported the key of a certificate valid from ${imported.notBefore.toISOString()} to ${imported.notAfter.toISOString()}.`,
      outcome: 'done',
      details,
    });
    await deps.bus.publishHints([{ userId, cause }]);
    deps.log.info('key-import-requested', { userId, admin, ...details });
  } catch (error) {
    if (!isSealwrightError(error)) throw error;
    deps.log.error('key-import-not-announced', { importId, code: error.code, message: error.message });
  }
}

/** Certificates whose pair Gmail has, and which nobody disabled here. */
const certificatesInGmail = ({ leaves, imported = [], keypairs }: UserLedger) =>
  [
    ...leaves.flatMap(({ serialHex, leafDer }) =>
      leafDer === undefined ? [] : [{ serialHex, der: leafDer }],
    ),
    ...imported.flatMap(({ importId, chainDer: [der] }) =>
      der === undefined ? [] : [{ serialHex: importId, der }],
    ),
  ].flatMap(({ serialHex, der }) => {
    const pair = keypairs.find((candidate) => candidate.serialHex === serialHex);
    if (pair?.keypairId === undefined || pair.disabled !== undefined) return [];
    const { keypairId } = pair;
    return [{ certificate: Buffer.from(der).toString('base64'), serial: serialHex, keypairId }];
  });

/** Everything but the wrapped key. Somebody who waits is told what the user waits for. */
export function importView(ledger: UserLedger, imported: ImportedCertificate) {
  const pair = ledger.keypairs.find(({ serialHex }) => serialHex === imported.importId);
  return {
    id: imported.importId,
    user: ledger.user?.primaryEmail,
    state: imported.state === 'open' ? 'waiting' : imported.state,
    reason: imported.detail ?? (imported.state === 'open' ? ledger.user?.reason : undefined),
    certificateSha256: imported.certificateSha256Hex,
    addresses: imported.addresses,
    notBefore: imported.notBefore,
    notAfter: imported.notAfter,
    keyService: imported.key.keyServiceUrl,
    keyProof: imported.key.proof,
    spkiSha256: imported.key.spkiSha256Hex,
    keypairId: pair?.keypairId,
    keypairDisabled: pair?.disabled,
    requestedBy: imported.requestedBy,
  };
}
