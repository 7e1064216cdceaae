import { recordedPartsInLedger } from '../../../../shared/domain/recorded.ts';
import type { IssuerRecord } from '../../../../shared/domain/records.ts';
import { permanent } from '../../../../shared/errors.ts';
import type { CrlListing } from '../../../../shared/ports/ledger/audit-chains.ts';
import type { CrlLedger } from '../../../../shared/ports/ledger/crls.ts';
import type {
  AuditEntry,
  CrlIntent,
  CrlRecord,
  KnownAddresses,
  Ledger,
  StoredCrl,
} from '../../../../shared/ports/ledger.ts';
import { insertAudit } from './audit.ts';
import { holdLease, issuerSubject } from './leases.ts';
import { byText, type CrlRow, type Memory, present } from './rows.ts';

function recordIssuer({ rows, clock }: Memory, issuer: IssuerRecord): void {
  const { issuers, issuerRecordedAt } = rows.now;
  const known = issuers.get(issuer.issuerId);
  if (known !== undefined && Buffer.compare(known.certificateDer, issuer.certificateDer) !== 0)
    throw permanent(
      'conflict',
      `The issuer ${issuer.issuerId} is in the ledger with another certificate: give the new certificate an issuer id of its own.`,
    );
  const isAnotherActive = [...issuers.values()].some(
    ({ issuerId, state }) => state === 'active' && issuerId !== issuer.issuerId,
  );
  if (issuer.state === 'active' && isAnotherActive)
    throw permanent(
      'conflict',
      `Another issuer than ${issuer.issuerId} is active: record that one as retiring first.`,
    );
  const order = ['prepared', 'active', 'retiring', 'retired'];
  if (known !== undefined && order.indexOf(issuer.state) < order.indexOf(known.state))
    throw permanent('conflict', `The ledger refuses a change: issuer ${issuer.issuerId} is ${known.state}.`);
  issuers.set(issuer.issuerId, { ...issuer });
  if (known === undefined) issuerRecordedAt.set(issuer.issuerId, clock.now());
}

function activateIssuer(
  memory: Memory,
  issuerId: string,
  audit: Parameters<Ledger['activateIssuer']>[1],
): { retiring?: string } {
  const { issuers } = memory.rows.now;
  const issuer = issuers.get(issuerId);
  if (issuer?.state === 'active') return {};
  if (issuer?.state !== 'prepared')
    throw permanent(
      'conflict',
      `The issuer ${issuerId} is ${issuer?.state ?? 'not in the ledger'}, and only a prepared one can become active.`,
    );
  const before = [...issuers.values()].find(({ state }) => state === 'active');
  if (before !== undefined) issuers.set(before.issuerId, { ...before, state: 'retiring' });
  issuers.set(issuerId, { ...issuer, state: 'active' });
  const done = before === undefined ? {} : { retiring: before.issuerId };
  if (audit !== undefined) insertAudit(memory, audit(done));
  return done;
}

function holdings({ rows, clock }: Memory, issuerId: string): Awaited<ReturnType<Ledger['issuerHoldings']>> {
  const { leaves, revocations, lastEntries } = rows.now;
  const now = clock.now();
  const ours = [...leaves.values()].filter((leaf) => leaf.issuerId === issuerId);
  const byEnd = ours.toSorted((left, right) => right.notAfter.getTime() - left.notAfter.getTime());
  return present({
    live: ours.filter(({ notAfter }) => notAfter >= now).length,
    unlisted: ours.filter(
      ({ serialHex, notAfter }) =>
        notAfter < now && revocations.has(serialHex) && !lastEntries.has(serialHex),
    ).length,
    lastNotAfter: byEnd[0]?.notAfter,
    sampleDer: byEnd.find(
      ({ leafDer, notBefore, notAfter, serialHex }) =>
        leafDer !== undefined && notBefore <= now && notAfter >= now && !revocations.has(serialHex),
    )?.leafDer,
  }) as Awaited<ReturnType<Ledger['issuerHoldings']>>;
}

function holdersUnder({ rows, clock }: Memory, issuerId: string): readonly string[] {
  const { leaves, keys, revocations } = rows.now;
  const purposeOf = (keyId: string) => keys.get(keyId)?.purpose;
  const gmail = [...leaves.values()].filter(({ holder }) => holder !== 'device');
  const holders = gmail.filter(
    (leaf, index) =>
      leaf.issuerId === issuerId &&
      leaf.notAfter >= clock.now() &&
      !revocations.has(leaf.serialHex) &&
      !gmail
        .slice(index + 1)
        .some(
          (newer) =>
            newer.userId === leaf.userId &&
            newer.leafDer !== undefined &&
            purposeOf(newer.keyId) === purposeOf(leaf.keyId),
        ),
  );
  return [...new Set(holders.map(({ userId }) => userId))].toSorted(byText);
}

