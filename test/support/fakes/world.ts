/**
 * One company in memory: the real ledger on PGlite and the real signing behind it, a real CA, and fakes for everything
 * that belongs to Google. Made for tests of the loop and of the functions.
 */
import { createHash } from 'node:crypto';
import type { Database } from '../../../shared/adapters/ledger/database.ts';
import { createLedger } from '../../../shared/adapters/ledger/ledger.ts';
import { type CaKeys, pinnedCaKeys } from '../../../shared/authority/ca-keys.ts';
import type { CheckpointDeps } from '../../../shared/authority/checkpoint.ts';
import { ocspResponder } from '../../../shared/authority/ocsp-responder.ts';
import { type PublishCrlDeps, publishCrl } from '../../../shared/authority/publish-crl.ts';
import type { PublishOcspDeps } from '../../../shared/authority/publish-ocsp.ts';
import type { ReadinessDeps } from '../../../shared/authority/readiness.ts';
import { type ServiceKeys, secretManagerServiceKeys } from '../../../shared/authority/service-keys.ts';
import { signCrlIntent, signLeafIntent } from '../../../shared/authority/sign.ts';
import { signAuditSignerIntent, signCheckpointIntent } from '../../../shared/authority/sign-checkpoint.ts';
import { signOcspBatch, signOcspSignerIntent } from '../../../shared/authority/sign-ocsp.ts';
import type { Cause } from '../../../shared/domain/hint.ts';
import type { Policy } from '../../../shared/domain/policy.ts';
import type { IssuerRecord } from '../../../shared/domain/records.ts';
import { permanent } from '../../../shared/errors.ts';
import { readTbsCertificate } from '../../../shared/pki/certificate.ts';
import { addressesOf } from '../../../shared/pki/issuer-addresses.ts';
import type { RandomBytes } from '../../../shared/pki/serial.ts';
import type { Bucket } from '../../../shared/ports/bucket.ts';
import type { Bus } from '../../../shared/ports/bus.ts';
import type { DeadLetters } from '../../../shared/ports/dead-letters.ts';
import type { Directory } from '../../../shared/ports/directory.ts';
import type { Gmail } from '../../../shared/ports/gmail.ts';
import type { KeyProving } from '../../../shared/ports/key-proving.ts';
import type { KeyRewrapping } from '../../../shared/ports/key-rewrapping.ts';
import type { KeyService } from '../../../shared/ports/key-service.ts';
import type { Ledger } from '../../../shared/ports/ledger.ts';
import type { Secrets } from '../../../shared/ports/secrets.ts';
import type { Signing } from '../../../shared/ports/signing.ts';
import type { ReconcileDeps } from '../../../shared/reconcile/context.ts';
import {
  CRL_URL,
  ISSUER_URL,
  ROOT_CRL_URL,
  ROOT_URL,
  type SampleAuthority,
  sampleAuthority,
  seededRandom,
} from '../../pki/sample-authority.ts';
import { openTestDatabase } from '../ledger.ts';
import { policyOf, policyRule } from '../policy.ts';
import { type FakeBucket, fakeBucket } from './bucket.ts';
import { type KeptBus, keptBus } from './bus.ts';
import { promptCaKeys } from './ca-keys.ts';
import { type Around, surround } from './calls.ts';
import { type ManualClock, manualClock } from './clock.ts';
import { copyRows, expireLeases } from './database-copy.ts';
import { type KeptDeadLetters, keptDeadLetters } from './dead-letters.ts';
import { type FakeDirectory, fakeDirectory } from './directory.ts';
import { type FakeGmail, fakeGmail } from './gmail.ts';
import { type KeyPool, keyPool } from './key-pool.ts';
import { type FakeKeyService, fakeKeyService } from './key-service.ts';
import { type MemoryDatabase, memoryDatabase } from './ledger/ledger.ts';
import { twinLedger } from './ledger/twin.ts';
import { type KeptLog, keptLog } from './log.ts';
import { type FakePublicWeb, fakePublicWeb } from './public-web.ts';
import { type FakeSecrets, fakeSecrets } from './secrets.ts';
import { noSigningKeys } from './signing-keys.ts';

export const START = new Date('2026-11-22T12:00:00Z');
export const MINUTE_MS = 60_000;
export const HOUR_MS = 3_600_000;
export const DAY_MS = 86_400_000;
export const KEY_SERVICE_URL = 'https://kacls.acme.example';
export const ISSUER_ID = 'issuing-1';
export const KEY_VERSION = 'projects/acme/secrets/issuing-key/versions/1';
export const OCSP_KEY_SECRET = 'projects/acme/secrets/ocsp-signer-key';
export const AUDIT_KEY_SECRET = 'projects/acme/secrets/audit-signer-key';
export const CAUSE: Cause = { source: 'watch', eventId: 'event-1', event: 'update' };

