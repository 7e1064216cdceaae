import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { ocspResponder } from '../../shared/authority/ocsp-responder.ts';
import { isOcspCurrent, OCSP_ANSWER, preSignLeaf } from '../../shared/authority/pre-sign.ts';
import { signOcspBatch, signOcspSignerIntent } from '../../shared/authority/sign-ocsp.ts';
import { withStatusAtIssue } from '../../shared/authority/status-at-issue.ts';
import { permanent } from '../../shared/errors.ts';
import { readCertificate } from '../../shared/pki/certificate.ts';
import { sequence } from '../../shared/pki/der.ts';
import { buildLeaf } from '../../shared/pki/leaf.ts';
import {
  type CERT_ID_HASHES,
  encodeCertId,
  encodeOcspAnswer,
  encodeOcspRequest,
  issuerHashes,
  responderKeyHash,
} from '../../shared/pki/ocsp.ts';
import { readOcspResponse, verifyOcspAnswer } from '../../shared/pki/ocsp-reader.ts';
import { drawSerial } from '../../shared/pki/serial.ts';
import type { ReconcileDeps } from '../../shared/reconcile/context.ts';
import { reconcile } from '../../shared/reconcile/run.ts';
import { seededRandom } from '../pki/sample-authority.ts';
import {
  CAUSE,
  createWorld,
  DAY_MS,
  HOUR_MS,
  ISSUER_ID,
  MINUTE_MS,
  makeMaterials,
  OCSP_KEY_SECRET,
  type World,
} from '../support/fakes/world.ts';
import { publishOcsp } from '../support/publish-ocsp.ts';

type Hash = (typeof CERT_ID_HASHES)[number];

const OCSP_URL = 'http://pki.acme.example/ocsp';
const ANA = '100000000000000000001';
const random = seededRandom('ocsp test');

let world: World;
let deps: ReconcileDeps;
let putBack: () => Promise<void>;
beforeAll(async () => {
  world = await createWorld(await makeMaterials(), { ocspUrl: OCSP_URL });
  deps = { ...world.deps, signing: withStatusAtIssue(world.signing, world.deps) };
  await publishOcsp(world.ocspDeps, world.issuer);
  putBack = await world.save();
});
afterAll(() => world.close());
beforeEach(async () => {
  await putBack();
  world.log.lines.length = 0;
});

/** As the world sees it: a responder without anything remembered. */
async function statusOf(serialHex: string, hash: Hash = 'sha256'): Promise<string> {
  const respond = ocspResponder({ clock: world.clock, answers: world.ledger, log: world.log });
  const hashes = issuerHashes(world.issuer.certificateDer, hash);
  const reply = await respond(encodeOcspRequest(hash, hashes, serialHex));
  if (typeof reply === 'string') return reply;
  const { basic } = readOcspResponse(reply.der);
  if (basic === undefined) throw new Error('The answer is an error.');
  expect(verifyOcspAnswer(basic, world.issuer.certificateDer)).toBe(true);
  expect(basic.data.answers[0]?.certId.serialHex).toBe(serialHex);
  return basic.data.answers[0]?.status ?? 'nothing';
}

async function join(): Promise<string> {
  world.directory.put({ userId: ANA });
  await reconcile(deps, ANA, CAUSE);
  const [leaf] = (await world.ledger.readUser(ANA)).leaves;
  if (leaf?.state !== 'signed') throw new Error('Nobody got a certificate.');
  return leaf.serialHex;
}

async function leave(): Promise<void> {
  world.directory.remove(ANA);
  await reconcile(deps, ANA, CAUSE);
}

