import { execFileSync } from 'node:child_process';
import {
  constants,
  createCipheriv,
  createHash,
  generateKeyPairSync,
  publicEncrypt,
  randomBytes,
  verify,
} from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { memoryKeks, type RsaPair, rsaPair } from './support.ts';
import {
  ALICE,
  ALICE_AT_FIRST,
  ALICE_BEFORE,
  type Answer,
  BOB,
  type Body,
  type Keys,
  makeKeys,
  refusalProblems,
  resourceName,
  spkiHash,
  startWorld,
  type World,
} from './world.ts';

/** What Gmail would hash: DER of SignedAttributes. Its content does not matter, only that nobody hashes the hash. */
const SIGNED_ATTRIBUTES = Buffer.from('314b301806092a864886f70d010903310b06092a864886f70d010701', 'hex');
const digestOf = (hash: string) => createHash(hash).update(SIGNED_ATTRIBUTES).digest();

let keys: Keys & { readonly aliceLarge: RsaPair };
let world: World;
let wrapped: { alice: string; aliceLarge: string; bob: string };
let folder: string;

beforeAll(async () => {
  keys = { ...(await makeKeys()), aliceLarge: await rsaPair(4096) };
  world = await startWorld(keys, { settings: { sha1Signing: true } });
  wrapped = {
    alice: await world.wrappedKey(keys.alice, ALICE.userId),
    aliceLarge: await world.wrappedKey(keys.aliceLarge, ALICE.userId),
    bob: await world.wrappedKey(keys.bob, BOB.userId),
  };
  folder = mkdtempSync(join(tmpdir(), 'kacls-'));
});
afterAll(async () => {
  await world.close();
  rmSync(folder, { recursive: true });
});

const sizes = () =>
  [
    ['RSA-2048', keys.alice, wrapped.alice],
    ['RSA-4096', keys.aliceLarge, wrapped.aliceLarge],
  ] as const;

/** A request of Alice's for her smaller key, with some of it replaced. */
async function sign(changes: Body = {}, authorized: RsaPair = keys.alice): Promise<Answer> {
  return world.post('privatekeysign', {
    authentication: await world.authentication(),
    authorization: await world.authorization({ spki_hash: spkiHash(authorized) }),
    algorithm: 'SHA256withRSA',
    digest: digestOf('sha256').toString('base64'),
    wrapped_private_key: wrapped.alice,
    ...changes,
  });
}

async function decrypt(changes: Body = {}, authorized: RsaPair = keys.alice): Promise<Answer> {
  return world.post('privatekeydecrypt', {
    authentication: await world.authentication(),
    authorization: await world.authorization({ role: 'decrypter', spki_hash: spkiHash(authorized) }),
    algorithm: 'RSA/ECB/PKCS1Padding',
    wrapped_private_key: wrapped.alice,
    ...changes,
  });
}

const signatureOf = (answer: Answer): Buffer => {
  expect(answer.status).toBe(200);
  expect(Object.keys(answer.json)).toEqual(['signature']);
  return Buffer.from(String(answer.json['signature']), 'base64');
};

const encryptPkcs1 = (pair: RsaPair, contentKey: Uint8Array) =>
  publicEncrypt({ key: pair.publicKey, padding: constants.RSA_PKCS1_PADDING }, contentKey).toString('base64');

/** OpenSSL's own command line, as a second opinion. */
function openssl(pair: RsaPair, files: Record<string, Uint8Array>, args: readonly string[]): Buffer {
  writeFileSync(join(folder, 'key.pem'), pair.publicKey.export({ type: 'spki', format: 'pem' }));
  for (const [name, bytes] of Object.entries(files)) writeFileSync(join(folder, name), bytes);
  return execFileSync('openssl', ['pkeyutl', '-pubin', '-inkey', 'key.pem', ...args], {
    cwd: folder,
    stdio: 'pipe',
  });
}