export const POLICY: Policy = policyOf([policyRule({ modulusBits: 2048, keyServiceUrl: KEY_SERVICE_URL })]);

/** What takes time to make: keys. Made once per test file. */
export interface Materials {
  readonly authority: SampleAuthority;
  readonly pool: KeyPool;
}

export async function makeMaterials(): Promise<Materials> {
  const [authority, pool] = await Promise.all([sampleAuthority(), keyPool()]);
  return { authority, pool };
}

export interface World {
  readonly clock: ManualClock;
  readonly database: Database;
  /** Where each wish of this user stands, in the order of the alphabet: the ledger's port tells of open ones alone. */
  wishStates(userId: string): Promise<readonly string[]>;
  readonly ledger: Ledger;
  readonly directory: FakeDirectory;
  readonly gmail: FakeGmail;
  readonly keyService: FakeKeyService;
  /** The same. */
  readonly keyRewrapping: FakeKeyService;
  readonly bus: KeptBus;
  readonly deadLetters: KeptDeadLetters;
  readonly bucket: FakeBucket;
  readonly secrets: FakeSecrets;
  readonly caKeys: CaKeys;
  readonly signing: Signing;
  readonly log: KeptLog;
  readonly issuer: IssuerRecord;
  readonly authority: SampleAuthority;
  readonly pool: KeyPool;
  /** A key service that lets no admin use anybody's key. */
  readonly keyProving: KeyProving;
  readonly random: RandomBytes;
  readonly deps: ReconcileDeps;
  readonly crlDeps: PublishCrlDeps;
  readonly ocspDeps: PublishOcspDeps;
  readonly checkpointDeps: CheckpointDeps;
  readonly serviceKeys: ServiceKeys;
  readonly publicWeb: FakePublicWeb;
  readonly readinessDeps: ReadinessDeps;
  /** SHA-256 of every to-be-signed leaf that the CA key signed, by serial. */
  readonly signedBySerial: ReadonlyMap<string, ReadonlySet<string>>;
  publishCrl(): Promise<void>;
  /** The same dependencies with `around` standing around each call to a port. */
  surrounded(around: Around): ReconcileDeps;
  /** Everything that code under test acts with, `around` standing around each call to a port; those of `sign` too. */
  through(around: Around): Ports;
  expireLeases(): Promise<void>;
  /** Keeps the whole state; the function it answers puts it back. */
  save(): Promise<() => Promise<void>>;
  close(): Promise<void>;
}

/** What functions and commands are made from. */
export type Ports = Pick<
  World,
  | 'clock'
  | 'log'
  | 'random'
  | 'keyProving'
  | 'deps'
  | 'crlDeps'
  | 'ocspDeps'
  | 'checkpointDeps'
  | 'readinessDeps'
  | 'publicWeb'
  | 'signing'
> & {
  readonly ledger: Ledger;
  readonly directory: Directory;
  readonly gmail: Gmail;
  readonly keyService: KeyService;
  readonly keyRewrapping: KeyRewrapping;
  readonly bus: Bus;
  readonly bucket: Bucket;
  readonly secrets: Secrets;
  readonly deadLetters: DeadLetters;
};

export interface WorldOptions {
  /** OCSP address of the issuer; none unless given. */
  readonly ocspUrl?: string;
  /** Whether the issuer's addresses were found right. Default true. */
  readonly ready?: boolean;
  /** Whether there is a CA. Default true. */
  readonly ca?: boolean;
  /**
   * `pglite` (default): the real one. `memory`: in maps, a hundred times as fast, without SQL behind it. `twins`: the real
   * one, which throws wherever the one in memory would have answered something else.
   */
  readonly ledger?: 'pglite' | 'memory' | 'twins';
  /** Rows in memory of the caller's, instead of a kind of ledger. */
  readonly rows?: { readonly memory: MemoryDatabase; readonly randomId: () => string };
}

