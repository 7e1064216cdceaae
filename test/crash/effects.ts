/**
 * What code under test can do to the world: every method of every port, the reads taken out. A method that is new counts as one
 * that changes something, until it stands among the reads or a workflow of the crash campaign does it.
 */
import type { Bucket } from '../../shared/ports/bucket.ts';
import type { Bus } from '../../shared/ports/bus.ts';
import type { DeadLetters } from '../../shared/ports/dead-letters.ts';
import type { Directory } from '../../shared/ports/directory.ts';
import type { Gmail } from '../../shared/ports/gmail.ts';
import type { KeyRewrapping } from '../../shared/ports/key-rewrapping.ts';
import type { KeyService } from '../../shared/ports/key-service.ts';
import type { Ledger } from '../../shared/ports/ledger.ts';
import type { Secrets } from '../../shared/ports/secrets.ts';
import type { Signing } from '../../shared/ports/signing.ts';
import type { PortCall } from '../support/fakes/calls.ts';

/** Calls of the ledger that change nothing anybody could find later. */
const LEDGER_READS: ReadonlySet<string> = new Set<keyof Ledger>([
  ...([
    'readUser',
    'readUsers',
    'users',
    'dueUsers',
    'dueBy',
    'userIdOfAddress',
    'userIdsOfAddress',
  ] as const),
  ...([
    'addressHistory',
    'latestHolders',
    'liveLeavesNaming',
    'otherHolderOfKey',
    'knownPublicKeys',
  ] as const),
  ...([
    'readBlockedKey',
    'readLeafIntent',
    'readLeafToSign',
    'crlListings',
    'revokedLeaves',
    'countCardKeys',
  ] as const),
  ...(['activeIssuer', 'issuerToUse', 'readIssuer', 'issuers'] as const),
  ...(['issuerStates', 'issuerHoldings', 'holdersUnder', 'liveHolders', 'usersTakenFromByJobs'] as const),
  ...(['issuerAddresses', 'readIssuerRequest', 'openIssuerRequests', 'latestInstant'] as const),
  ...([
    'latestCrl',
    'readCrl',
    'latestPublishedCrl',
    'hasUnlistedRevocations',
    'publicationToFinish',
  ] as const),
  ...(['ocspIssuers', 'ocspSigners', 'ocspSubjects', 'oldestOcspAnswer', 'readOcspAnswer'] as const),
  ...(['readOcspBatch', 'readOcspSigner', 'readOcspSubjects', 'readLeafStatus'] as const),
  ...([
    'auditTrail',
    'auditEntriesOfStep',
    'auditEnds',
    'auditHeads',
    'settledAuditEntry',
    'auditSigners',
  ] as const),
  ...(['readAuditSigner', 'checkpoints', 'latestCheckpoint', 'readCheckpoint'] as const),
  ...(['readJob', 'readDeviceKey', 'readImport', 'readKeypairRequest'] as const),
  ...([
    'keypairRequests',
    'mailEpochs',
    'tiedEpochs',
    'keyMovesWanted',
    'keysToProve',
    'keysToRewrap',
  ] as const),
  ...(['newerWrappedKey', 'countWrappedKeys', 'countImportedKeys', 'currentStop'] as const),
  ...(['departuresSince', 'coveredByUnit', 'heldSets', 'readHeldSet', 'latestPolicyActivation'] as const),
  ...(['keysOfDeleted', 'readErasure', 'erasures', 'erasedKeys'] as const),
  ...([
    'policyFollowing',
    'sweepOverview',
    'sweptUsers',
    'atOneMoment',
    'seenBySweep',
    'membersOfSweep',
  ] as const),
  ...([
    'unseenSince',
    'readyUsersNotSightedSince',
    'passedOver',
    'putOffHints',
    'nextWave',
    'wavesLately',
  ] as const),
  ...(['rolloutOverview', 'backlog', 'channels', 'readChannel', 'strayChannels', 'sources'] as const),
  ...(['oddities', 'reportsReading', 'arrivedEntries', 'followedEntries'] as const),
  // A lease that nobody gave back runs out by itself.
  ...(['acquireLease', 'renewLease', 'renewHeedingStop', 'releaseLease', 'close'] as const),
]);

type Changes<Port, Reads extends keyof Port> = Readonly<Record<Exclude<keyof Port, Reads>, true>>;

/** The compiler names a method that is missing here. */
const CHANGES = {
  gmail: {
    createKeypair: true,
    enableKeypair: true,
    disableKeypair: true,
    obliterateKeypair: true,
    createIdentity: true,
    patchIdentity: true,
    deleteIdentity: true,
  } satisfies Changes<Gmail, 'listKeypairs' | 'listIdentities'>,
  directory: { watch: true, stopChannel: true } satisfies Changes<
    Directory,
    | ('presence' | 'resolve' | 'usersUnder' | 'orgUnits')
    | (
        | 'group'
        | 'groups'
        | 'isMember'
        | 'groupMembers'
        | 'membersPage'
        | 'livingPage'
        | 'fullPage'
        | 'deletedPage'
      )
  >,
  keyService: { wrapPrivateKey: true, rewrapPrivateKey: true } satisfies Changes<
    KeyService & KeyRewrapping,
    never
  >,
  signing: {
    signLeaf: true,
    signCrl: true,
    signOcspSigner: true,
    signOcspBatch: true,
    signAuditSigner: true,
    signCheckpoint: true,
  } satisfies Changes<Signing, never>,
  bus: { publishHint: true, publishHints: true, requestCrl: true } satisfies Changes<Bus, never>,
  bucket: { write: true } satisfies Changes<Bucket, 'read' | 'readParts'>,
  secrets: { add: true } satisfies Changes<Secrets, 'read' | 'listVersions'>,
  deadLetters: { settle: true, republish: true } satisfies Changes<DeadLetters, 'look' | 'find'>,
} as const;

/** True for a call after which something is other than before it. */
export const changesSomething = ({ port, method }: Pick<PortCall, 'port' | 'method'>): boolean =>
  port === 'ledger'
    ? !LEDGER_READS.has(method)
    : Object.hasOwn(CHANGES, port) && Object.hasOwn(CHANGES[port as keyof typeof CHANGES], method);

/** `port.method` of all of them; of the ledger's methods those that the real one has. */
export const effectsOf = (ledger: Ledger): readonly string[] => [
  ...Object.keys(ledger)
    .filter((method) => !LEDGER_READS.has(method))
    .map((method) => `ledger.${method}`),
  ...Object.entries(CHANGES).flatMap(([port, methods]) =>
    Object.keys(methods).map((method) => `${port}.${method}`),
  ),
];

export interface Coverage {
  /** Everything that is to be done by some workflow or to stand alone. */
  readonly all: readonly string[];
  readonly done: ReadonlySet<string>;
  /** With the reason, in words. */
  readonly alone: Readonly<Record<string, string>>;
}

/** What nothing exercises, and what is excused although something does or although it is no more. */
export const gapsOf = ({ all, done, alone }: Coverage) => ({
  missing: all.filter((name) => !done.has(name) && !Object.hasOwn(alone, name)),
  excusedForNothing: Object.keys(alone).filter((name) => done.has(name) || !all.includes(name)),
});
