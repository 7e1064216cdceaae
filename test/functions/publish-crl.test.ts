import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import {
  createPublishCrl,
  type PublishCrlFunctionDeps,
  REFRESH_UNTIL_MS,
} from '../../functions/publish-crl.ts';
import type { ReadinessDeps } from '../../shared/authority/readiness.ts';
import type { IssuerRecord } from '../../shared/domain/records.ts';
import { permanent } from '../../shared/errors.ts';
import { readCrl } from '../../shared/pki/crl-reader.ts';
import { reconcile } from '../../shared/reconcile/run.ts';
import { type Around, surround } from '../support/fakes/calls.ts';
import {
  CAUSE,
  createWorld,
  ISSUER_ID,
  MINUTE_MS,
  makeMaterials,
  type World,
} from '../support/fakes/world.ts';
import { callerHeaders, itRefusesStrangers, itVerifiesWholly, privately } from './support/callers.ts';
import { failing } from './support/failing.ts';
import { type GoogleKeys, googleKeys } from './support/google-keys.ts';
import { push } from './support/pushes.ts';
import { rewinder } from './support/rewind.ts';
import { type Answer, refusal, type Served, serveHandler } from './support/served.ts';

const ANA = '100000000000000000001';
const SECOND = 'issuing-2';
const OBJECT = 'issuing.crl';

let keys: GoogleKeys;
let world: World;
let rewind: () => Promise<void>;
let served: Served;

beforeAll(async () => {
  world = await createWorld(await makeMaterials());
  rewind = await rewinder(world);
  keys = await googleKeys(world.clock);
});
afterAll(async () => {
  await keys.close();
  await world.close();
});
/** For requests that leave nothing behind. */
const inOneWorld = (): void => {
  beforeAll(async () => {
    await rewind();
    served = await start();
  });
  afterAll(() => served.close());
};

/** For each test the world as it was at first. */
const inFreshWorlds = (): void => {
  beforeEach(async () => {
    await rewind();
    served = await start();
  });
  afterEach(() => served.close());
};

function start(
  around: Around = (_call, perform) => perform(),
  more: Partial<PublishCrlFunctionDeps> = {},
): Promise<Served> {
  const { crlDeps, clock, log } = world;
  const deps = {
    ...crlDeps,
    ...privately(keys, clock),
    ledger: surround('ledger', world.ledger, around),
    signing: surround('signing', world.signing, around),
    bucket: surround('bucket', world.bucket, around),
    readiness: world.readinessDeps,
    ocsp: { ...world.ocspDeps, ledger: surround('ledger', world.ledger, around) },
    ...more,
  };
  return serveHandler(createPublishCrl(deps), log);
}

const send = async (body: string | undefined, to = served): Promise<Answer> =>
  to.request('/', { headers: await callerHeaders(keys), ...(body === undefined ? {} : { body }) });
const requested = (issuerId: unknown) => push({ version: 1, issuerId });

const publicCrl = (name = OBJECT) => {
  const object = world.bucket.object(name);
  return object === undefined ? undefined : readCrl(object.bytes);
};
const audited = async () =>
  (await world.ledger.auditTrail({ limit: 100 })).filter(({ step }) => step === 'crl-published');

/** Somebody who has a certificate, and has lost it again. */
async function revokeSomebody(): Promise<string> {
  world.directory.put({ userId: ANA });
  await reconcile(world.deps, ANA, CAUSE);
  world.directory.remove(ANA);
  await reconcile(world.deps, ANA, CAUSE);
  const [leaf] = (await world.ledger.readUser(ANA)).leaves;
  if (leaf?.revocation === undefined) throw new Error('Nothing was revoked.');
  world.clock.advance(MINUTE_MS);
  return leaf.serialHex;
}

/** Under the same CA certificate, because only its id and its address matter here. */
const secondIssuer = async (changes: Partial<IssuerRecord> = {}): Promise<void> =>
  world.ledger.recordIssuer({
    ...world.issuer,
    issuerId: SECOND,
    crlUrl: 'http://pki.acme.example/issuing-2.crl',
    state: 'retiring',
    ...changes,
  });

