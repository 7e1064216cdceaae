/** Uses, once each, the methods of a ledger that its contract leaves to other tests, for whoever wants to see their statements. */
import { REPORTS_SUBJECT } from '../../shared/ports/ledger/reports.ts';
import { SWEEP_SUBJECT } from '../../shared/ports/ledger/sweeps.ts';
import type { Lease, Ledger } from '../../shared/ports/ledger.ts';

const NOW = new Date('2027-03-01T09:00:00Z');
const LATER = new Date('2027-03-01T10:00:00Z');
const BY = 'admin@acme.example';
const URL = 'https://k/v1';
const SERIAL = '0a01';
/** A blob as ours begin (shared/kacls/sealing.ts): magic, version, length and name of the key-encryption key. */
const BLOB = Buffer.from(`SWPK\u0001\u0005kek/1${'.'.repeat(300)}`, 'latin1').toString('base64');
const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

/** Of a ledger with the rows of `ONE_USER`. */
export async function useOtherMethods(ledger: Ledger): Promise<void> {
  const leaseOn = async (subject: string): Promise<Lease> => {
    const lease = await ledger.acquireLease(subject, 60_000);
    if (lease === undefined) throw new Error(`${subject} is held.`);
    return lease;
  };
  await readMuch(ledger);
  await ledger.recordDueHints([{ userId: '1', nextAction: 'look', occasion: NOW }]);
  await bringNews(ledger, await leaseOn(REPORTS_SUBJECT));
  await letOut(ledger, await leaseOn(SWEEP_SUBJECT));
  const user = await leaseOn('user:1');
  await ledger.recordKeypairIntent(user, SERIAL);
  await ledger.recordKeypair(user, { serialHex: SERIAL, keypairId: 'pair-1' });
  await askForKeypairs(ledger, user);
  await moveKey(ledger, user);
  await importKey(ledger, user);
  await ledger.recordUnreadable('key-1', { kekId: 'kek', reason: 'r' });
  await ledger.recordRewrapped('key-1', BLOB);
  await eraseKey(ledger, user);
  await ledger.retireIssuer('issuing-1').catch(() => false);
}

async function eraseKey(ledger: Ledger, lease: Lease): Promise<void> {
  await ledger.recordState(lease, { userId: '1', state: 'out', reason: 'r', failures: 0, deleted: true });
  const shown = await ledger.keysOfDeleted('1');
  const asked = await ledger.recordErasure({
    digest: 'e'.repeat(64),
    shown: shown.map(({ keyId, userId, spkiSha256Hex, certificates }) => ({
      ...{
        keyId,
        userId,
        certificates,
        user: BY,
        deletedSince: NOW.toISOString(),
        spkiSha256: spkiSha256Hex,
      },
    })),
    noLegalHold: 'r',
    requestedBy: BY,
  });
  const { erasureId } = asked;
  await ledger.decideErasure(erasureId, { kind: 'confirmed', by: 'other@acme.example' }, () => {});
  const audit = {
    cause: { source: 'admin', eventId: 'e', event: 'e' },
    step: 's',
    reason: 'r',
    outcome: 'done',
  } as const;
  await ledger.eraseKeys(lease, { erasureId, keyIds: shown.map(({ keyId }) => keyId), audit });
  await ledger.closeErasure(erasureId, 'd');
  await ledger.readErasure(erasureId);
  await ledger.erasures();
  await ledger.erasedKeys('1');
}

async function readMuch(ledger: Ledger): Promise<void> {
  await ledger.addressHistory({ limit: 5 });
  await ledger.auditEnds({ limit: 5 });
  await ledger.auditEnds({ afterChain: '1', limit: 5 });
  await ledger.backlog();
  await ledger.countCardKeys();
  await ledger.countImportedKeys();
  await ledger.countWrappedKeys();
  await ledger.crlListings([SERIAL]);
  await ledger.holdersUnder('issuing-1');
  await ledger.issuerHoldings('issuing-1');
  await ledger.issuerStates();
  await ledger.keysToProve({ keyServiceUrl: URL, limit: 5 });
  await ledger.keysToProve({ keyServiceUrl: URL, after: 'k', limit: 5 });
  await ledger.keysToRewrap({ keyServiceUrl: URL, kekId: 'kek', limit: 5 });
  await ledger.latestInstant();
  await ledger.liveHolders();
  await ledger.liveHolders(['1', '2']);
  await ledger.usersTakenFromByJobs(NOW);
  await ledger.mailEpochs();
  await ledger.tiedEpochs(URL, { limit: 5 });
  await ledger.tiedEpochs(URL, { after: SERIAL, limit: 5 });
  await ledger.newerWrappedKey('a'.repeat(64), 'd3JhcHBlZA==');
  await ledger.ocspIssuers();
  await ledger.openIssuerRequests();
  await ledger.otherHolderOfKey('a'.repeat(64), '2');
  await ledger.readCheckpoint(1n);
  await ledger.readIssuerRequest('none');
  await ledger.readOcspSubjects('issuing-1', [SERIAL]);
}