/** A leaf that was meant and never signed. */
async function intend(): Promise<string> {
  await join();
  const lease = await world.ledger.acquireLease(`user:${ANA}`, 60_000);
  const key = (await world.ledger.readUser(ANA)).keys[0];
  if (lease === undefined || key === undefined) throw new Error('Ana has no key, or is being worked on.');
  const leaf = buildLeaf({
    issuer: world.issuer,
    spkiDer: key.spkiDer,
    addresses: ['ana@acme.example'],
    serialHex: drawSerial(random),
    now: world.clock.now(),
    validityDays: 365,
  });
  await world.ledger.recordLeafIntent(lease, { ...leaf, issuerId: ISSUER_ID, userId: ANA, keyId: key.keyId });
  return leaf.serialHex;
}

const signers = () => world.ledger.ocspSigners(ISSUER_ID);
const refresh = () => publishOcsp(world.ocspDeps, world.issuer);

describe('OCSP', () => {
  it.each(['sha1', 'sha256'] as const)(
    'says good of a leaf from the moment it is signed, asked with %s',
    async (hash) => {
      expect(await statusOf(await join(), hash)).toBe('good');
    },
  );

  it('says revoked once publish-crl has run after a revocation, with the ledger’s time and reason', async () => {
    const serialHex = await join();
    world.clock.advance(HOUR_MS);
    await leave();
    expect(await isOcspCurrent(world, world.issuer)).toBe(false);
    await refresh();
    expect(await isOcspCurrent(world, world.issuer)).toBe(true);
    expect(await statusOf(serialHex)).toBe('revoked');
    expect(await statusOf(serialHex, 'sha1')).toBe('revoked');
    const answer = await world.ledger.readOcspAnswer(ISSUER_ID, serialHex, 'sha256');
    const { basic } = readOcspResponse(answer?.answerDer ?? new Uint8Array());
    const [leaf] = (await world.ledger.readUser(ANA)).leaves;
    expect(basic?.data.answers[0]).toMatchObject({ revokedAt: leaf?.revocation?.revokedAt, reasonCode: 5 });
  });

  it('says nothing of a serial that was never issued, of another CA, or of a leaf meant and not signed', async () => {
    const intended = await intend();
    await refresh();
    expect(await statusOf(drawSerial(random))).toBe('unauthorized');
    expect(await statusOf(intended)).toBe('unauthorized');
    const respond = ocspResponder({ clock: world.clock, answers: world.ledger, log: world.log });
    const root = issuerHashes(world.authority.root.certificateDer, 'sha256');
    expect(await respond(encodeOcspRequest('sha256', root, intended))).toBe('unauthorized');
  });

  it('says revoked of a leaf that was revoked without ever having been signed', async () => {
    const serialHex = await intend();
    await world.expireLeases();
    const lease = await world.ledger.acquireLease(`user:${ANA}`, 60_000);
    if (lease === undefined) throw new Error('Ana is being worked on.');
    await world.ledger.recordRevocation(lease, { serialHex, reason: 'keyCompromise' });
    await refresh();
    expect(await statusOf(serialHex)).toBe('revoked');
  });

  it('of several certificates in one request answers the first of ours', async () => {
    const serialHex = await join();
    const hashes = issuerHashes(world.issuer.certificateDer, 'sha1');
    const one = (serial: string) => sequence(encodeCertId('sha1', hashes, serial));
    const request = sequence(sequence(sequence(one(drawSerial(random)), one(serialHex))));
    const respond = ocspResponder({ clock: world.clock, answers: world.ledger, log: world.log });
    const reply = await respond(request);
    if (typeof reply === 'string') throw new Error(reply);
    expect(readOcspResponse(reply.der).basic?.data.answers.map(({ certId }) => certId.serialHex)).toEqual([
      serialHex,
    ]);
  });

  it('never gives out an answer past its nextUpdate, and says so in the log; of an expired leaf it says nothing', async () => {
    const serialHex = await join();
    world.clock.advance(OCSP_ANSWER.validMs);
    expect(await statusOf(serialHex)).toBe('tryLater');
    expect(world.log.lines).toContainEqual(expect.objectContaining({ event: 'ocsp-answer-stale' }));
    world.clock.advance(400 * DAY_MS);
    expect(await statusOf(serialHex)).toBe('unauthorized');
  });

  it('forgets within seconds what it remembers, so that a running responder tells of a revocation too', async () => {
    const serialHex = await join();
    const respond = ocspResponder({ clock: world.clock, answers: world.ledger, log: world.log });
    const request = encodeOcspRequest(
      'sha256',
      issuerHashes(world.issuer.certificateDer, 'sha256'),
      serialHex,
    );
    const before = await respond(request);
    await leave();
    await refresh();
    expect(await respond(request)).toEqual(before);
    world.clock.advance(6_000);
    const after = await respond(request);
    if (typeof after === 'string') throw new Error(after);
    expect(readOcspResponse(after.der).basic?.data.answers[0]?.status).toBe('revoked');
  });
});