describe('publish-crl, called by the schedule,', () => {
  inFreshWorlds();

  it.each([
    ['without a body', undefined],
    ['with an empty object', '{}'],
    ['with whatever a schedule may carry', '{"job":"crl","runs":3}'],
  ])('%s, publishes the CRL of every living issuer', async (_how, body) => {
    await secondIssuer();
    await secondIssuer({
      issuerId: 'issuing-0',
      crlUrl: 'http://pki.acme.example/old.crl',
      state: 'retired',
    });
    const answer = await send(body);
    expect(answer.status).toBe(200);
    expect(answer.json).toEqual({
      published: [
        { issuerId: ISSUER_ID, crlNumber: '2', entries: 0 },
        { issuerId: SECOND, crlNumber: '1', entries: 0 },
      ],
    });
    expect(publicCrl()?.crlNumber).toBe(2n);
    expect(world.bucket.names).toEqual(['issuing-2.crl', OBJECT]);
  });

  it('writes into the audit trail that the schedule asked', async () => {
    await send(undefined);
    expect((await audited()).at(-1)?.cause).toMatchObject({ eventId: 'schedule', event: 'schedule' });
  });

  it('leaves a CRL that another run publishes to that run, which is no failure, and publishes the others’', async () => {
    await secondIssuer({ state: 'prepared' });
    const lease = await world.ledger.acquireLease(`issuer:${ISSUER_ID}`, 60_000);
    expect(await send(undefined)).toMatchObject({
      status: 200,
      json: { published: [{ issuerId: SECOND, crlNumber: '1', entries: 0 }] },
    });
    expect(world.log.of('crl-under-way')).toMatchObject([
      { severity: 'info', fields: { issuerId: ISSUER_ID } },
    ]);
    expect([...world.log.of('crl-not-published'), ...world.log.of('request-failed')]).toEqual([]);
    if (lease !== undefined) await world.ledger.releaseLease(lease);
    expect((await send(undefined)).json).toMatchObject({ published: [{ crlNumber: '2' }, {}] });
  });

  it('leaves OCSP answers that another run signs to that run', async () => {
    await secondIssuer({ ocspUrl: 'http://ocsp.acme.example/', state: 'prepared' });
    await world.ledger.acquireLease(`job:ocsp-${SECOND}`, 60_000);
    expect((await send(undefined)).status).toBe(200);
    expect(world.log.of('crl-under-way')).toMatchObject([{ fields: { issuerId: SECOND } }]);
    expect(world.log.of('ocsp-not-published')).toEqual([]);
    expect(await send(requested(SECOND))).toMatchObject(refusal(409, 'lease-held'));
  });

  it('lets no issuer’s CRL wait until the one before is answered for and looked at', async () => {
    await secondIssuer();
    const { publicWeb, ...others } = world.readinessDeps;
    const waiting: ReadinessDeps['publicWeb'] = {
      get: (url) => publicWeb.get(url),
      post: (...request) => publicWeb.post(...request),
      getParts: async (url) => {
        await vi.waitFor(() => expect(publicCrl('issuing-2.crl')?.crlNumber).toBe(1n));
        return await publicWeb.getParts(url);
      },
    };
    const looking = await start(undefined, { readiness: { ...others, publicWeb: waiting } });
    try {
      expect((await send(undefined, looking)).status).toBe(200);
      expect(world.log.of('addresses-not-checked')).toEqual([]);
    } finally {
      await looking.close();
    }
  });

  it('has told what is wrong with the CA and made the checkpoint before it begins with what takes long, which it ends in time', async () => {
    await secondIssuer({ ocspUrl: 'http://ocsp.acme.example/', state: 'prepared' });
    const before: unknown[] = [];
    let nowMs = 0;
    const watched: Around = async (call, perform) => {
      if (call.method === 'oldestOcspAnswer' && before.length === 0) {
        const checkpoint = await world.ledger.latestCheckpoint();
        before.push(world.log.of('ca-finding').length > 0, checkpoint?.signedDer !== undefined);
        before.push(world.log.of('crl-published').length);
      }
      if (call.method === 'ocspSubjects' && before.length > 0) nowMs += REFRESH_UNTIL_MS.scheduled;
      return await perform();
    };
    const on = await start(watched, { checkpoints: world.checkpointDeps, elapsedMs: () => nowMs });
    try {
      expect((await send(undefined, on)).status).toBe(200);
      expect(before).toEqual([true, true, 2]);
    } finally {
      await on.close();
    }
  });

  it('publishes the others’ when one issuer’s fails, and fails itself', async () => {
    await secondIssuer();
    const away = failing('signCrl', 'signing-unavailable');
    const onlyFirst: Around = (call, perform) =>
      call.args[0] === ISSUER_ID ? away.around(call, perform) : perform();
    const disturbed = await start(onlyFirst);
    try {
      const answer = await send(undefined, disturbed);
      expect(answer).toMatchObject(refusal(503, 'signing-unavailable'));
      expect(answer.headers.get('retry-after')).toBe('7');
      expect(publicCrl('issuing-2.crl')?.crlNumber).toBe(1n);
      expect(publicCrl()?.crlNumber).toBe(1n);
      expect(world.log.of('crl-not-published')).toMatchObject([{ fields: { issuerId: ISSUER_ID } }]);
      away.on = false;
      expect((await send(undefined, disturbed)).status).toBe(200);
      // Number 2 was committed and lost; numbers only grow.
      expect(publicCrl()?.crlNumber).toBe(3n);
    } finally {
      await disturbed.close();
    }
  });
});