describe('privatekeysign', () => {
  it.each(['sha1', 'sha256', 'sha384', 'sha512'])(
    'signs a finished %s digest with PKCS#1 v1.5, without hashing it again',
    async (hash) => {
      for (const [, pair, wrapped_private_key] of sizes()) {
        const digest = digestOf(hash).toString('base64');
        const algorithm = `${hash.toUpperCase()}withRSA`;
        const signature = signatureOf(await sign({ algorithm, digest, wrapped_private_key }, pair));
        expect(verify(hash, SIGNED_ATTRIBUTES, pair.publicKey, signature)).toBe(true);
        const verdict = openssl(pair, { signature, digest: digestOf(hash) }, [
          ...['-verify', '-sigfile', 'signature', '-in', 'digest', '-pkeyopt', `digest:${hash}`],
        ]);
        expect(verdict.toString()).toContain('Signature Verified Successfully');
      }
    },
  );

  it.each([
    ['SHA256withRSA/PSS', 'sha256', undefined, 32],
    ['SHA256withRSA/PSS', 'sha256', null, 32],
    ['SHA256withRSA/PSS', 'sha256', 32, 32],
    ['SHA256withRSA/PSS', 'sha256', 0, 0],
    ['SHA384withRSA/PSS', 'sha384', undefined, 48],
    ['SHA512withRSA/PSS', 'sha512', 20, 20],
    ['SHA512withRSA/PSS', 'sha512', undefined, 64],
    ['SHA1withRSA/PSS', 'sha1', undefined, 20],
    ['SHA256withRSAandMGF1', 'sha256', 222, 222],
  ])(
    'signs with %s over %s, asked for a salt of %s, using %i bytes',
    async (algorithm, hash, asked, saltLength) => {
      for (const [, pair, wrapped_private_key] of sizes()) {
        const digest = digestOf(hash).toString('base64');
        const signature = signatureOf(
          await sign({ algorithm, digest, wrapped_private_key, rsa_pss_salt_length: asked }, pair),
        );
        const key = { key: pair.publicKey, padding: constants.RSA_PKCS1_PSS_PADDING, saltLength };
        expect(verify(hash, SIGNED_ATTRIBUTES, key, signature)).toBe(true);
        const verdict = openssl(pair, { signature, digest: digestOf(hash) }, [
          ...['-verify', '-sigfile', 'signature', '-in', 'digest', '-pkeyopt', `digest:${hash}`],
          ...['-pkeyopt', 'rsa_padding_mode:pss', '-pkeyopt', `rsa_pss_saltlen:${saltLength}`],
        ]);
        expect(verdict.toString()).toContain('Signature Verified Successfully');
      }
    },
  );

  it('draws a new salt for each PSS signature', async () => {
    const once = signatureOf(await sign({ algorithm: 'SHA256withRSA/PSS' }));
    expect(signatureOf(await sign({ algorithm: 'SHA256withRSA/PSS' }))).not.toEqual(once);
  });

  it.each([-1, 223, 1.5, '32', 2 ** 53])('refuses a PSS salt length of %j', async (rsa_pss_salt_length) => {
    const answer = await sign({ algorithm: 'SHA256withRSA/PSS', rsa_pss_salt_length });
    expect(refusalProblems(answer, 400)).toEqual([]);
  });

  it('ignores a salt length, whatever it is, with another algorithm than PSS', async () => {
    for (const rsa_pss_salt_length of [32, -1, 'many'])
      expect((await sign({ rsa_pss_salt_length })).status).toBe(200);
  });

  it.each(['sha256WITHrsa', 'SHA-256withRSA', 'SHA256 with RSA'])('reads the name %s', async (algorithm) => {
    expect((await sign({ algorithm })).status).toBe(200);
  });

  it.each([
    '',
    'MD5withRSA',
    'SHA256withECDSA',
    'SHA256',
    'NONEwithRSA',
    'RSA/ECB/PKCS1Padding',
    'SHA512/256withRSA',
  ])('refuses the algorithm "%s"', async (algorithm) => {
    expect(refusalProblems(await sign({ algorithm }), 400)).toEqual([]);
  });

  it('signs with SHA-1 only where that was switched on', async () => {
    const strict = await startWorld(keys);
    try {
      const answer = await strict.post('privatekeysign', {
        authentication: await strict.authentication(),
        authorization: await strict.authorization(),
        algorithm: 'SHA1withRSA',
        digest: digestOf('sha1').toString('base64'),
        wrapped_private_key: await strict.wrappedKey(keys.alice, ALICE.userId),
      });
      expect(refusalProblems(answer, 400)).toEqual([]);
      expect(answer.json['message']).toContain('SHA-1');
    } finally {
      await strict.close();
    }
  });

  it('reads a digest with and without padding', async () => {
    const digest = digestOf('sha256').toString('base64');
    expect(digest).toMatch(/=$/);
    const padded = signatureOf(await sign({ digest }));
    expect(signatureOf(await sign({ digest: digest.replace('=', '') }))).toEqual(padded);
  });

  it.each([
    ['in base64url', digestWithBothSpecials().toString('base64url')],
    ['with a line break', `${digestOf('sha256').toString('base64')}\n`],
    ['with padding in the wrong place', `=${digestOf('sha256').toString('base64')}`],
    ['with bits left over', `${digestOf('sha256').toString('base64').slice(0, -2)}B=`],
    ['of another length than the hash has', digestOf('sha512').toString('base64')],
    ['of 129 bytes', randomBytes(129).toString('base64')],
    ['that is empty', ''],
    ['that is no text', 7],
  ])('refuses a digest %s', async (_what, digest) => {
    expect(refusalProblems(await sign({ digest }), 400)).toEqual([]);
  });

  it('answers in padded standard base64', async () => {
    const { json } = await sign();
    expect(json['signature']).toMatch(/^[A-Za-z0-9+/]{342}==$/);
  });
});

