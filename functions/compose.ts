/**
 * Builds the adapters, once per instance, from settings. The only file that knows which adapter stands behind which
 * port. Each function gets what it needs and nothing else: only `sign` gets the CA keys, only `directory-event` gets
 * Gmail, only `key-service` gets key-encryption keys.
 */
import { createPublicKey, randomBytes, randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { type ActivePolicySource, activePolicySource } from '../shared/activation/active-policy.ts';
import { offsetClock } from '../shared/adapters/clock/offset-clock.ts';
import { systemClock } from '../shared/adapters/clock/system-clock.ts';
import { cloudKmsKeyEncryptionKeys } from '../shared/adapters/cloud-kms/key-encryption-keys.ts';
import { cloudKmsSigningKeys } from '../shared/adapters/cloud-kms/signing-keys.ts';
import { DIRECTORY_SCOPES, googleDirectory } from '../shared/adapters/directory/google-directory.ts';
import { GMAIL_SCOPES, googleGmail } from '../shared/adapters/gmail/google-gmail.ts';
import { googleMailInsertion, INSERT_SCOPES } from '../shared/adapters/gmail/mail-insertion.ts';
import { delegatedCredentials } from '../shared/adapters/google/delegated-credentials.ts';
import { googleEndpoints } from '../shared/adapters/google/endpoints.ts';
import { googleIdTokenVerifier } from '../shared/adapters/google/id-token-verifier.ts';
import { ownIdentity } from '../shared/adapters/google/own-identity.ts';
import { googlePace, type Pace } from '../shared/adapters/google/pace.ts';
import { retrySettings } from '../shared/adapters/google/retry.ts';
import { anyKeyEncryptionKeys } from '../shared/adapters/kacls/any-key-encryption-keys.ts';
import { cardFolder } from '../shared/adapters/kacls/card-folder.ts';
import { kaclsKeyService } from '../shared/adapters/kacls/client.ts';
import { openFedAddressBook } from '../shared/adapters/kacls/fed-address-book.ts';
import { secretKeyEncryptionKeys } from '../shared/adapters/kacls/key-encryption-keys.ts';
import { keyFolder } from '../shared/adapters/kacls/key-folder.ts';
import { kaclsKeyProving } from '../shared/adapters/kacls/key-proving.ts';
import { httpKeySetDocuments } from '../shared/adapters/kacls/key-set-fetcher.ts';
import { httpOtherKeyServices } from '../shared/adapters/kacls/other-key-services.ts';
import { secretTokenSigningKeys } from '../shared/adapters/kacls/token-signing-keys.ts';
import { openPostgresLedger } from '../shared/adapters/ledger/open.ts';
import { jsonLog } from '../shared/adapters/log.ts';
import { pubsubDeadLetters } from '../shared/adapters/pubsub/dead-letters.ts';
import { pubsubBus } from '../shared/adapters/pubsub/pubsub-bus.ts';
import { secretsOrFiles } from '../shared/adapters/secret-files/secret-files.ts';
import { secretManager } from '../shared/adapters/secret-manager/secret-manager.ts';
import { secretVersionState } from '../shared/adapters/secret-manager/version-state.ts';
import { signingClient } from '../shared/adapters/signing/client.ts';
import { storageBucket } from '../shared/adapters/storage/storage-bucket.ts';
import { publicWeb } from '../shared/adapters/web/public-web.ts';
import { pinnedCaKeys } from '../shared/authority/ca-keys.ts';
import { secretManagerServiceKeys } from '../shared/authority/service-keys.ts';
import { withStatusAtIssue } from '../shared/authority/status-at-issue.ts';
import { need, type Settings } from '../shared/config/settings.ts';
import { invalidInput, retryable } from '../shared/errors.ts';
import { generateRsaKey } from '../shared/pki/key.ts';
import type { Directory } from '../shared/ports/directory.ts';
import type { Ledger } from '../shared/ports/ledger.ts';
import type { MailInsertion } from '../shared/ports/mail-insertion.ts';
import type { AdminDeps } from './admin.ts';
import type { DirectoryEventDeps } from './directory-event.ts';
import type { DirectoryWatchDeps } from './directory-watch.ts';
import type { DueDeps } from './due.ts';
import type { KeyServiceDeps } from './key-service.ts';
import type { OcspFunctionDeps } from './ocsp.ts';
import type { PublishCrlFunctionDeps } from './publish-crl.ts';
import type { SignFunctionDeps } from './sign.ts';
import type { SweepFunctionDeps } from './sweep.ts';
import type { CallerRule } from './wire/caller.ts';

const KEY_SERVICE_TIMEOUT_MS = 15_000;

/** What an instance may be given instead of opening it itself: the embedded ledger, which has one process only. */
export interface Given {
  readonly ledger?: Ledger;
}

/** What every function has: a clock, a log, its own identity, a verifier for callers' tokens. */
export function composeBase(settings: Settings) {
  const clock =
    settings.SEALWRIGHT_CLOCK_OFFSET_FILE === undefined
      ? systemClock
      : offsetClock(settings.SEALWRIGHT_CLOCK_OFFSET_FILE);
  const endpoints = googleEndpoints(settings.SEALWRIGHT_GOOGLE_ROOT_URL);
  const own = ownIdentity({
    clock,
    source: settings.SEALWRIGHT_CREDENTIALS,
    ...(settings.SEALWRIGHT_SERVICE_ACCOUNT === undefined
      ? {}
      : { serviceAccountEmail: settings.SEALWRIGHT_SERVICE_ACCOUNT }),
  });
  return {
    clock,
    endpoints,
    own,
    log: jsonLog(),
    retry: retrySettings(clock),
    idTokens: googleIdTokenVerifier(endpoints, clock),
  };
}

type Base = ReturnType<typeof composeBase>;

export async function composeDirectoryWatch(settings: Settings, given: Given): Promise<DirectoryWatchDeps> {
  const base = composeBase(settings);
  return { ...base, ledger: await ledgerOf(settings, given, base), bus: busOf(settings, base) };
}

export async function composeDirectoryEvent(settings: Settings, given: Given): Promise<DirectoryEventDeps> {
  const base = composeBase(settings);
  const gmailCredentials = delegatedCredentials({
    signerEmail: need(settings, 'SEALWRIGHT_GMAIL_ACCOUNT'),
    scopes: GMAIL_SCOPES,
    ...base,
  });
  const callers = callersOf(settings);
  const ledger = await ledgerOf(settings, given, base);
  const directory = directoryOf(settings, base, ledger);
  const bus = busOf(settings, base);
  return {
    ...base,
    callers,
    policies: policiesOf(settings, { ...base, ledger, directory }, 'directory-event'),
    ledger,
    bus,
    directory,
    gmail: googleGmail({ credentials: gmailCredentials, ...base, pace: gmailPace(settings, ledger) }),
    keyService: kaclsKeyService(keyServiceOptions(base)),
    keyRewrapping: kaclsKeyService(keyServiceOptions(base)),
    ...(settings.SEALWRIGHT_KEY_FOLDER === undefined
      ? {}
      : {
          suppliedKeys: keyFolder(settings.SEALWRIGHT_KEY_FOLDER),
          cardKeys: cardFolder(settings.SEALWRIGHT_KEY_FOLDER),
        }),
    signing: withStatusAtIssue(signingOf(settings, base), { ...base, ledger, bus }),
    generateKey: generateRsaKey,
    random: randomBytes,
    leaseMs: settings.SEALWRIGHT_LEASE_SECONDS * 1000,
    ...(settings.SEALWRIGHT_ORGANIZATION === undefined
      ? {}
      : { organization: settings.SEALWRIGHT_ORGANIZATION }),
  };
}

/** For the command line: messages of a migration, as an account that may insert and nothing else. */
export function composeMailInsertion(settings: Settings, signerEmail: string): MailInsertion {
  const base = composeBase(settings);
  const credentials = delegatedCredentials({ signerEmail, scopes: INSERT_SCOPES, ...base });
  return googleMailInsertion({ credentials, ...base });
}

export async function composeDue(settings: Settings, given: Given): Promise<DueDeps> {
  const base = composeBase(settings);
  const ledger = await ledgerOf(settings, given, base);
  const keyServiceUrl = settings.SEALWRIGHT_KEY_SERVICE_URL;
  return {
    ...base,
    ...(keyServiceUrl === undefined
      ? {}
      : { rotation: { keyServiceUrl, keyRewrapping: kaclsKeyService(keyServiceOptions(base)) } }),
    callers: callersOf(settings),
    ledger,
    bus: busOf(settings, base),
    channels: {
      ...base,
      ledger,
      directory: directoryOf(settings, base, ledger),
      receiverUrl: need(settings, 'SEALWRIGHT_WATCH_URL'),
      randomBytes,
      randomId: randomUUID,
    },
  };
}

export async function composeSweep(settings: Settings, given: Given): Promise<SweepFunctionDeps> {
  const base = composeBase(settings);
  const callers = callersOf(settings);
  const ledger = await ledgerOf(settings, given, base);
  const directory = directoryOf(settings, base, ledger);
  return {
    ...base,
    callers,
    policies: policiesOf(settings, { ...base, ledger, directory }, 'sweep'),
    ledger,
    bus: busOf(settings, base),
    directory,
    elapsedMs: () => performance.now(),
    intervalMs: settings.SEALWRIGHT_SWEEP_INTERVAL_HOURS * 3_600_000,
    budgetMs: settings.SEALWRIGHT_SWEEP_BUDGET_SECONDS * 1000,
    lookByAgeMs: settings.SEALWRIGHT_LOOK_BY_AGE_DAYS * 86_400_000,
    hintsPerMinute: settings.SEALWRIGHT_HINTS_PER_MINUTE,
  };
}

export async function composeSign(settings: Settings, given: Given): Promise<SignFunctionDeps> {
  const base = composeBase(settings);
  return {
    ...base,
    callers: callersOf(settings),
    ledger: await ledgerOf(settings, given, base),
    caKeys: pinnedCaKeys({
      secrets: secretManager(base),
      signingKeys: cloudKmsSigningKeys(base),
      clock: base.clock,
    }),
    serviceKeys: secretManagerServiceKeys(secretManager(base), base.clock),
  };
}

export async function composePublishCrl(settings: Settings, given: Given): Promise<PublishCrlFunctionDeps> {
  const base = composeBase(settings);
  const callers = callersOf(settings);
  const ledger = await ledgerOf(settings, given, base);
  const signing = signingOf(settings, base);
  const ocspKeySecret = settings.SEALWRIGHT_OCSP_KEY_SECRET;
  const auditKeySecret = settings.SEALWRIGHT_AUDIT_KEY_SECRET;
  const making = { ...base, ledger, signing, secrets: secretManager(base), random: randomBytes };
  const proxyUrl = settings.SEALWRIGHT_PUBLIC_HTTP_PROXY;
  return {
    ...base,
    callers,
    ledger,
    signing,
    bucket: bucketOf(settings, base),
    readiness: { ...base, ledger, publicWeb: publicWeb(proxyUrl === undefined ? {} : { proxyUrl }) },
    ...(ocspKeySecret === undefined ? {} : { ocsp: { ...making, ocspKeySecret } }),
    ...(auditKeySecret === undefined ? {} : { checkpoints: { ...making, auditKeySecret } }),
  };
}

/** No bucket, no secrets, no bus: the responder reads answers and does nothing else. */
export async function composeOcsp(settings: Settings, given: Given): Promise<OcspFunctionDeps> {
  const { clock, log, ...base } = composeBase(settings);
  const ledger = await ledgerOf(settings, given, { clock, log, ...base });
  return {
    clock,
    log,
    answers: {
      ocspIssuers: () => ledger.ocspIssuers(),
      readOcspAnswer: (issuerId, serialHex, hash) => ledger.readOcspAnswer(issuerId, serialHex, hash),
    },
  };
}

export async function composeAdmin(settings: Settings, given: Given): Promise<AdminDeps> {
  const base = composeBase(settings);
  const audiences = need(settings, 'SEALWRIGHT_ADMIN_AUDIENCES');
  const admins = need(settings, 'SEALWRIGHT_ADMINS');
  const ledger = await ledgerOf(settings, given, base);
  const directory = directoryOf(settings, base, ledger);
  return {
    ...base,
    audiences,
    admins,
    policies: policiesOf(settings, { ...base, ledger, directory }, 'admin'),
    ledger,
    bus: busOf(settings, base),
    deadLetters: pubsubDeadLetters({ projectId: need(settings, 'SEALWRIGHT_PROJECT'), ...base }),
    directory,
    keyProving: kaclsKeyProving({ timeoutMs: KEY_SERVICE_TIMEOUT_MS }),
    random: randomBytes,
    hintsPerMinute: settings.SEALWRIGHT_HINTS_PER_MINUTE,
  };
}

export async function composeKeyService(settings: Settings, given: Given): Promise<KeyServiceDeps> {
  const base = composeBase(settings);
  const ledger = await ledgerOf(settings, given, base);
  return { ...keyServiceOf(settings, base), addressBook: ledger, newerForms: ledger };
}

/**
 * The key service as a process of its own. It asks the ledger where it is given one, and is fed with signed address
 * histories where not; then key-encryption keys it cannot find stay lost, because nothing newer is known.
 */
export async function composeKeyServer(settings: Settings) {
  const base = composeBase(settings);
  const parts = keyServiceOf(settings, base);
  const keyCheck = async () => {
    const { key, wrappedDataKey } = await parts.keyEncryptionKeys.current(Buffer.from('readiness'));
    if (wrappedDataKey !== undefined) key.fill(0);
  };
  if (settings.SEALWRIGHT_KEY_SERVICE_FEED === undefined) {
    const ledger = await ledgerOf(settings, {}, base);
    const checks = {
      'key-encryption-key': keyCheck,
      ledger: async () => void (await ledger.userIdsOfAddress('readiness@sealwright.invalid')),
    };
    const deps: KeyServiceDeps = { ...parts, addressBook: ledger, newerForms: ledger };
    return { deps, checks, facts: () => ({}), refreshFeed: async () => {}, close: () => ledger.close() };
  }
  const book = await openFedAddressBook({ ...feedOf(settings), ...base });
  const deps: KeyServiceDeps = { ...parts, addressBook: book };
  const checks = {
    'key-encryption-key': keyCheck,
    // However old: nobody who is known is locked out of old mail by a stale feed.
    addresses: async () => {
      if (book.issuedAt === undefined) throw retryable('ledger-unavailable', 'No address feed was ever had.');
    },
  };
  const facts = () => ({ addressFeed: { issuedAt: book.issuedAt, addresses: book.addresses } });
  return { deps, checks, facts, refreshFeed: () => book.refresh(), close: async () => {} };
}

function feedOf(settings: Settings) {
  const keyFile = need(settings, 'SEALWRIGHT_KEY_SERVICE_FEED_KEY_FILE');
  const authorizationFile = settings.SEALWRIGHT_KEY_SERVICE_FEED_AUTHORIZATION_FILE;
  const pems =
    readSettingFile(keyFile).match(/-----BEGIN PUBLIC KEY-----[^-]+-----END PUBLIC KEY-----/g) ?? [];
  if (pems.length === 0) throw invalidInput('settings-invalid', `${keyFile} holds no public key in PEM.`);
  return {
    source: need(settings, 'SEALWRIGHT_KEY_SERVICE_FEED'),
    keys: pems.map((pem) => createPublicKey(pem)),
    tenantId: need(settings, 'SEALWRIGHT_KEY_SERVICE_TENANT'),
    stateFolder: need(settings, 'SEALWRIGHT_KEY_SERVICE_STATE'),
    ...(authorizationFile === undefined
      ? {}
      : { authorization: async () => readSettingFile(authorizationFile).trim() }),
  };
}

function readSettingFile(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    throw invalidInput('settings-invalid', `The file ${file} cannot be read.`, { cause: error });
  }
}