describe('publish-crl, asked by a message,', () => {
  inFreshWorlds();

  it('publishes what that issuer’s CRL lacks, under the message’s id', async () => {
    await secondIssuer();
    const serialHex = await revokeSomebody();
    const answer = await send(requested(ISSUER_ID));
    expect(answer.json).toEqual({ published: [{ issuerId: ISSUER_ID, crlNumber: '2', entries: 1 }] });
    expect(publicCrl()?.entries.has(serialHex)).toBe(true);
    expect((await audited()).at(-1)?.cause).toMatchObject({ eventId: 'message-1', event: 'crl-requested' });
    expect(world.bucket.names).toEqual([OBJECT]);
  });

  it('publishes nothing when what is public lists everybody already', async () => {
    const before = world.bucket.object(OBJECT);
    expect(await send(requested(ISSUER_ID))).toMatchObject({ status: 200, json: { published: [] } });
    expect(world.bucket.object(OBJECT)).toEqual(before);
  });

  it('publishes once when the same message comes twice', async () => {
    await revokeSomebody();
    await send(requested(ISSUER_ID));
    expect(await send(requested(ISSUER_ID))).toMatchObject({ status: 200, json: { published: [] } });
    expect(publicCrl()?.crlNumber).toBe(2n);
  });

  it.each([
    ['that nobody knows', 'issuing-9'],
    ['that is retired', 'issuing-0'],
    ['with a NUL in its name', 'issuing\u0000'],
  ])('acknowledges an issuer %s and says so in the log', async (_what, issuerId) => {
    await secondIssuer({ issuerId: 'issuing-0', state: 'retired' });
    expect(await send(requested(issuerId))).toMatchObject({ status: 200, json: { published: [] } });
    expect(world.log.of('crl-not-published')).toMatchObject([{ severity: 'warning', fields: { issuerId } }]);
    expect(publicCrl()?.crlNumber).toBe(1n);
  });

  it.each([
    ['data that is not JSON', push('hello')],
    ['no data', push('')],
    ['a JSON list', push([ISSUER_ID])],
    ['no issuer', push({ version: 1 })],
    ['an issuer that is a number', requested(1)],
    ['no id', JSON.stringify({ message: { data: 'e30=' } })],
    ['nothing but a text', JSON.stringify({ message: 'hello' })],
  ])(
    'acknowledges a message with %s, which never can be understood, and says so in the log',
    async (_what, body) => {
      expect(await send(body)).toMatchObject({ status: 204, text: '' });
      expect(world.log.of('event-ignored')).toMatchObject([{ severity: 'warning' }]);
      expect(publicCrl()?.crlNumber).toBe(1n);
    },
  );

  it('answers 409 while another run publishes the same CRL, so that the message comes again, and calls it no error', async () => {
    await revokeSomebody();
    const lease = await world.ledger.acquireLease(`issuer:${ISSUER_ID}`, 60_000);
    const before = world.log.lines.length;
    const answer = await send(requested(ISSUER_ID));
    expect(answer).toMatchObject(refusal(409, 'lease-held'));
    expect(Number(answer.headers.get('retry-after'))).toBeGreaterThan(0);
    expect(world.log.lines.slice(before)).toMatchObject([
      { severity: 'info', event: 'crl-under-way', fields: { issuerId: ISSUER_ID } },
    ]);
    if (lease !== undefined) await world.ledger.releaseLease(lease);
    expect((await send(requested(ISSUER_ID))).status).toBe(200);
    expect(publicCrl()?.entries.size).toBe(1);
  });

  it('leaves OCSP answers that are only old to the run that is at them, and does not come again for those', async () => {
    await secondIssuer({ ocspUrl: 'http://ocsp.acme.example/' });
    await send(requested(SECOND));
    await world.ledger.acquireLease(`job:ocsp-${SECOND}`, 60_000);
    expect((await send(requested(SECOND))).status).toBe(200);
    expect(world.log.of('ocsp-under-way')).toMatchObject([
      { severity: 'info', fields: { issuerId: SECOND } },
    ]);
  });

  it('answers 422 what needs a human, and leaves what is public alone', async () => {
    await revokeSomebody();
    const refusing = failing('signCrl', 'lint-failed', permanent('lint-failed', 'The CRL breaks RFC 5280.'));
    const disturbed = await start(refusing.around);
    try {
      expect(await send(requested(ISSUER_ID), disturbed)).toMatchObject(refusal(422, 'lint-failed'));
      expect(publicCrl()?.crlNumber).toBe(1n);
    } finally {
      await disturbed.close();
    }
  });
});

