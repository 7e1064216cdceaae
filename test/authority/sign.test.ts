import { X509Certificate } from 'node:crypto';
import { afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { CaKeys } from '../../shared/authority/ca-keys.ts';
import { type SignDeps, signCrlIntent, signLeafIntent } from '../../shared/authority/sign.ts';
import { recordedInLedger } from '../../shared/domain/recorded.ts';
import { readCertificate } from '../../shared/pki/certificate.ts';
import { buildCrl } from '../../shared/pki/crl.ts';
import { readCrl, verifyCrl } from '../../shared/pki/crl-reader.ts';
import { oid, sequence } from '../../shared/pki/der.ts';
import type { LeafIntent } from '../../shared/ports/ledger.ts';
import { withExtension } from '../pki/mutate.ts';
import { signedCrlDer, textOf } from '../support/crl-text.ts';
import { mortal, ProcessDied, surround } from '../support/fakes/calls.ts';
import {
  createWorld,
  DAY_MS,
  ISSUER_ID,
  KEY_SERVICE_URL,
  KEY_VERSION,
  type Materials,
  makeMaterials,
  type World,
} from '../support/fakes/world.ts';

const USER_ID = '100000000000000000001';

let materials: Materials;
let world: World;
/** How often the CA key made a signature. */
let signatures: number;
let deps: SignDeps;

beforeAll(async () => {
  materials = await makeMaterials();
});
beforeEach(async () => {
  world = await createWorld(materials);
  signatures = 0;
  deps = { clock: world.clock, ledger: world.ledger, caKeys: counting(world.caKeys) };
});
afterEach(() => world.close());

const counting = (keys: CaKeys): CaKeys => ({
  signerOf: async (issuer) => {
    const signer = await keys.signerOf(issuer);
    return {
      ...signer,
      sign: (bytes) => {
        signatures += 1;
        return signer.sign(bytes);
      },
      signParts: async (parts) => {
        const signature = (await signer.signParts?.(parts)) ?? expect.unreachable();
        signatures += 1;
        return signature;
      },
    };
  },
});

/** An intent as the issuing side commits it. */
async function intend(): Promise<LeafIntent> {
  const lease = await world.ledger.acquireLease(`user:${USER_ID}`, 60_000);
  if (lease === undefined) throw new Error('The lease is not free.');
  const { userKey } = world.authority;
  await world.ledger.recordSighting(lease, {
    userId: USER_ID,
    primaryEmail: 'ana@acme.example',
    aliases: [],
  });
  await world.ledger.recordKey(lease, {
    keyId: 'key-1',
    userId: USER_ID,
    spkiSha256Hex: 'ab'.repeat(32),
    spkiDer: userKey.spkiDer,
    purpose: 'dual-use',
    modulusBits: 2048,
    keyServiceUrl: KEY_SERVICE_URL,
    wrappedKey: 'blob',
    proof: 'proven',
  });
  const unsigned = world.authority.unsignedLeaf({ now: world.clock.now() });
  const intent = { ...unsigned, issuerId: ISSUER_ID, userId: USER_ID, keyId: 'key-1' };
  await world.ledger.recordLeafIntent(lease, intent);
  await world.ledger.releaseLease(lease);
  return intent;
}

/** The same ledger, which tells another story about this intent. */
const telling = (change: (row: object) => object): SignDeps => ({
  ...deps,
  ledger: {
    ...world.ledger,
    readLeafToSign: async (serialHex) => {
      const row = await world.ledger.readLeafToSign(serialHex);
      return row === undefined ? undefined : ({ ...row, ...change(row) } as typeof row);
    },
    readCrl: async (issuerId, crlNumber) => {
      const row = await world.ledger.readCrl(issuerId, crlNumber);
      return row === undefined ? undefined : ({ ...row, ...change(row) } as typeof row);
    },
  },
});

const hex = (bytes: Uint8Array | undefined): string => Buffer.from(bytes ?? []).toString('hex');

const stateOf = async (serialHex: string) => (await world.ledger.readLeafIntent(serialHex))?.state;

describe('signing a leaf', () => {
  test('with a clock behind the leaf’s beginning is refused, and nothing is signed or recorded', async () => {
    const { serialHex } = await intend();
    const at = (minutesBehind: number) => ({
      ...deps,
      clock: { now: () => new Date(world.clock.now().getTime() - minutesBehind * 60_000) },
    });
    await expect(signLeafIntent(at(6), serialHex)).rejects.toMatchObject({
      code: 'signing-unavailable',
      kind: 'retryable',
      message: expect.stringMatching(/clock of "sign" says .* begins .*nothing was signed/),
    });
    expect(signatures).toBe(0);
    expect(await stateOf(serialHex)).toBe('intended');
    await signLeafIntent(at(4), serialHex);
    expect(await stateOf(serialHex)).toBe('signed');
  });

  test('signs exactly the bytes that were intended, and records the certificate', async () => {
    const intent = await intend();
    const leafDer = await signLeafIntent(deps, intent.serialHex);
    expect(Buffer.from(readCertificate(leafDer).tbsDer).equals(Buffer.from(intent.tbsDer))).toBe(true);
    const leaf = new X509Certificate(leafDer);
    const issuer = new X509Certificate(world.authority.issuing.certificateDer);
    expect(leaf.checkIssued(issuer) && leaf.verify(issuer.publicKey)).toBe(true);
    expect(leaf.serialNumber.toLowerCase()).toBe(intent.serialHex);
    expect(hex((await world.ledger.readLeafIntent(intent.serialHex))?.leafDer)).toBe(hex(leafDer));
  });

  test('asked twice answers the same bytes and uses the key once', async () => {
    const { serialHex } = await intend();
    const first = await signLeafIntent(deps, serialHex);
    expect(hex(await signLeafIntent(deps, serialHex))).toBe(hex(first));
    expect(signatures).toBe(1);
  });

  test('asked twice at once answers the same bytes', async () => {
    const { serialHex } = await intend();
    const [left, right] = await Promise.all([
      signLeafIntent(deps, serialHex),
      signLeafIntent(deps, serialHex),
    ]);
    expect(hex(left)).toBe(hex(right));
  });

  test('over a key that was revoked for compromise under another serial signs nothing, though it was intended', async () => {
    const intent = await intend();
    const lease = await world.ledger.acquireLease(`user:${USER_ID}`, 60_000);
    if (lease === undefined) throw new Error('The lease is not free.');
    const unsigned = world.authority.unsignedLeaf({
      now: world.clock.now(),
      serialHex: `77${'5a'.repeat(17)}`,
    });
    await world.ledger.recordLeafIntent(lease, { ...intent, ...unsigned });
    await world.ledger.recordRevocation(lease, { serialHex: intent.serialHex, reason: 'keyCompromise' });
    await expect(signLeafIntent(deps, unsigned.serialHex)).rejects.toMatchObject({
      code: 'key-blocked',
      kind: 'permanent',
      message: expect.stringContaining('Make a new key.'),
    });
    expect(signatures).toBe(0);
    expect(await stateOf(unsigned.serialHex)).toBe('intended');
  });

  test('of a serial that nobody intended signs nothing', async () => {
    await expect(signLeafIntent(deps, '7f00')).rejects.toMatchObject({
      kind: 'permanent',
      code: 'not-found',
    });
    expect(signatures).toBe(0);
  });

  test.each<[string, string, () => object]>([
    ['addresses', 'addresses', () => ({ addresses: ['mallory@acme.example'] })],
    [
      'order of addresses',
      'addresses',
      () => ({ addresses: ['ana.alias@acme.example', 'ana@acme.example'] }),
    ],
    ['start', 'notBefore', () => ({ notBefore: new Date('2026-11-01T00:00:00Z') })],
    ['end', 'notAfter', () => ({ notAfter: new Date('2028-01-01T00:00:00Z') })],
    ['serial', 'serial', () => ({ serialHex: '7f00' })],
    ['public key', 'public key', () => ({ spkiDer: world.pool.keys[0]?.spkiDer })],
    ['bytes', 'the bytes are no to-be-signed certificate', () => ({ tbsDer: Uint8Array.of(0x30, 0) })],
  ])(
    'whose row has another %s than the bytes signs nothing and names the field',
    async (_what, field, change) => {
      const { serialHex } = await intend();
      await expect(signLeafIntent(telling(change), serialHex)).rejects.toMatchObject({
        code: 'intent-mismatch',
        details: { fields: [field] },
      });
      expect(signatures).toBe(0);
      expect(await stateOf(serialHex)).toBe('intended');
    },
  );

  test('whose bytes and row agree, but which no linter has seen, is refused with the rule it breaks', async () => {
    const { serialHex, tbsDer } = await intend();
    const codeSigning = sequence(oid('1.3.6.1.5.5.7.3.3'));
    const forged = telling(() => ({
      tbsDer: recordedInLedger(withExtension(tbsDer, 'extKeyUsage', codeSigning)),
    }));
    await expect(signLeafIntent(forged, serialHex)).rejects.toMatchObject({ code: 'lint-failed' });
    expect(signatures).toBe(0);
  });

  test('that was revoked while it waited is never signed', async () => {
    const { serialHex } = await intend();
    const lease = await world.ledger.acquireLease(`user:${USER_ID}`, 60_000);
    if (lease === undefined) throw new Error('The lease is not free.');
    await world.ledger.recordRevocation(lease, { serialHex, reason: 'superseded' });
    await expect(signLeafIntent(deps, serialHex)).rejects.toMatchObject({ code: 'intent-mismatch' });
    expect(signatures).toBe(0);
  });

  test('that waited for three days is refused, because it would be dated back too far', async () => {
    const { serialHex } = await intend();
    world.clock.advance(3 * DAY_MS);
    await expect(signLeafIntent(deps, serialHex)).rejects.toMatchObject({ code: 'lint-failed' });
  });

  test.each<[string, string, () => void]>([
    [
      'is another CA’s',
      'ca-key-unusable',
      () => world.secrets.put(KEY_VERSION, world.authority.root.pkcs8Der),
    ],
    ['is no key', 'ca-key-unusable', () => world.secrets.put(KEY_VERSION, Buffer.from('hunter2 is no key'))],
    ['is missing', 'secret-missing', () => undefined],
    ['was destroyed', 'secret-unreadable', () => world.secrets.destroy(KEY_VERSION)],
  ])(
    'with a key that %s fails with %s, says nothing of its content, and records nothing',
    async (what, code, spoil) => {
      const { serialHex } = await intend();
      spoil();
      if (what === 'is missing')
        await world.ledger.recordIssuer({
          ...world.issuer,
          keyVersion: 'projects/acme/secrets/gone/versions/1',
        });
      // The world has published a CRL, so its key is still kept for a while.
      world.clock.advance(5 * 60_000);
      const error: Error = await signLeafIntent(deps, serialHex).then(
        () => expect.unreachable(),
        (thrown: Error) => thrown,
      );
      expect(error).toMatchObject({ kind: 'permanent', code });
      expect(`${error.message} ${String(error.cause)}`).not.toContain('hunter2');
      expect(await stateOf(serialHex)).toBe('intended');
    },
  );

  test('with a key damaged in one byte never hands out a signature', async () => {
    const { serialHex } = await intend();
    const { pkcs8Der } = world.authority.issuing;
    // In the middle of the private exponent and in the last CRT parameter.
    for (const at of [Math.floor(pkcs8Der.length / 3), pkcs8Der.length - 20]) {
      const damaged = Uint8Array.from(pkcs8Der);
      damaged[at] = (damaged[at] ?? 0) ^ 0x10;
      world.secrets.put(KEY_VERSION, damaged);
      world.clock.advance(5 * 60_000);
      const leafDer = await signLeafIntent(deps, serialHex).catch((error: unknown) => error);
      if (leafDer instanceof Uint8Array) {
        // OpenSSL may sign by the undamaged CRT parameters: then the signature is a right one.
        const issuer = new X509Certificate(world.authority.issuing.certificateDer);
        expect(new X509Certificate(leafDer).verify(issuer.publicKey)).toBe(true);
      } else expect(leafDer).toMatchObject({ code: 'ca-key-unusable' });
    }
  });

  test('is refused under a retired issuer, and not under one that is retiring', async () => {
    const { serialHex } = await intend();
    const { serialHex: next } = await intend();
    await world.ledger.recordIssuer({ ...world.issuer, state: 'retiring' });
    await signLeafIntent(deps, serialHex);
    expect(await stateOf(serialHex)).toBe('signed');
    await world.ledger.recordIssuer({ ...world.issuer, state: 'retired' });
    await expect(signLeafIntent(deps, next)).rejects.toMatchObject({ code: 'issuer-missing' });
    expect(signatures).toBe(1);
  });

  test('that dies at any call gives the same bytes when asked again', async () => {
    const { serialHex } = await intend();
    const restore = await world.save();
    const count = mortal();
    const over = (process: ReturnType<typeof mortal>): SignDeps => ({
      ...deps,
      ledger: surround('ledger', world.ledger, process.around),
      caKeys: surround('caKeys', world.caKeys, process.around),
    });
    const clean = await signLeafIntent(over(count), serialHex);
    expect(count.calls.length).toBeGreaterThanOrEqual(3);
    for (let call = 1; call <= count.calls.length; call += 1) {
      for (const moment of ['before', 'after'] as const) {
        await restore();
        await expect(signLeafIntent(over(mortal({ call, moment })), serialHex)).rejects.toThrow(ProcessDied);
        expect(hex(await signLeafIntent(deps, serialHex))).toBe(hex(clean));
      }
    }
  });
});

describe('signing a CRL', () => {
  /** A CRL intent over these revocations; the world has published number 1. */
  async function intendCrl(entries: Parameters<typeof buildCrl>[0]['entries'] = []): Promise<bigint> {
    const lease = await world.ledger.acquireLease(`issuer:${ISSUER_ID}`, 60_000);
    if (lease === undefined) throw new Error('The lease is not free.');
    const unsigned = buildCrl({
      issuerCertificateDer: world.issuer.certificateDer,
      crlNumber: 2n,
      now: world.clock.now(),
      entries,
    });
    const { tbsDer, ...intent } = unsigned;
    await world.ledger.recordCrlIntent(lease, { issuerId: ISSUER_ID, ...intent, text: textOf(tbsDer) });
    await world.ledger.releaseLease(lease);
    return unsigned.crlNumber;
  }

  test('signs what was intended once, into the ledger', async () => {
    const crlNumber = await intendCrl();
    await signCrlIntent(deps, ISSUER_ID, crlNumber);
    const crlDer = (await signedCrlDer(world.ledger, ISSUER_ID, crlNumber)) ?? expect.unreachable();
    await signCrlIntent(deps, ISSUER_ID, crlNumber);
    expect(hex((await signedCrlDer(world.ledger, ISSUER_ID, crlNumber)) ?? crlDer)).toBe(hex(crlDer));
    expect(signatures).toBe(1);
    expect(verifyCrl(crlDer, world.issuer.certificateDer)).toBe(true);
    expect(readCrl(crlDer).crlNumber).toBe(2n);
  });

  test('of a number nobody intended signs nothing', async () => {
    await expect(signCrlIntent(deps, ISSUER_ID, 9n)).rejects.toMatchObject({ code: 'not-found' });
    await expect(signCrlIntent(deps, 'other', 1n)).rejects.toMatchObject({ code: 'not-found' });
    expect(signatures).toBe(0);
  });

  test('that leaves out somebody who was revoked before is refused', async () => {
    const { serialHex } = await intend();
    const lease = await world.ledger.acquireLease(`user:${USER_ID}`, 60_000);
    if (lease === undefined) throw new Error('The lease is not free.');
    await world.ledger.recordRevocation(lease, { serialHex, reason: 'keyCompromise' });
    world.clock.advance(60_000);
    const crlNumber = await intendCrl([]);
    await expect(signCrlIntent(deps, ISSUER_ID, crlNumber)).rejects.toMatchObject({
      code: 'intent-mismatch',
      message: expect.stringContaining('1 revoked serials are missing'),
    });
    expect(signatures).toBe(0);
  });

  test('that was begun before somebody was revoked is signed; the next one lists them', async () => {
    const { serialHex } = await intend();
    const crlNumber = await intendCrl([]);
    world.clock.advance(1_000);
    const lease = await world.ledger.acquireLease(`user:${USER_ID}`, 60_000);
    if (lease === undefined) throw new Error('The lease is not free.');
    await world.ledger.recordRevocation(lease, { serialHex, reason: 'keyCompromise' });
    await signCrlIntent(deps, ISSUER_ID, crlNumber);
    await world.publishCrl();
    const object = world.bucket.object('issuing.crl');
    expect([...readCrl(object?.bytes ?? new Uint8Array()).entries.keys()]).toEqual([serialHex]);
  });

  test.each<[string, () => object]>([
    ['number', () => ({ crlNumber: 3n })],
    ['thisUpdate', () => ({ thisUpdate: new Date('2026-11-23T00:00:00Z') })],
    ['nextUpdate', () => ({ nextUpdate: new Date('2027-11-23T00:00:00Z') })],
  ])('whose row has another %s than the bytes is refused', async (field, change) => {
    const crlNumber = await intendCrl();
    await expect(signCrlIntent(telling(change), ISSUER_ID, crlNumber)).rejects.toMatchObject({
      code: 'intent-mismatch',
      message: expect.stringContaining(field),
    });
    expect(signatures).toBe(0);
  });

  test('for a retired issuer is refused', async () => {
    const crlNumber = await intendCrl();
    await world.ledger.recordIssuer({ ...world.issuer, state: 'retired' });
    await expect(signCrlIntent(deps, ISSUER_ID, crlNumber)).rejects.toMatchObject({ code: 'issuer-missing' });
  });
});