/** A company with a CA and a published CRL, and nobody in it. */
export async function createWorld(
  { authority, pool }: Materials,
  options: WorldOptions = {},
): Promise<World> {
  const { ocspUrl, ready = true, ca = true } = options;
  const clock = manualClock(START);
  const { ledger, database, wishStates, saveRows, expireAll } = await ledgerFor(clock, options);
  const directory = fakeDirectory(clock);
  const gmail = fakeGmail(directory, clock);
  const keyService = fakeKeyService();
  const bus = keptBus();
  const bucket = fakeBucket();
  const secrets = fakeSecrets();
  const log = keptLog();
  secrets.put(KEY_VERSION, authority.issuing.pkcs8Der);
  const caKeys = isInMemory(options)
    ? promptCaKeys(secrets)
    : pinnedCaKeys({ secrets, signingKeys: noSigningKeys, clock });
  const serviceKeys = secretManagerServiceKeys(secrets, clock);
  const signedBySerial = new Map<string, Set<string>>();
  const signingOver = (itsLedger: Ledger): Signing => {
    const sign = { clock, ledger: itsLedger, caKeys, serviceKeys };
    return {
      signLeaf: (serialHex) =>
        signLeafIntent({ ...sign, caKeys: witnessed(caKeys, signedBySerial) }, serialHex),
      signCrl: (issuerId, crlNumber) => signCrlIntent(sign, issuerId, crlNumber),
      signOcspSigner: (serialHex) => signOcspSignerIntent(sign, serialHex),
      signOcspBatch: async (batchId) => {
        await signOcspBatch(sign, batchId);
      },
      signAuditSigner: (serialHex) => signAuditSignerIntent(sign, serialHex),
      signCheckpoint: (number) => signCheckpointIntent(sign, number),
    };
  };
  const signing = signingOver(ledger);
  const issuer: IssuerRecord = {
    issuerId: ISSUER_ID,
    certificateDer: authority.issuing.certificateDer,
    chainDer: [authority.root.certificateDer],
    keyVersion: KEY_VERSION,
    crlUrl: CRL_URL,
    issuerUrl: ISSUER_URL,
    ...(ocspUrl === undefined ? {} : { ocspUrl }),
    state: 'active',
  };
  if (ca) await ledger.recordIssuer(issuer);
  for (const address of ca && ready ? addressesOf(issuer) : []) {
    await ledger.recordAddressCheck(ISSUER_ID, {
      ...address,
      sha256Hex: '0'.repeat(64),
      found: 'as expected',
    });
  }
  const deps: ReconcileDeps = {
    clock,
    ledger,
    directory,
    gmail,
    keyService,
    keyRewrapping: keyService,
    signing,
    bus,
    log,
    policy: POLICY,
    generateKey: pool.generateKey,
    random: seededRandom('world'),
    leaseMs: 60_000,
  };
  const crlDeps: PublishCrlDeps = { clock, ledger, signing, bucket, log };
  const ocspDeps: PublishOcspDeps = {
    clock,
    ledger,
    signing,
    secrets,
    log,
    ocspKeySecret: OCSP_KEY_SECRET,
    random: seededRandom('ocsp'),
  };
  const checkpointDeps: CheckpointDeps = {
    clock,
    ledger,
    signing,
    secrets,
    log,
    auditKeySecret: AUDIT_KEY_SECRET,
    random: seededRandom('audit'),
  };
  const publicWeb = fakePublicWeb({
    bucket,
    ...(ocspUrl === undefined ? {} : { ocspUrl }),
    respond: ocspResponder({ clock, answers: ledger, log }),
  });
  for (const [url, contentType, body] of [
    [ISSUER_URL, 'application/pkix-cert', authority.issuing.certificateDer],
    [ROOT_URL, 'application/pkix-cert', authority.root.certificateDer],
    [ROOT_CRL_URL, 'application/pkix-crl', authority.root.crlDer],
  ] as const) {
    publicWeb.put(url, { status: 200, contentType, body });
  }
  const readinessDeps: ReadinessDeps = { clock, ledger, publicWeb, log };
  const publish = async () => {
    await publishCrl(crlDeps, issuer, { eventId: 'test', event: 'schedule' });
  };
  if (ca) await publish();
  const deadLetters = keptDeadLetters();
  const keyProving: KeyProving = {
    decryptSample: async () => {
      throw permanent('key-service-refused', 'No admin may.', { details: { httpStatus: 403 } });
    },
  };
  const surrounded: World['surrounded'] = (around) => ({
    ...deps,
    ledger: surround('ledger', ledger, around),
    directory: surround('directory', directory, around),
    gmail: surround('gmail', gmail, around),
    keyService: surround('keyService', keyService, around),
    keyRewrapping: surround('keyService', keyService, around),
    signing: surround('signing', signing, around),
    bus: surround('bus', bus, around),
    generateKey: surround('keys', { generateKey: deps.generateKey }, around).generateKey,
  });
  return {
    clock,
    database,
    wishStates,
    ledger,
    directory,
    gmail,
    keyService,
    keyRewrapping: keyService,
    bus,
    deadLetters,
    bucket,
    secrets,
    caKeys,
    signing,
    log,
    issuer,
    authority,
    pool,
    keyProving,
    random: deps.random,
    deps,
    crlDeps,
    ocspDeps,
    checkpointDeps,
    serviceKeys,
    publicWeb,
    readinessDeps,
    signedBySerial,
    publishCrl: publish,
    surrounded,
    through: (around) => {
      const outer = surrounded(around);
      const inner = surround('signing', signingOver(outer.ledger), around);
      const parts = {
        ledger: outer.ledger,
        signing: inner,
        bucket: surround('bucket', bucket, around),
        secrets: surround('secrets', secrets, around),
      };
      return {
        ...outer,
        ...parts,
        ...{ clock, log },
        ...{ keyProving, publicWeb, deadLetters: surround('deadLetters', deadLetters, around) },
        deps: { ...outer, signing: inner },
        crlDeps: { ...crlDeps, ...parts },
        ocspDeps: { ...ocspDeps, ...parts },
        checkpointDeps: { ...checkpointDeps, ...parts },
        readinessDeps: { ...readinessDeps, ledger: outer.ledger },
      };
    },
    expireLeases: expireAll,
    save: async () => {
      const at = clock.now();
      const rows = await saveRows();
      const others = [directory, gmail, bucket, secrets, bus, deadLetters, pool].map((fake) => fake.save());
      return async () => {
        clock.set(at);
        for (const restore of others) restore();
        await rows();
      };
    },
    close: () => ledger.close(),
  };
}