/** All but where addresses and newer forms come from. */
function keyServiceOf(settings: Settings, base: Base): Omit<KeyServiceDeps, 'addressBook' | 'newerForms'> {
  const { rootUrl } = base.endpoints;
  const secrets = secretsOrFiles(secretManager(base));
  const { clock } = base;
  const tokenKeys = settings.SEALWRIGHT_KEY_SERVICE_TOKEN_KEYS;
  return {
    ...base,
    keySetDocuments: httpKeySetDocuments(),
    otherKeyServices: httpOtherKeyServices(),
    version: settings.K_REVISION,
    keyEncryptionKeys: anyKeyEncryptionKeys(need(settings, 'SEALWRIGHT_KEY_SERVICE_KEYS'), {
      secrets: (versions) => secretKeyEncryptionKeys({ versions, secrets, clock }),
      kms: (versions) => cloudKmsKeyEncryptionKeys({ versions, random: randomBytes, ...base }),
    }),
    ...(tokenKeys.length === 0
      ? {}
      : { tokenSigningKeys: secretTokenSigningKeys({ versions: tokenKeys, secrets, clock }) }),
    settings: {
      baseUrl: need(settings, 'SEALWRIGHT_KEY_SERVICE_URL'),
      tenantId: need(settings, 'SEALWRIGHT_KEY_SERVICE_TENANT'),
      ownerDomain: need(settings, 'SEALWRIGHT_KEY_SERVICE_DOMAIN'),
      authenticationIssuers: need(settings, 'SEALWRIGHT_KEY_SERVICE_IDENTITY_PROVIDERS'),
      wrapCallers: settings.SEALWRIGHT_KEY_SERVICE_WRAP_CALLERS,
      rewrapCallers: settings.SEALWRIGHT_KEY_SERVICE_REWRAP_CALLERS,
      ...(settings.SEALWRIGHT_KEY_SERVICE_APPLICATIONS === undefined
        ? {}
        : { applications: settings.SEALWRIGHT_KEY_SERVICE_APPLICATIONS }),
      privilegedIssuers: settings.SEALWRIGHT_KEY_SERVICE_ADMIN_PROVIDERS,
      privilegedCallers: definedOnly(settings.SEALWRIGHT_KEY_SERVICE_ADMINS),
      migrationSources: settings.SEALWRIGHT_KEY_SERVICE_MIGRATION_SOURCES,
      migrationTargets: settings.SEALWRIGHT_KEY_SERVICE_MIGRATION_TARGETS,
      guests: settings.SEALWRIGHT_KEY_SERVICE_GUESTS === 'true' ? 'allow' : 'refuse',
      sha1Signing: false,
      oaepMgf1: 'same',
      ...(rootUrl === undefined
        ? {}
        : {
            authorizationKeySetRoot: `${rootUrl}service_accounts/v1/jwk/`,
            wrapCallerKeySetUrl: `${rootUrl}oauth2/v3/certs`,
          }),
    },
  };
}