function digestWithBothSpecials(): Buffer {
  return Buffer.concat([Buffer.of(0xfb, 0xff, 0xbf), Buffer.alloc(29, 0xff)]);
}

describe('privatekeydecrypt', () => {
  const contentKeyOf = (answer: Answer): Buffer => {
    expect(answer.status).toBe(200);
    expect(Object.keys(answer.json)).toEqual(['data_encryption_key']);
    return Buffer.from(String(answer.json['data_encryption_key']), 'base64');
  };

  it.each([16, 32])('decrypts a content key of %i bytes with PKCS#1 v1.5', async (length) => {
    for (const [, pair, wrapped_private_key] of sizes()) {
      const contentKey = randomBytes(length);
      const encrypted_data_encryption_key = encryptPkcs1(pair, contentKey);
      const answer = await decrypt({ encrypted_data_encryption_key, wrapped_private_key }, pair);
      expect(contentKeyOf(answer)).toEqual(contentKey);
      expect(answer.json['data_encryption_key']).toBe(contentKey.toString('base64'));
    }
  });

  it.each([
    ['RSA/ECB/OAEPwithSHA-1andMGF1Padding', 'sha1'],
    ['RSA/ECB/OAEPWithSHA-256AndMGF1Padding', 'sha256'],
    ['RSA/ECB/OAEPwithSHA384andMGF1Padding', 'sha384'],
    ['rsa/ecb/oaepwithsha-512/mgf1padding', 'sha512'],
  ])('decrypts with %s, with and without a label that is decoded before use', async (algorithm, oaepHash) => {
    for (const [, pair, wrapped_private_key] of sizes()) {
      for (const label of [undefined, Buffer.from([0, 1, 2, 255])]) {
        const contentKey = randomBytes(32);
        const options = { key: pair.publicKey, padding: constants.RSA_PKCS1_OAEP_PADDING, oaepHash };
        const encrypted = publicEncrypt(
          label === undefined ? options : { ...options, oaepLabel: label },
          contentKey,
        ).toString('base64');
        const request = { algorithm, encrypted_data_encryption_key: encrypted, wrapped_private_key };
        const answer = await decrypt({ ...request, rsa_oaep_label: label?.toString('base64') ?? '' }, pair);
        expect(contentKeyOf(answer)).toEqual(contentKey);
        const mislabelled = await decrypt({ ...request, rsa_oaep_label: 'AAAA' }, pair);
        expect(refusalProblems(mislabelled, 400)).toEqual([]);
      }
    }
  });

  it('decrypts OAEP whose mask hash is SHA-1 where Java defaults are configured, and no other', async () => {
    const java = await startWorld(keys, { settings: { oaepMgf1: 'sha1' } });
    try {
      const wrapped_private_key = await java.wrappedKey(keys.alice, ALICE.userId);
      const contentKey = randomBytes(32);
      const label = Buffer.from('label');
      const encrypt = (mask: string) =>
        openssl(keys.alice, { contentKey }, [
          ...[
            '-encrypt',
            '-in',
            'contentKey',
            '-pkeyopt',
            'rsa_padding_mode:oaep',
            '-pkeyopt',
            'rsa_oaep_md:sha256',
          ],
          ...['-pkeyopt', `rsa_mgf1_md:${mask}`, '-pkeyopt', `rsa_oaep_label:${label.toString('hex')}`],
        ]);
      const ask = async (encrypted: Buffer, rsa_oaep_label: string) =>
        java.post('privatekeydecrypt', {
          authentication: await java.authentication(),
          authorization: await java.authorization({ role: 'decrypter' }),
          algorithm: 'RSA/ECB/OAEPwithSHA-256andMGF1Padding',
          encrypted_data_encryption_key: encrypted.toString('base64'),
          rsa_oaep_label,
          wrapped_private_key,
        });
      const encrypted = encrypt('sha1');
      expect(contentKeyOf(await ask(encrypted, label.toString('base64')))).toEqual(contentKey);
      const altered = Buffer.from(encrypted);
      altered[100] = (altered[100] ?? 0) ^ 1;
      const refusals = [
        await ask(encrypted, Buffer.from('other').toString('base64')),
        await ask(encrypt('sha256'), label.toString('base64')),
        await ask(altered, label.toString('base64')),
      ];
      for (const refused of refusals) expect(refusalProblems(refused, 400)).toEqual([]);
      expect(new Set(refusals.map(({ json }) => json['message'])).size).toBe(1);
    } finally {
      await java.close();
    }
  });

  it('ignores a label with PKCS#1 v1.5, even one that is no base64', async () => {
    const contentKey = randomBytes(16);
    const encrypted_data_encryption_key = encryptPkcs1(keys.alice, contentKey);
    expect(contentKeyOf(await decrypt({ encrypted_data_encryption_key, rsa_oaep_label: '***' }))).toEqual(
      contentKey,
    );
  });

  it('answers an altered PKCS#1 v1.5 ciphertext with meaningless bytes, the same each time', async () => {
    const contentKey = randomBytes(32);
    const ciphertext = Buffer.from(encryptPkcs1(keys.alice, contentKey), 'base64');
    ciphertext[200] = (ciphertext[200] ?? 0) ^ 0xff;
    const encrypted_data_encryption_key = ciphertext.toString('base64');
    const once = contentKeyOf(await decrypt({ encrypted_data_encryption_key }));
    expect(once).not.toEqual(contentKey);
    expect(contentKeyOf(await decrypt({ encrypted_data_encryption_key }))).toEqual(once);
  });

  it('gives one and the same answer to everything that OAEP cannot decrypt', async () => {
    const algorithm = 'RSA/ECB/OAEPwithSHA-256andMGF1Padding';
    const good = publicEncrypt(
      { key: keys.alice.publicKey, padding: constants.RSA_PKCS1_OAEP_PADDING, oaepHash: 'sha256' },
      randomBytes(32),
    );
    const answers = [];
    for (const at of [0, 1, 40, 128, 255]) {
      const ciphertext = Buffer.from(good);
      ciphertext[at] = (ciphertext[at] ?? 0) ^ 1;
      answers.push(
        await decrypt({ algorithm, encrypted_data_encryption_key: ciphertext.toString('base64') }),
      );
    }
    answers.push(
      await decrypt({ algorithm, encrypted_data_encryption_key: Buffer.alloc(256, 0xff).toString('base64') }),
    );
    for (const answer of answers) expect(refusalProblems(answer, 400)).toEqual([]);
    expect(new Set(answers.map(({ json }) => json['message'])).size).toBe(1);
  });

  it.each([
    ['shorter than the modulus', randomBytes(255).toString('base64')],
    ['longer than the modulus', randomBytes(512).toString('base64')],
    ['of more than a kilobyte', randomBytes(1025).toString('base64')],
    ['that is empty', ''],
    ['that is no base64', '%%%'],
  ])('refuses a ciphertext %s', async (_what, encrypted_data_encryption_key) => {
    expect(refusalProblems(await decrypt({ encrypted_data_encryption_key }), 400)).toEqual([]);
  });

  it.each(['', 'RSA', 'RSA/ECB/NoPadding', 'RSA/ECB/OAEPwithMD5andMGF1Padding', 'SHA256withRSA'])(
    'refuses the algorithm "%s"',
    async (algorithm) => {
      const encrypted_data_encryption_key = encryptPkcs1(keys.alice, randomBytes(16));
      expect(refusalProblems(await decrypt({ algorithm, encrypted_data_encryption_key }), 400)).toEqual([]);
    },
  );
});