function retireIssuer(memory: Memory, issuerId: string, audit?: AuditEntry, isRevoked = false): boolean {
  const { issuers, leaves, revocations, lastEntries } = memory.rows.now;
  const issuer = issuers.get(issuerId);
  const unlisted = [...leaves.values()].some(
    (leaf) =>
      leaf.issuerId === issuerId && revocations.has(leaf.serialHex) && !lastEntries.has(leaf.serialHex),
  );
  const isOver = issuer?.state === 'retiring' && holdings(memory, issuerId).live === 0 && !unlisted;
  const isGivenUp = isRevoked && (issuer?.state === 'prepared' || issuer?.state === 'retiring');
  if (issuer !== undefined && (isOver || isGivenUp)) {
    issuers.set(issuerId, { ...issuer, state: 'retired' });
    if (audit !== undefined) insertAudit(memory, audit);
  }
  return issuers.get(issuerId)?.state === 'retired';
}

const addresses = ({ rows, clock }: Memory): Pick<Ledger, 'issuerAddresses' | 'recordAddressCheck'> => ({
  issuerAddresses: async (issuerId) => rows.now.issuerAddresses.get(issuerId) ?? [],
  recordAddressCheck: async (issuerId, check) => {
    const now = clock.now();
    const known = rows.now.issuerAddresses.get(issuerId) ?? [];
    const { kind, url } = check;
    const before = known.find((row) => row.kind === kind && row.url === url) ?? { kind, url };
    const after =
      'failure' in check
        ? { ...before, failedAt: now, failure: check.failure }
        : {
            ...before,
            verifiedAt: ('verifiedAt' in before ? before.verifiedAt : undefined) ?? now,
            seenAt: now,
            sha256Hex: check.sha256Hex,
            found: check.found,
          };
    rows.now.issuerAddresses.set(
      issuerId,
      [...known.filter((row) => row !== before), after].toSorted(
        (left, right) => byText(left.kind, right.kind) || byText(left.url, right.url),
      ),
    );
  },
});

export const issuers = (
  memory: Memory,
): ReturnType<typeof addresses> &
  Pick<
    Ledger,
    | 'recordIssuer'
    | 'activeIssuer'
    | 'issuerToUse'
    | 'readIssuer'
    | 'issuers'
    | 'issuerStates'
    | 'activateIssuer'
    | 'retireIssuer'
    | 'issuerHoldings'
    | 'holdersUnder'
    | 'recordIssuerRequest'
    | 'readIssuerRequest'
    | 'openIssuerRequests'
    | 'latestInstant'
  > => ({
  ...addresses(memory),
  recordIssuer: async (issuer) => recordIssuer(memory, issuer),
  activeIssuer: async () => [...memory.rows.now.issuers.values()].find(({ state }) => state === 'active'),
  issuerToUse: async () => {
    const { issuers: all, crls: lists, issuerAddresses } = memory.rows.now;
    const issuer = [...all.values()].find(({ state }) => state === 'active');
    if (issuer === undefined) return undefined;
    const published = (lists.get(issuer.issuerId) ?? []).filter(({ state }) => state === 'published').at(-1);
    const crl = published === undefined ? undefined : withoutBytes(published);
    const known = issuerAddresses.get(issuer.issuerId) ?? [];
    return {
      issuer,
      ...(crl === undefined ? {} : { crl }),
      issuerAddresses: known.map(({ kind, url, verifiedAt, failure }) =>
        present({ kind, url, verifiedAt, failure }),
      ) as KnownAddresses,
    };
  },
  readIssuer: async (issuerId) => memory.rows.now.issuers.get(issuerId),
  issuerStates: async () =>
    new Map([...memory.rows.now.issuers.values()].map(({ issuerId, state }) => [issuerId, state])),
  issuers: async () => {
    const recorded = (issuerId: string) => memory.rows.now.issuerRecordedAt.get(issuerId)?.getTime() ?? 0;
    return [...memory.rows.now.issuers.values()].toSorted(
      (left, right) =>
        recorded(left.issuerId) - recorded(right.issuerId) || byText(left.issuerId, right.issuerId),
    );
  },
  activateIssuer: async (issuerId, audit) => activateIssuer(memory, issuerId, audit),
  retireIssuer: async (issuerId, audit, options) => retireIssuer(memory, issuerId, audit, options?.isRevoked),
  issuerHoldings: async (issuerId) => holdings(memory, issuerId),
  holdersUnder: async (issuerId) => holdersUnder(memory, issuerId),
  recordIssuerRequest: async (request) => {
    memory.rows.now.issuerRequests.set(request.spkiSha256Hex, {
      ...request,
      requestedAt: memory.clock.now(),
    });
  },
  readIssuerRequest: async (spkiSha256Hex) => memory.rows.now.issuerRequests.get(spkiSha256Hex),
  openIssuerRequests: async () => {
    const used = new Set([...memory.rows.now.issuers.values()].map(({ keyVersion }) => keyVersion));
    return [...memory.rows.now.issuerRequests.values()]
      .filter(({ keyVersion }) => !used.has(keyVersion))
      .toSorted(
        (left, right) =>
          left.requestedAt.getTime() - right.requestedAt.getTime() ||
          byText(left.spkiSha256Hex, right.spkiSha256Hex),
      );
  },
  latestInstant: async () => {
    const { crls: lists, audit, leaves, issuerRecordedAt } = memory.rows.now;
    const instants = [
      ...[...lists.values()].flat().map(({ thisUpdate }) => thisUpdate),
      ...audit.map(({ at }) => at),
      ...[...leaves.values()].map(({ intendedAt }) => intendedAt),
      ...issuerRecordedAt.values(),
    ];
    return instants.toSorted((left, right) => right.getTime() - left.getTime())[0];
  },
});