/**
 * What setting up a CA and looking after it needs; asked for by an admin's command, never by a deployed function. Whoever
 * makes a CA is the first to touch a new ledger, which then gets its tables.
 */
export async function composeSetUp(
  settings: Settings,
  given: Given,
  options: { readonly migrate: boolean } = { migrate: true },
) {
  const base = composeBase(settings);
  return {
    ...base,
    ledger: await ledgerOf(settings, given, base, options),
    secrets: secretManager(base),
    signingKeys: cloudKmsSigningKeys(base),
    secretState: secretVersionState(base),
    bucket: bucketOf(settings, base),
    bus: busOf(settings, base),
    random: randomBytes,
  };
}

async function ledgerOf(
  settings: Settings,
  given: Given,
  { clock }: Base,
  options: { readonly migrate?: boolean } = {},
): Promise<Ledger> {
  if (given.ledger !== undefined) return given.ledger;
  const connectionString = need(settings, 'SEALWRIGHT_DATABASE_URL');
  return await openPostgresLedger({ connectionString, clock, ...options });
}

const busOf = (settings: Settings, base: Base) =>
  pubsubBus({ projectId: need(settings, 'SEALWRIGHT_PROJECT'), ...base });

const bucketOf = (settings: Settings, base: Base) =>
  storageBucket({
    projectId: need(settings, 'SEALWRIGHT_PROJECT'),
    bucket: need(settings, 'SEALWRIGHT_BUCKET'),
    ...base,
  });