describe.each(['privatekeysign', 'privatekeydecrypt'])('%s, before it touches a private key', (operation) => {
  const role = operation === 'privatekeysign' ? 'signer' : 'decrypter';

  /** Alice's request as it would succeed, with claims and fields replaced. */
  async function ask(claims: Body, fields: Body = {}, who = ALICE.address): Promise<Answer> {
    return world.post(operation, {
      authentication: await world.authentication({ email: who }),
      authorization: await world.authorization({ role, email: who, ...claims }),
      algorithm: operation === 'privatekeysign' ? 'SHA256withRSA' : 'RSA/ECB/PKCS1Padding',
      digest: digestOf('sha256').toString('base64'),
      encrypted_data_encryption_key: encryptPkcs1(keys.alice, randomBytes(16)),
      wrapped_private_key: wrapped.alice,
      ...fields,
    });
  }

  it('serves the owner', async () => {
    expect((await ask({})).status).toBe(200);
  });

  it('serves the owner under a former address, so that old mail stays readable after a rename', async () => {
    expect((await ask({}, {}, ALICE_BEFORE)).status).toBe(200);
  });

  it('serves the owner under the address from before two renames, and nobody under one that was never theirs', async () => {
    expect((await ask({}, {}, ALICE_AT_FIRST)).status).toBe(200);
    expect((await ask({}, {}, `x${ALICE_AT_FIRST}`)).status).toBe(403);
  });

  it('reads an unpadded spki_hash', async () => {
    expect((await ask({ spki_hash: spkiHash(keys.alice).replace('=', '') })).status).toBe(200);
  });

  it.each([
    ['the hash of another key', () => ({ spki_hash: spkiHash(keys.bob) })],
    ['no spki_hash', () => ({ spki_hash: undefined })],
    ['an empty spki_hash', () => ({ spki_hash: '' })],
    ['a spki_hash cut short', () => ({ spki_hash: 'uq2NTg==' })],
    [
      'a spki_hash in hex',
      () => ({ spki_hash: Buffer.from(spkiHash(keys.alice), 'base64').toString('hex') }),
    ],
    ['an unknown spki_hash_algorithm', () => ({ spki_hash_algorithm: 'SHA-1' })],
    ['no spki_hash_algorithm', () => ({ spki_hash_algorithm: undefined })],
    ['the resource of another user', () => ({ resource_name: resourceName(BOB.address) })],
    ['a resource that is no key pair', () => ({ resource_name: '//googleapis.com/drive/files/1' })],
    [
      'a resource with broken escapes',
      () => ({ resource_name: resourceName(ALICE.address).replace('%40', '%4') }),
    ],
    [
      'a resource of more than 512 bytes',
      () => ({ resource_name: `${resourceName(ALICE.address)}${'x'.repeat(512)}` }),
    ],
  ])('refuses an authorization token with %s', async (_what, claims) => {
    expect(refusalProblems(await ask(claims()), 403)).toEqual([]);
  });

  it('refuses another user who sends the wrapped key of Alice with tokens of their own', async () => {
    expect(refusalProblems(await ask({}, {}, BOB.address), 403)).toEqual([]);
    const claims = { spki_hash: spkiHash(keys.alice) };
    expect(refusalProblems(await ask(claims, {}, BOB.address), 403)).toEqual([]);
  });

  it('refuses Alice with the wrapped key of another user', async () => {
    const fields = { wrapped_private_key: wrapped.bob };
    expect(refusalProblems(await ask({ spki_hash: spkiHash(keys.bob) }, fields), 403)).toEqual([]);
  });

  it('refuses a user of whom the ledger knows nothing', async () => {
    expect(refusalProblems(await ask({}, {}, 'nobody@acme.example'), 403)).toEqual([]);
  });

  it.each([
    ['missing', () => undefined],
    ['no base64', () => 'not base64!'],
    ['in base64url', () => wrapped.alice.replaceAll('+', '-').replaceAll('/', '_')],
    ['cut short', () => wrapped.alice.slice(0, 400)],
    ['longer than 8 KB', () => randomBytes(6145).toString('base64')],
    ['altered', () => `${wrapped.alice.slice(0, -8)}AAAAAAAA`],
    ['made by somebody else', () => randomBytes(1200).toString('base64')],
  ])('refuses a wrapped key that is %s', async (_what, make) => {
    expect(refusalProblems(await ask({}, { wrapped_private_key: make() }), 400)).toEqual([]);
  });
});