const noSuchCrl = (issuerId: string, crlNumber: bigint) =>
  permanent('intent-mismatch', `The ledger has no intent for CRL ${crlNumber} of issuer ${issuerId}.`, {
    details: { issuerId, crlNumber: String(crlNumber) },
  });

function replaceCrl({ rows }: Memory, crl: CrlRow): void {
  const known = rows.now.crls.get(crl.issuerId) ?? [];
  rows.now.crls.set(
    crl.issuerId,
    known.map((one) => (one.crlNumber === crl.crlNumber ? crl : one)),
  );
}

function recordCrlIntent({ rows }: Memory, intent: Omit<CrlIntent, 'text'>, tbsDer: Uint8Array): void {
  const known = rows.now.crls.get(intent.issuerId) ?? [];
  const highest = known.at(-1)?.crlNumber ?? 0n;
  if (intent.crlNumber <= highest)
    throw permanent(
      'conflict',
      `The ledger refuses a change: CRL ${intent.crlNumber} is not above ${highest}.`,
    );
  const { issuerId, crlNumber, thisUpdate, nextUpdate } = intent;
  const crl: CrlRow = { issuerId, crlNumber, thisUpdate, nextUpdate, tbsDer, state: 'intended' };
  rows.now.crls.set(issuerId, [...known, crl]);
}

type Listed = (serialsHex: readonly string[]) => Promise<readonly string[]>;

async function recordPublishedCrl(
  memory: Memory,
  known: CrlRow,
  published: readonly CrlRow[],
  listed: Listed,
  audit: AuditEntry | undefined,
): Promise<void> {
  if (known.isFinished === true) return;
  if (known.state === 'intended')
    throw permanent(
      'intent-mismatch',
      `CRL ${known.crlNumber} of issuer ${known.issuerId} is not signed, so it cannot have been published.`,
      { details: { issuerId: known.issuerId, crlNumber: String(known.crlNumber) } },
    );
  if (published.some(({ crlNumber }) => crlNumber > known.crlNumber))
    throw permanent('conflict', 'The ledger refuses a change: a later CRL is published already.');
  if (published.some(({ crlNumber, isFinished }) => crlNumber < known.crlNumber && isFinished !== true))
    throw permanent('conflict', 'The ledger refuses a change: the CRL before is not finished.');
  if (known.state === 'signed') {
    replaceCrl(memory, { ...known, state: 'published', publishedAt: memory.clock.now() });
    if (audit !== undefined) insertAudit(memory, audit);
  }
  const publishedAt = known.publishedAt ?? memory.clock.now();
  await takeListed(memory, known, listed);
  replaceCrl(memory, { ...known, state: 'published', publishedAt, isFinished: true });
}

async function takeListed({ rows }: Memory, crl: CrlRow, listed: Listed): Promise<void> {
  const revoked = () =>
    [...rows.now.leaves.values()]
      .filter((leaf) => leaf.issuerId === crl.issuerId && rows.now.revocations.has(leaf.serialHex))
      .toSorted((left, right) => byText(left.serialHex, right.serialHex));
  const serialsOf = (leaves: ReturnType<typeof revoked>) => leaves.map(({ serialHex }) => serialHex);
  const candidates = serialsOf(revoked().filter(({ serialHex }) => !rows.now.listed.has(serialHex)));
  for (const serialHex of await listed(candidates)) rows.now.listed.set(serialHex, crl.crlNumber);
  const ended = serialsOf(revoked().filter(({ notAfter }) => notAfter < crl.thisUpdate));
  for (const serialHex of await listed(ended)) rows.now.lastEntries.add(serialHex);
}