const keyServiceOptions = ({ own }: Base) => ({
  fetchIdToken: own.fetchIdToken,
  timeoutMs: KEY_SERVICE_TIMEOUT_MS,
});

const signingOf = (settings: Settings, { own }: Base) =>
  signingClient({ signUrl: need(settings, 'SEALWRIGHT_SIGN_URL'), fetchIdToken: own.fetchIdToken });

const callersOf = (settings: Settings): CallerRule => ({
  behindIam: settings.SEALWRIGHT_BEHIND_IAM === 'true',
  audience: need(settings, 'SEALWRIGHT_AUDIENCE'),
  emails: need(settings, 'SEALWRIGHT_CALLERS'),
});

/** As the account with the read-only admin role, by its own token and not by delegation. */
function directoryOf(settings: Settings, base: Base, ledger: Ledger) {
  const credentials = delegatedCredentials({
    signerEmail: need(settings, 'SEALWRIGHT_DIRECTORY_ACCOUNT'),
    scopes: DIRECTORY_SCOPES,
    ...base,
  });
  return googleDirectory({
    bearer: credentials.forAccount(),
    ...base,
    pace: directoryPace(settings, ledger),
  });
}

const timing = { sleep: async (ms: number) => void (await sleep(ms)), elapsedMs: () => performance.now() };