describe('key service, after its key-encryption key was rotated', () => {
  const first = { id: 'kek/1', key: randomBytes(32) };
  const second = { id: 'kek/2', key: randomBytes(32) };

  async function signWith(service: World, wrapped_private_key: string): Promise<Answer> {
    return service.post('privatekeysign', {
      authentication: await service.authentication(),
      authorization: await service.authorization(),
      algorithm: 'SHA256withRSA',
      digest: digestOf('sha256').toString('base64'),
      wrapped_private_key,
    });
  }

  it('opens what the older key wrapped, wraps with the newer, and names a key that is gone', async () => {
    const before = await startWorld(keys, { keks: memoryKeks([first]) });
    const after = await startWorld(keys, { keks: memoryKeks([second, first]) });
    const without = await startWorld(keys, { keks: memoryKeks([second]) });
    try {
      const old = await before.wrappedKey(keys.alice, ALICE.userId);
      expect((await signWith(after, old)).status).toBe(200);
      const fresh = await after.wrappedKey(keys.alice, ALICE.userId);
      expect((await signWith(without, fresh)).status).toBe(200);

      const lost = await signWith(without, old);
      expect(refusalProblems(lost, 422)).toEqual([]);
      expect(lost.json['message']).toContain('key-encryption key kek/1');
    } finally {
      for (const service of [before, after, without]) await service.close();
    }
  });

  it('does not open what another tenant wrapped under the same key', async () => {
    const ours = await startWorld(keys, { keks: memoryKeks([first]) });
    const theirs = await startWorld(keys, { keks: memoryKeks([first]), settings: { tenantId: 'C00other' } });
    try {
      const answer = await signWith(ours, await theirs.wrappedKey(keys.alice, ALICE.userId));
      expect(refusalProblems(answer, 400)).toEqual([]);
    } finally {
      await ours.close();
      await theirs.close();
    }
  });

  it('hands out no wrapped key that did not open again', async () => {
    const shaky = await startWorld(keys, {
      keks: { current: async () => first, byId: async () => second.key },
    });
    try {
      expect(refusalProblems(await shaky.wrap(keys.alice, ALICE.userId), 500)).toEqual([]);
      expect(shaky.log.lines.at(-1)?.fields['message']).toContain('did not open right after it was made');
    } finally {
      await shaky.close();
    }
  });
});