async function bringNews(ledger: Ledger, lease: Lease): Promise<void> {
  await ledger.recordNews({
    source: 'audit',
    entries: 1,
    happenedAt: NOW,
    alsoFrom: 'watch',
    oddities: [],
  });
  await ledger.sources();
  await ledger.oddities();
  await ledger.noteArrivals(['one']);
  await ledger.arrivedEntries(['one']);
  await ledger.followEntries(['one']);
  await ledger.followedEntries(['one']);
  const created = { source: 'audit', eventId: 'e', event: 'CREATE_USER', at: NOW } as const;
  await ledger.recordPutOff({ address: BY, cause: created });
  await ledger.putOffHints(1);
  await ledger.forgetPutOff([1n]);
  await ledger.recordPassedOver({ userId: '9', source: 'audit', event: 'CREATE_USER' });
  await ledger.passedOver({ since: NOW, limit: 1 });
  await ledger.recordReportsPosition(lease, {
    from: NOW,
    to: LATER,
    isDeep: false,
    application: 'admin',
    gaps: 0,
  });
  await ledger.reportsReading();
  await ledger.recordReportsFailure(lease, 'why');
  await ledger.recordReportsRead(lease, { through: LATER, gaps: 0, isDeep: true });
}

async function letOut(ledger: Ledger, lease: Lease): Promise<void> {
  const sweepId = await ledger.requestSweep({ scope: '/', cause: { eventId: BY, event: 'admin' } });
  await ledger.queueHints(lease, [{ userId: '1', kind: 'came-into-scope', sweepId: sweepId ?? 1n }]);
  await ledger.nextWave(5);
  await ledger.recordWave(lease, ['1']);
  await ledger.wavesLately();
  await ledger.switchRollout({ paused: true, by: BY });
  await ledger.rolloutOverview();
  await ledger.endRolloutIfDone(lease);
  await ledger.policyFollowing();
  await ledger.recordPolicyNoticed(lease, 'activation-1');
  await ledger.recordPolicyFollowed(lease, 'activation-1');
  await ledger.recordRulesJudged(lease, 'activation-1');
  const outdated = { rules: [{ name: 'staff', digest: 'd' }], activation: 'activation-1', limit: 5 };
  for (const withUnknown of [true, false])
    await ledger.queueOutdated(lease, { ...outdated, withUnknown, exceptHintedSince: NOW });
  await ledger.queueOutdated(lease, { ...outdated, withUnknown: true, exceptHintedSince: NOW, after: '0' });
}

async function askForKeypairs(ledger: Ledger, lease: Lease): Promise<void> {
  const wanted = { userId: '1', primaryEmail: 'ada@acme.example', serialHex: SERIAL, keypairId: 'pair-1' };
  const ask = { ...wanted, reason: 'r', requestedBy: BY };
  const first = await ledger.recordKeypairRequest({ ...ask, kind: 'obliterate', statement: {} });
  await ledger.decideKeypairRequest(
    first.requestId,
    { kind: 'confirmed', by: 'other@acme.example' },
    () => {},
  );
  await ledger.closeKeypairRequest(lease, { requestId: first.requestId, state: 'done', detail: 'd' });
  const second = await ledger.recordKeypairRequest({ ...ask, kind: 'disable' });
  await ledger.decideKeypairRequest(second.requestId, { kind: 'cancelled', by: BY }, () => {});
  await ledger.readKeypairRequest(second.requestId);
  await ledger.keypairRequests({ open: false });
}

async function moveKey(ledger: Ledger, lease: Lease): Promise<void> {
  await ledger.keyMovesWanted(URL, ['staff']);
  const { jobId } = await ledger.recordKeyMoveJob({
    fromUrl: URL,
    toUrl: 'https://other/v1',
    disableOld: false,
    requestedBy: BY,
    paceMs: 0,
  });
  await ledger.recordMovedForm(lease, { jobId, serialHex: SERIAL, wrappedKey: BLOB });
  await ledger.closeKeyMove(lease, { jobId, serialHex: SERIAL, state: 'moved', keypairId: 'pair-2' });
}

async function importKey(ledger: Ledger, lease: Lease): Promise<void> {
  const imported = await ledger.recordImport({
    userId: '1',
    chainDer: [bytes('certificate')],
    addresses: ['ada@acme.example'],
    notBefore: NOW,
    notAfter: LATER,
    spkiSha256Hex: 'b'.repeat(64),
    spkiDer: bytes('spki'),
    modulusBits: 2048,
    keyServiceUrl: URL,
    wrappedKey: 'b2xk',
    proof: 'proven',
    requestedBy: BY,
  });
  await ledger.readImport(imported.importId);
  await ledger.closeImport(lease, { importId: imported.importId, state: 'refused', detail: 'd' });
}