describe('OCSP answers', () => {
  it('are good for four days and made anew once they are a day and a half old, long before the 8 hours that are asked for', async () => {
    const serialHex = await join();
    const made = async () => await world.ledger.readOcspAnswer(ISSUER_ID, serialHex, 'sha1');
    const first = await made();
    world.clock.advance(35 * HOUR_MS);
    await refresh();
    expect(await made()).toEqual(first);
    world.clock.advance(2 * HOUR_MS);
    await refresh();
    const second = await made();
    expect(second?.thisUpdate.getTime()).toBeGreaterThan(first?.thisUpdate.getTime() ?? 0);
    expect((second?.nextUpdate.getTime() ?? 0) - (second?.thisUpdate.getTime() ?? 0)).toBe(96 * HOUR_MS);
    // The schedule runs every six hours: the oldest answer anybody can get.
    const leastLeftMs = OCSP_ANSWER.validMs - OCSP_ANSWER.renewAfterMs - 6 * HOUR_MS;
    expect(leastLeftMs).toBeGreaterThanOrEqual(8 * HOUR_MS);
  });

  it('that could not be made anew for half of their life are told of as an error', async () => {
    await join();
    world.clock.advance(49 * HOUR_MS);
    const stuck = { ...world.ocspDeps, signing: { ...world.signing, signOcspBatch: async () => undefined } };
    await publishOcsp(stuck, world.issuer);
    expect(world.log.lines).toContainEqual(expect.objectContaining({ event: 'ocsp-answers-old' }));
  });

  it('missing after a failure at issue are asked for, the leaf stands, and the next run signs them', async () => {
    const failing = {
      ...world.signing,
      signOcspBatch: () => Promise.reject(Object.assign(new Error('away'))),
    };
    world.directory.put({ userId: ANA });
    await expect(
      reconcile({ ...deps, signing: withStatusAtIssue(failing, world.deps) }, ANA, CAUSE),
    ).rejects.toThrow('away');
    await reconcile(deps, ANA, CAUSE);
    const [leaf] = (await world.ledger.readUser(ANA)).leaves;
    if (leaf === undefined) throw new Error('There is no leaf.');
    await refresh();
    expect(await statusOf(leaf.serialHex)).toBe('good');
  });

  it('of a batch in the middle of which somebody is revoked are made again, and say so', async () => {
    const serialHex = await join();
    world.clock.advance(OCSP_ANSWER.renewAfterMs + HOUR_MS);
    const asked: bigint[] = [];
    const signing = {
      ...world.ocspDeps.signing,
      signOcspBatch: async (batchId: bigint) => {
        asked.push(batchId);
        if (asked.length === 1) await leave();
        return await world.ocspDeps.signing.signOcspBatch(batchId);
      },
    };
    await publishOcsp({ ...world.ocspDeps, signing }, world.issuer);
    expect(asked).toHaveLength(2);
    expect(await statusOf(serialHex)).toBe('revoked');
    expect(await isOcspCurrent(world, world.issuer)).toBe(true);
  });

  it('that are refused though nobody was revoked are not made again', async () => {
    await join();
    world.clock.advance(OCSP_ANSWER.renewAfterMs + HOUR_MS);
    let asked = 0;
    const signing = {
      ...world.ocspDeps.signing,
      signOcspBatch: async () => {
        asked += 1;
        throw permanent('intent-mismatch', 'Not what the ledger says.');
      },
    };
    const publication = publishOcsp({ ...world.ocspDeps, signing }, world.issuer);
    await expect(publication).rejects.toMatchObject({ code: 'intent-mismatch' });
    expect(asked).toBe(1);
  });

  it('are forgotten a day after their certificate has ended, with what refused batches would have said', async () => {
    const serialHex = await join();
    const answers = async () =>
      (await world.database.query('SELECT 1 FROM ocsp_answers WHERE serial_hex = $1', [serialHex])).length;
    const intents = async () => (await world.database.query('SELECT 1 FROM ocsp_intents')).length;
    const signing = {
      ...world.ocspDeps.signing,
      signOcspBatch: async () => {
        throw permanent('intent-mismatch', 'Not what the ledger says.');
      },
    };
    world.clock.advance(OCSP_ANSWER.renewAfterMs + HOUR_MS);
    await expect(publishOcsp({ ...world.ocspDeps, signing }, world.issuer)).rejects.toThrow();
    expect([await answers(), await intents()]).toEqual([2, expect.toSatisfy((rows) => rows > 0)]);
    world.clock.advance(OCSP_ANSWER.renewAfterMs + HOUR_MS);
    await refresh();
    expect([await answers(), await intents()]).toEqual([2, 0]);
    world.clock.advance(400 * DAY_MS);
    await refresh();
    expect(await answers()).toBe(0);
    expect(await statusOf(serialHex)).toBe('unauthorized');
  });

  describe('of more certificates than one run has the time for', () => {
    const NAMES = ['ben', 'cleo', 'dora'];
    const idOf = (index: number) => `20000000000000000000${index}`;

    /** Three whose answers were made an hour apart, the last serial's first, when all are old. By age. */
    async function hireThree(): Promise<readonly string[]> {
      const serials: string[] = [];
      for (const [index, name] of NAMES.entries()) {
        world.directory.put({ userId: idOf(index), primaryEmail: `${name}@acme.example` });
        await reconcile(deps, idOf(index), CAUSE);
        serials.push((await world.ledger.readUser(idOf(index))).leaves[0]?.serialHex ?? '');
      }
      const byAge = serials.toSorted().toReversed();
      for (const serialHex of byAge) {
        world.clock.advance(HOUR_MS);
        await preSignLeaf(
          world.ocspDeps,
          (await world.ledger.readLeafStatus(serialHex)) ?? expect.unreachable(),
        );
      }
      world.clock.advance(OCSP_ANSWER.renewAfterMs + 6 * HOUR_MS);
      return byAge;
    }
    const isNew = async (serialHex: string) => {
      const answer = await world.ledger.readOcspAnswer(ISSUER_ID, serialHex, 'sha1');
      return world.clock.now().getTime() - (answer?.thisUpdate.getTime() ?? 0) < HOUR_MS;
    };

    it('are made anew where they are oldest, and the next run goes on with the oldest that are left', async () => {
      const leaves = await hireThree();
      const [signer] = await signers();
      const byAge = [signer?.serialHex ?? '', ...leaves];
      const hurried = { hasTime: () => false, elapsedMs: () => 0, batchSize: 1 };
      const renewed: (readonly boolean[])[] = [];
      for (const _run of byAge) {
        await publishOcsp(world.ocspDeps, world.issuer, hurried);
        renewed.push(await Promise.all(byAge.map(isNew)));
      }
      expect(renewed).toEqual([
        [true, false, false, false],
        [true, true, false, false],
        [true, true, true, false],
        [true, true, true, true],
      ]);
    });

    it('say revoked within the next batches of whoever is revoked after theirs was made anew', async () => {
      const serials = await hireThree();
      let seconds = 0;
      let leaver: string | undefined;
      const said: string[] = [];
      const signing = {
        ...world.ocspDeps.signing,
        signOcspBatch: async (batchId: bigint) => {
          const signed = await world.ocspDeps.signing.signOcspBatch(batchId);
          seconds += 3;
          if (leaver !== undefined) said.push(await statusOf(leaver));
          for (const serialHex of leaver === undefined ? serials : []) {
            if (!(await isNew(serialHex))) continue;
            leaver = serialHex;
            const userId = (await world.ledger.readLeafIntent(serialHex))?.userId ?? '';
            world.directory.remove(userId);
            await reconcile(deps, userId, CAUSE);
          }
          return signed;
        },
      };
      const elapsedMs = () => seconds * 1000;
      const time = { hasTime: () => true, elapsedMs, batchSize: 1 };
      await publishOcsp({ ...world.ocspDeps, signing }, world.issuer, time);
      // Two more certificates were to be answered after the one that left.
      expect(said).toHaveLength(3);
      expect(said[1]).toBe('revoked');
    });
  });

  it('are signed by one run at a time', async () => {
    const lease = await world.ledger.acquireLease(`job:ocsp-${ISSUER_ID}`, 60_000);
    await expect(refresh()).rejects.toMatchObject({ kind: 'retryable', code: 'lease-held' });
    await world.ledger.releaseLease(lease ?? expect.unreachable());
    await refresh();
  });
});