describe('wrapprivatekey', () => {
  const pkcs8 = (pair: RsaPair) => pair.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
  const pkcs1 = (pair: RsaPair) => pair.privateKey.export({ type: 'pkcs1', format: 'pem' }).toString();

  it.each([
    ['PKCS#8 PEM', pkcs8],
    ['PKCS#1 PEM', pkcs1],
    [
      'PKCS#1 PEM whose line breaks are two characters, as in the example of Google',
      (pair: RsaPair) => pkcs1(pair).replaceAll('\n', '\\n'),
    ],
    ['PEM with carriage returns', (pair: RsaPair) => pkcs8(pair).replaceAll('\n', '\r\n')],
    [
      'base64 of PKCS#8 DER',
      (pair: RsaPair) => pair.privateKey.export({ type: 'pkcs8', format: 'der' }).toString('base64'),
    ],
    [
      'base64 of PKCS#1 DER',
      (pair: RsaPair) => pair.privateKey.export({ type: 'pkcs1', format: 'der' }).toString('base64'),
    ],
  ])('wraps a key given as %s into a form that signs and decrypts', async (_form, encode) => {
    for (const [, pair] of sizes()) {
      const answer = await world.wrap(pair, ALICE.userId, { private_key: encode(pair) });
      expect(answer.status).toBe(200);
      expect(Object.keys(answer.json)).toEqual(['wrapped_private_key', 'spki_hash', 'spki_hash_algorithm']);
      expect(answer.json).toMatchObject({ spki_hash: spkiHash(pair), spki_hash_algorithm: 'SHA-256' });
      const wrapped_private_key = String(answer.json['wrapped_private_key']);
      expect(wrapped_private_key.length).toBeLessThan(8192);
      expect(wrapped_private_key).toMatch(/^[A-Za-z0-9+/]+={0,2}$/);

      const signature = signatureOf(await sign({ wrapped_private_key }, pair));
      expect(verify('sha256', SIGNED_ATTRIBUTES, pair.publicKey, signature)).toBe(true);
      const contentKey = randomBytes(32);
      const encrypted_data_encryption_key = encryptPkcs1(pair, contentKey);
      const opened = await decrypt({ wrapped_private_key, encrypted_data_encryption_key }, pair);
      expect(opened.json['data_encryption_key']).toBe(contentKey.toString('base64'));
    }
  });

  it('gives another wrapped key each time', async () => {
    expect(await world.wrappedKey(keys.alice, ALICE.userId)).not.toBe(wrapped.alice);
  });

  const small = generateKeyPairSync('rsa', { modulusLength: 1024 });
  const large = generateKeyPairSync('rsa-pss', { modulusLength: 2048 });
  const ec = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const encryption = { cipher: 'aes-256-cbc', passphrase: 'secret' };

  it.each([
    ['nothing', () => '', /missing or empty/],
    ['no key at all', () => 'hello', /./],
    [
      'an encrypted PKCS#8 key',
      () => keys.bob.privateKey.export({ type: 'pkcs8', format: 'pem', ...encryption }).toString(),
      /encrypted/,
    ],
    [
      'an encrypted PKCS#1 key',
      () => keys.bob.privateKey.export({ type: 'pkcs1', format: 'pem', ...encryption }).toString(),
      /encrypted/,
    ],
    [
      'an encrypted key as base64',
      () => keys.bob.privateKey.export({ type: 'pkcs8', format: 'der', ...encryption }).toString('base64'),
      /unencrypted/,
    ],
    [
      'a public key',
      () => keys.bob.publicKey.export({ type: 'spki', format: 'pem' }).toString(),
      /labelled PUBLIC KEY/,
    ],
    [
      'a public key as base64',
      () => keys.bob.publicKey.export({ type: 'spki', format: 'der' }).toString('base64'),
      /private key/,
    ],
    ['an EC key', () => ec.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(), /type ec/],
    [
      'an EC key in its own form',
      () => ec.privateKey.export({ type: 'sec1', format: 'pem' }).toString(),
      /labelled EC PRIVATE KEY/,
    ],
    [
      'a key for PSS alone',
      () => large.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
      /type rsa-pss/,
    ],
    [
      'a key of 1024 bits',
      () => small.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
      /1024 bits/,
    ],
    ['two keys', () => pkcs8(keys.alice) + pkcs8(keys.bob), /exactly one/],
    [
      'a key of one label with the content of another',
      () => pkcs1(keys.alice).replaceAll('RSA PRIVATE', 'PRIVATE'),
      /./,
    ],
    [
      'base64url',
      () =>
        keys.alice.privateKey
          .export({ type: 'pkcs8', format: 'der' })
          .toString('base64url')
          .replace(/$/, '-_'),
      /base64/,
    ],
  ])('refuses %s and does not repeat it', async (_what, encode, message) => {
    const private_key = encode();
    const answer = await world.wrap(keys.alice, ALICE.userId, { private_key });
    expect(refusalProblems(answer, 400, [private_key.slice(40, 80)])).toEqual([]);
    expect(answer.json['message']).toMatch(message);
  });

  it('refuses a key whose parts do not belong together, though its form is right', async () => {
    const damaged = keys.alice.privateKey.export({ type: 'pkcs1', format: 'der' });
    // In the middle of the modulus.
    damaged[100] = (damaged[100] ?? 0) ^ 0x55;
    const answer = await world.wrap(keys.alice, ALICE.userId, { private_key: damaged.toString('base64') });
    expect(refusalProblems(answer, 400)).toEqual([]);
    expect(answer.json['message']).toContain('damaged');
  });

  it.each([
    ['no user id', { user_id: undefined }],
    ['an empty user id', { user_id: '' }],
    ['a user id that is no text', { user_id: 7 }],
    ['a user id with blanks', { user_id: 'a b' }],
    ['a user id of 65 characters', { user_id: '1'.repeat(65) }],
    ['a perimeter of 129 bytes', { perimeter_id: 'x'.repeat(129) }],
    ['a perimeter that is no text', { perimeter_id: {} }],
    ['the hash of another public key', { spki_hash: 'uq2NTjD6SHu1YNBCp5P8ZL5UdioRj2d+ysGHFOmLjhI=' }],
    ['a hash that is no base64', { spki_hash: '***' }],
  ])('refuses a request with %s', async (_what, fields) => {
    const answer = await world.wrap(keys.alice, ALICE.userId, fields);
    expect(refusalProblems(answer, 400)).toEqual([]);
    expect(answer.json['message']).toContain(Object.keys(fields)[0]);
  });

  it('accepts the announced hash of the key itself', async () => {
    const answer = await world.wrap(keys.alice, ALICE.userId, { spki_hash: spkiHash(keys.alice) });
    expect(answer.status).toBe(200);
  });

  it('holds a perimeter of 128 bytes', async () => {
    expect((await world.wrap(keys.alice, ALICE.userId, { perimeter_id: 'x'.repeat(128) })).status).toBe(200);
  });

  it('keeps content keys and private keys apart: a blob for another purpose does not open', async () => {
    const kek = { id: 'kek/9', key: randomBytes(32) };
    const service = await startWorld(keys, { keks: memoryKeks([kek]) });
    try {
      const good = Buffer.from(await service.wrappedKey(keys.alice, ALICE.userId), 'base64');
      const der = keys.alice.privateKey.export({ type: 'pkcs1', format: 'der' });
      const header = good.subarray(0, good.length - 12 - 16 - der.length);
      const rewrap = (purpose: string) => {
        const nonce = randomBytes(12);
        const cipher = createCipheriv('aes-256-gcm', kek.key, nonce);
        const lengthed = (text: string) => Buffer.concat([Buffer.of(text.length), Buffer.from(text)]);
        cipher.setAAD(Buffer.concat([lengthed(purpose), lengthed('C00sample'), header]));
        const body = Buffer.concat([cipher.update(der), cipher.final()]);
        return Buffer.concat([header, nonce, body, cipher.getAuthTag()]).toString('base64');
      };
      const use = async (wrapped_private_key: string) =>
        service.post('privatekeysign', {
          authentication: await service.authentication(),
          authorization: await service.authorization(),
          algorithm: 'SHA256withRSA',
          digest: digestOf('sha256').toString('base64'),
          wrapped_private_key,
        });
      // The first shows that the blob is built as the service builds it, so that the second fails for its purpose alone.
      expect((await use(rewrap('smime-private-key'))).status).toBe(200);
      expect(refusalProblems(await use(rewrap('dek')), 400)).toEqual([]);
    } finally {
      await service.close();
    }
  });
});