function crlListings({ rows }: Memory, serialsHex: readonly string[]): readonly CrlListing[] {
  const { leaves, revocations, listed, crls: all } = rows.now;
  return [...new Set(serialsHex)].toSorted(byText).flatMap((serialHex) => {
    const leaf = leaves.get(serialHex);
    const revocation = revocations.get(serialHex);
    if (leaf === undefined || revocation === undefined) return [];
    const first = (all.get(leaf.issuerId) ?? []).find(({ crlNumber }) => crlNumber === listed.get(serialHex));
    const { crlNumber, publishedAt } = first ?? {};
    const listing = { serialHex, issuerId: leaf.issuerId, revokedAt: revocation.revokedAt };
    return crlNumber === undefined || publishedAt === undefined
      ? [listing]
      : [{ ...listing, crl: { crlNumber, publishedAt } }];
  });
}

function withoutBytes(crl: CrlRow): CrlRecord {
  const { issuerId, crlNumber, thisUpdate, nextUpdate, state } = crl;
  return { issuerId, crlNumber, thisUpdate, nextUpdate, state };
}

async function* inParts(tbsDer: Uint8Array): AsyncGenerator<Uint8Array> {
  yield tbsDer.subarray(0, 1000);
  if (tbsDer.length > 1000) yield tbsDer.subarray(1000);
}

function stored(crl: CrlRow | undefined): StoredCrl | undefined {
  const { tbsDer } = crl ?? {};
  if (crl === undefined || tbsDer === undefined) return undefined;
  return {
    ...withoutBytes(crl),
    tbsParts: () => recordedPartsInLedger(inParts(tbsDer)),
    ...(crl.endDer === undefined ? {} : { endDer: crl.endDer }),
  };
}

export const crls = (memory: Memory): Omit<CrlLedger, 'revokedLeaves'> & Pick<Ledger, 'crlListings'> => {
  const all = (issuerId: string) => memory.rows.now.crls.get(issuerId) ?? [];
  const published = (issuerId: string) => all(issuerId).filter(({ state }) => state === 'published');
  const find = (issuerId: string, crlNumber: bigint) =>
    all(issuerId).find((crl) => crl.crlNumber === crlNumber);
  return {
    hasUnlistedRevocations: async (issuerId) => {
      const { leaves, revocations, listed } = memory.rows.now;
      return [...revocations.keys()].some(
        (serialHex) => leaves.get(serialHex)?.issuerId === issuerId && !listed.has(serialHex),
      );
    },
    crlListings: async (serialsHex) => crlListings(memory, serialsHex),
    latestCrl: async (issuerId) => all(issuerId).map(withoutBytes).at(-1),
    latestPublishedCrl: async (issuerId) => published(issuerId).map(withoutBytes).at(-1),
    publicationToFinish: async (issuerId) =>
      published(issuerId).find(({ isFinished }) => isFinished !== true)?.crlNumber,
    readCrl: async (issuerId, crlNumber) => stored(find(issuerId, crlNumber)),
    recordCrlIntent: async (lease, intent) => {
      const blocks: Uint8Array[] = [];
      for await (const block of intent.text.blocks) blocks.push(Uint8Array.from(block));
      const { head, tail } = intent.text.around();
      holdLease(memory, lease, issuerSubject(intent.issuerId));
      recordCrlIntent(memory, intent, new Uint8Array(Buffer.concat([head, ...blocks, tail])));
    },
    recordSignedCrl: async (issuerId, crlNumber, endDer) => {
      const known = find(issuerId, crlNumber);
      if (known === undefined) throw noSuchCrl(issuerId, crlNumber);
      if (known.state === 'intended') replaceCrl(memory, { ...known, state: 'signed', endDer });
      else if (Buffer.compare(known.endDer ?? Buffer.of(), endDer) !== 0)
        throw permanent(
          'intent-mismatch',
          `Another CRL ${crlNumber} of issuer ${issuerId} is in the ledger already; the first one stays.`,
          { details: { issuerId, crlNumber: String(crlNumber) } },
        );
    },
    recordPublishedCrl: async (lease, issuerId, crlNumber, listed, audit) => {
      holdLease(memory, lease, issuerSubject(issuerId));
      const known = find(issuerId, crlNumber);
      if (known === undefined) throw noSuchCrl(issuerId, crlNumber);
      await recordPublishedCrl(memory, known, published(issuerId), listed, audit);
    },
    pruneCrls: async (lease, issuerId) => {
      holdLease(memory, lease, issuerSubject(issuerId));
      const latest = published(issuerId).at(-1)?.crlNumber ?? 0n;
      const now = memory.clock.now();
      const ended = all(issuerId).filter(
        (crl) => crl.tbsDer !== undefined && crl.crlNumber < latest && crl.nextUpdate < now,
      );
      for (const { tbsDer: _gone, ...rest } of ended) replaceCrl(memory, rest);
      return ended.length;
    },
  };
};