describe('the OCSP signer', () => {
  it('has a P-256 key that its maker put into Secret Manager, nocheck, and a certificate of two weeks', async () => {
    const [signer] = await signers();
    if (signer?.certificateDer === undefined) throw new Error('There is no signer.');
    expect(signer.keySecretVersion).toBe(`${OCSP_KEY_SECRET}/versions/1`);
    const certificate = readCertificate(signer.certificateDer);
    expect(certificate.extensions.map(({ oid }) => oid)).toContain('1.3.6.1.5.5.7.48.1.5');
    const days = (certificate.notAfter.at.getTime() - certificate.notBefore.at.getTime()) / DAY_MS;
    expect(Math.ceil(days)).toBe(14);
  });

  it('is replaced once it has a week left, and its answers say good of its own certificate', async () => {
    const [first] = await signers();
    world.clock.advance(6 * DAY_MS);
    await refresh();
    expect(await signers()).toHaveLength(1);
    world.clock.advance(1 * DAY_MS);
    await refresh();
    const [second] = await signers();
    expect(second?.serialHex).not.toBe(first?.serialHex);
    expect(await statusOf(second?.serialHex ?? '')).toBe('good');
  });

  it('that was intended and not signed is finished by the next run, under the same serial', async () => {
    world.clock.advance(8 * DAY_MS);
    const away = { ...world.signing, signOcspSigner: () => Promise.reject(new Error('away')) };
    await expect(publishOcsp({ ...world.ocspDeps, signing: away }, world.issuer)).rejects.toThrow('away');
    const [intended] = await signers();
    expect(intended?.certificateDer).toBeUndefined();
    await refresh();
    const [signed] = await signers();
    expect(signed?.serialHex).toBe(intended?.serialHex);
    expect(signed?.certificateDer).toBeDefined();
    await world.signing.signOcspSigner(signed?.serialHex ?? '');
    expect((await signers())[0]).toEqual(signed);
  });
});