const directoryPace = (settings: Settings, ledger: Ledger): Pace =>
  googlePace({
    ...timing,
    ledger,
    pace: 'directory',
    unitsPerMinute: settings.SEALWRIGHT_DIRECTORY_PER_MINUTE,
    unitsPerBooking: Math.max(1, Math.floor(settings.SEALWRIGHT_DIRECTORY_PER_MINUTE / 600)),
    code: 'directory-unavailable',
  });

const gmailPace = (settings: Settings, ledger: Ledger): Pace =>
  googlePace({
    ...timing,
    ledger,
    pace: 'gmail',
    unitsPerMinute: settings.SEALWRIGHT_GMAIL_UNITS_PER_MINUTE,
    // The reads and writes of one new user.
    unitsPerBooking: Math.min(500, settings.SEALWRIGHT_GMAIL_UNITS_PER_MINUTE / 60),
    code: 'gmail-unavailable',
  });

/** The policy of this function's file once it is activated, or the one before. Throws at once for a file with mistakes. */
function policiesOf(
  settings: Settings,
  deps: Base & { readonly ledger: Ledger; readonly directory: Directory },
  activatedBy: string,
): ActivePolicySource {
  const name = need(settings, 'SEALWRIGHT_POLICY_FILE');
  let text: string;
  try {
    text = readFileSync(name, 'utf8');
  } catch (error) {
    throw invalidInput('settings-invalid', `The policy file ${name} cannot be read.`, { cause: error });
  }
  return activePolicySource(deps, { text, name, activatedBy });
}

/** Drops what is absent: the settings' parser gives `undefined` where a field may only be missing. */
function definedOnly<T extends object>(value: T): { [K in keyof T]?: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(value).filter(([, entry]) => entry !== undefined)) as {
    [K in keyof T]?: Exclude<T[K], undefined>;
  };
}