const isInMemory = ({ ledger, rows }: WorldOptions): boolean => ledger === 'memory' || rows !== undefined;

interface LedgerOfWorld {
  readonly ledger: Ledger;
  readonly database: Database;
  readonly wishStates: World['wishStates'];
  readonly saveRows: () => Promise<() => Promise<void>>;
  readonly expireAll: () => Promise<void>;
}

async function ledgerFor(
  clock: ManualClock,
  { ledger: kind = 'pglite', rows }: WorldOptions,
): Promise<LedgerOfWorld> {
  const memory = rows?.memory ?? memoryDatabase();
  if (isInMemory({ ledger: kind, ...(rows === undefined ? {} : { rows }) })) {
    return {
      ledger: memory.open({ clock, ...(rows === undefined ? {} : { randomId: rows.randomId }) }),
      database: noDatabase,
      wishStates: async (userId) =>
        [...memory.look().wishes.values()]
          .flatMap((wish) => (wish.userId === userId ? wish.state : []))
          .sort(),
      saveRows: async () => {
        const restore = memory.save();
        return async () => restore();
      },
      expireAll: async () => memory.expireLeases(),
    };
  }
  const database = await openTestDatabase();
  const counted = () => {
    let last = 0;
    return () => {
      last += 1;
      return `id-${String(last).padStart(6, '0')}`;
    };
  };
  const real = createLedger({ database, clock, ...(kind === 'twins' ? { randomId: counted() } : {}) });
  return {
    ledger: kind === 'twins' ? twinLedger(real, memory.open({ clock, randomId: counted() })) : real,
    database,
    wishStates: async (userId) =>
      (
        await database.query<{ state: string }>(
          'SELECT state FROM wishes WHERE user_id = $1 ORDER BY state',
          [userId],
        )
      ).map(({ state }) => state),
    saveRows: () => copyRows(database),
    expireAll: async () => {
      memory.expireLeases();
      await expireLeases(database);
    },
  };
}

const nothingThere = async (): Promise<never> => {
  throw new Error('There is no database behind a ledger in memory.');
};
export const noDatabase: Database = {
  query: nothingThere,
  transaction: nothingThere,
  bytes: nothingThere,
  close: async () => undefined,
};

/** The same keys, with a witness of what they sign. */
function witnessed(caKeys: CaKeys, seen: Map<string, Set<string>>): CaKeys {
  return {
    signerOf: async (issuer) => {
      const signer = await caKeys.signerOf(issuer);
      return {
        ...signer,
        sign: (tbsDer, verification) => {
          const { serialHex } = readTbsCertificate(tbsDer);
          const digests = seen.get(serialHex) ?? new Set<string>();
          seen.set(serialHex, digests.add(createHash('sha256').update(tbsDer).digest('hex')));
          return signer.sign(tbsDer, verification);
        },
      };
    },
  };
}