describe('sign, asked for OCSP answers,', () => {
  const sign = (batchId: bigint) => signOcspBatch(world, batchId);
  /** A batch as somebody with access to the ledger could write it. */
  async function batch(
    serialHex: string,
    changes: Partial<Parameters<typeof encodeOcspAnswer>[0]>,
  ): Promise<bigint> {
    const [signer] = await signers();
    if (signer === undefined) throw new Error('There is no signer.');
    const now = world.clock.now();
    const tbsDer = encodeOcspAnswer({
      issuer: issuerHashes(world.issuer.certificateDer, 'sha256'),
      hash: 'sha256',
      responderKeyHash: responderKeyHash(signer.spkiDer),
      serialHex,
      status: { kind: 'good' },
      now,
      nextUpdate: new Date(Math.floor(now.getTime() / 1000) * 1000 + OCSP_ANSWER.validMs),
      ...changes,
    });
    return await world.ledger.recordOcspBatch({
      issuerId: ISSUER_ID,
      signerSerialHex: signer.serialHex,
      intents: [{ serialHex, hash: 'sha256', tbsDer }],
    });
  }

  it('signs what the ledger says, and asked again nothing more', async () => {
    const serialHex = await join();
    const batchId = await batch(serialHex, {});
    expect(await sign(batchId)).toBe(1);
    expect(await sign(batchId)).toBe(0);
    await expect(sign(999_999n)).rejects.toMatchObject({ code: 'not-found' });
  });

  it('refuses a batch whose intents were forgotten', async () => {
    const batchId = await batch(await join(), {});
    await world.ledger.forgetOcsp(ISSUER_ID, new Date(world.clock.now().getTime() + 1), 100);
    await expect(sign(batchId)).rejects.toMatchObject({
      code: 'intent-mismatch',
      message: expect.stringContaining('too old to be signed'),
    });
  });

  it('refuses good about somebody revoked, about a serial never signed, and another’s reason or time', async () => {
    const serialHex = await join();
    await leave();
    const [leaf] = (await world.ledger.readUser(ANA)).leaves;
    const revokedAt = leaf?.revocation?.revokedAt ?? new Date(0);
    const wrong = [
      await batch(serialHex, {}),
      await batch(drawSerial(random), {}),
      await batch(serialHex, { status: { kind: 'revoked', revokedAt, reason: 'superseded' } }),
      await batch(serialHex, {
        status: {
          kind: 'revoked',
          revokedAt: new Date(revokedAt.getTime() - DAY_MS),
          reason: 'cessationOfOperation',
        },
      }),
    ];
    for (const batchId of wrong)
      await expect(sign(batchId)).rejects.toMatchObject({ code: 'intent-mismatch' });
  });

  it('signs nothing that fails the linter: another responder, another issuer, too long a life', async () => {
    const serialHex = await join();
    const nextUpdate = new Date(world.clock.now().getTime() + 11 * DAY_MS);
    const wrong = [
      await batch(serialHex, { responderKeyHash: new Uint8Array(20) }),
      await batch(serialHex, { issuer: issuerHashes(world.authority.root.certificateDer, 'sha256') }),
      await batch(serialHex, { nextUpdate: new Date(Math.floor(nextUpdate.getTime() / 1000) * 1000) }),
      await batch(serialHex, { now: new Date(world.clock.now().getTime() - 2 * HOUR_MS) }),
    ];
    for (const batchId of wrong) await expect(sign(batchId)).rejects.toMatchObject({ code: 'lint-failed' });
  });

  it('with a signer whose secret is gone says so and signs nothing', async () => {
    const serialHex = await join();
    world.clock.advance(10 * MINUTE_MS);
    const { keySecretVersion = '' } = (await signers())[0] ?? {};
    const key = await world.secrets.read(keySecretVersion);
    world.secrets.destroy(keySecretVersion);
    await expect(sign(await batch(serialHex, {}))).rejects.toMatchObject({ code: 'secret-unreadable' });
    world.secrets.put(keySecretVersion, key);
  });

  it('for a signer whose row says something else than its bytes refuses', async () => {
    const [signer] = await signers();
    if (signer === undefined) throw new Error('There is no signer.');
    const serialHex = drawSerial(random);
    await world.ledger.recordOcspSignerIntent({ ...signer, serialHex });
    await expect(signOcspSignerIntent(world, serialHex)).rejects.toMatchObject({ code: 'intent-mismatch' });
  });

  it('for a serial without a signer to sign with is told by whoever asks', async () => {
    await expect(preSignLeaf(world.ocspDeps, { issuer: world.issuer })).rejects.toMatchObject({
      code: 'issuer-not-ready',
    });
  });
});