describe('publish-crl answers 400 to', () => {
  inOneWorld();

  it.each(['message=1', '[]', 'null', '"text"'])('the body %s', async (body) => {
    expect(await send(body)).toMatchObject(refusal(400, 'malformed-request'));
    expect(publicCrl()?.crlNumber).toBe(1n);
  });
});

describe('publish-crl, after an answer of 503 with Retry-After, publishes at the same message once', () => {
  inFreshWorlds();

  it.each([
    ['the ledger lists issuers', 'issuers', 'ledger-unavailable'],
    ['the ledger gives leases', 'acquireLease', 'ledger-unavailable'],
    ['the ledger takes intents', 'recordCrlIntent', 'ledger-unavailable'],
    ['the signer is back', 'signCrl', 'signing-unavailable'],
    ['the bucket can be read', 'readParts', 'storage-unavailable'],
    ['the bucket can be written', 'write', 'storage-unavailable'],
    ['nobody writes the object in between', 'write', 'storage-precondition'],
    ['the ledger takes the publication', 'recordPublishedCrl', 'ledger-unavailable'],
  ] as const)('%s', async (_what, method, code) => {
    const serialHex = await revokeSomebody();
    const away = failing(method, code);
    const disturbed = await start(away.around);
    try {
      const answer = await send(requested(ISSUER_ID), disturbed);
      expect(answer).toMatchObject(refusal(503, code));
      expect(answer.headers.get('retry-after')).toBe('7');
      away.on = false;
      expect((await send(requested(ISSUER_ID), disturbed)).status).toBe(200);
      expect(publicCrl()?.entries.has(serialHex)).toBe(true);
      const stored = await world.ledger.latestPublishedCrl(ISSUER_ID);
      expect(stored?.crlNumber).toBe(publicCrl()?.crlNumber);
    } finally {
      await disturbed.close();
    }
  });
});

describe('publish-crl refuses a request', () => {
  inOneWorld();
  const call = (headers: Readonly<Record<string, string>>) => served.request('/', { headers });
  afterEach(() => {
    expect(publicCrl()?.crlNumber).toBe(1n);
  });
  itRefusesStrangers(() => keys, call);
  itVerifiesWholly(() => keys, call);
});
