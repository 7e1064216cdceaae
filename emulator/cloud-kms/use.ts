/**
 * Using keys: `asymmetricSign`, `encrypt`, `decrypt`, with every checksum Google knows. The faults under `cloudKms`
 * damage answers in the ways a client has to notice. https://docs.cloud.google.com/kms/docs/data-integrity-guidelines
 */
import { createCipheriv, createDecipheriv, createHash, randomBytes } from 'node:crypto';
import type { FaultSwitches } from '../core/faults.ts';
import { failedPrecondition, type GoogleError, invalidArgument } from '../core/google-error.ts';
import { type Message, readMessage } from '../core/message.ts';
import type { Call, Route } from '../core/route.ts';
import { DIGEST_BYTES, hashOf, privateKeyOf, signDigest } from './algorithms.ts';
import { checksumOf, verified } from './checksum.ts';
import { KEY, method, VERSION } from './method.ts';
import type { StoredKey, StoredRing, StoredVersion } from './records.ts';
import type { Rings } from './rings.ts';

/** https://docs.cloud.google.com/kms/quotas: 64 KiB of plaintext, and of additional data, for software keys. */
const MAX_BYTES = 65_536;

const SIGN_REQUEST = {
  digest: { message: { sha256: 'bytes', sha384: 'bytes', sha512: 'bytes', externalMu: 'bytes' } },
  digestCrc32c: 'int64',
  data: 'bytes',
  dataCrc32c: 'int64',
} as const;

export function useRoutes(rings: Rings, faults: FaultSwitches): readonly Route[] {
  return [
    method('cryptoKeys.cryptoKeyVersions.asymmetricSign', 'POST', `${VERSION}\\:asymmetricSign`, (call) =>
      sign(rings, faults, call),
    ),
    method('cryptoKeys.encrypt', 'POST', `${KEY}\\:encrypt`, (call) => {
      const { ring, key } = rings.key(call, 'cloudkms.cryptoKeyVersions.useToEncrypt');
      const primary = key.versions.find((version) => version.number === key.primary);
      return encrypt(rings, faults, call, { ring, key, version: primary });
    }),
    method('cryptoKeys.encrypt', 'POST', `${VERSION}\\:encrypt`, (call) =>
      encrypt(rings, faults, call, rings.version(call, 'cloudkms.cryptoKeyVersions.useToEncrypt')),
    ),
    method('cryptoKeys.decrypt', 'POST', `${KEY}\\:decrypt`, (call) => decrypt(rings, faults, call)),
  ];
}

function sign(rings: Rings, faults: FaultSwitches, call: Call): unknown {
  const { ring, key, version } = rings.version(call, 'cloudkms.cryptoKeyVersions.useToSign');
  const request = readMessage(call, SIGN_REQUEST);
  const hash = hashOf(version.algorithm);
  if (hash === undefined) throw wrongPurpose(rings, ring, key, 'ASYMMETRIC_SIGN');
  const { digest, verifiedDigest, verifiedData } = digestToSign(request, hash);
  const material = rings.usable(ring, key, version);
  const { cloudKms } = faults.current;
  const signed = faults.chance(cloudKms.wrongDigest) ? randomBytes(digest.length) : digest;
  const signature = signDigest(version.algorithm, privateKeyOf(material), signed);
  const unverified = faults.chance(cloudKms.unverified);
  return {
    signature: signature.toString('base64'),
    signatureCrc32c: answeredChecksum(faults, signature),
    ...(verifiedDigest && !unverified ? { verifiedDigestCrc32c: true } : {}),
    ...(verifiedData && !unverified ? { verifiedDataCrc32c: true } : {}),
    name: answeredVersion(rings, faults, { ring, key, version }),
    protectionLevel: key.protectionLevel,
  };
}

function digestToSign(
  request: Message<typeof SIGN_REQUEST>,
  hash: 'sha256' | 'sha384' | 'sha512',
): { digest: Buffer; verifiedDigest: boolean; verifiedData: boolean } {
  const given = Object.entries(request.digest ?? {});
  if (given.length > 0 === (request.data !== undefined))
    throw invalidArgument('Exactly one of digest and data must be given.');
  if (request.data !== undefined) {
    const verifiedData = verified('data', request.data, request.dataCrc32c);
    const digest = createHash(hash).update(request.data).digest();
    return { digest, verifiedDigest: false, verifiedData };
  }
  const digest = request.digest?.[hash];
  if (given.length !== 1 || digest === undefined)
    throw invalidArgument(`The digest must be one ${hash} digest for this key version.`);
  if (digest.length !== DIGEST_BYTES[hash])
    throw invalidArgument(`The ${hash} digest must have ${DIGEST_BYTES[hash]} bytes, not ${digest.length}.`);
  const verifiedDigest = verified('digest', digest, request.digestCrc32c);
  return { digest, verifiedDigest, verifiedData: false };
}

interface Target {
  readonly ring: StoredRing;
  readonly key: StoredKey;
  readonly version: StoredVersion | undefined;
}

/** A ciphertext says which version made it: four bytes of number, a nonce, a tag, the rest. */
function encrypt(rings: Rings, faults: FaultSwitches, call: Call, { ring, key, version }: Target): unknown {
  const request = readMessage(call, {
    plaintext: 'bytes',
    additionalAuthenticatedData: 'bytes',
    plaintextCrc32c: 'int64',
    additionalAuthenticatedDataCrc32c: 'int64',
  });
  if (key.purpose !== 'ENCRYPT_DECRYPT') throw wrongPurpose(rings, ring, key, 'ENCRYPT_DECRYPT');
  const plaintext = limited('plaintext', request.plaintext);
  const aad = limited('additional_authenticated_data', request.additionalAuthenticatedData);
  const verifiedPlaintext = verified('plaintext', plaintext, request.plaintextCrc32c);
  const verifiedAad = verified(
    'additional_authenticated_data',
    aad,
    request.additionalAuthenticatedDataCrc32c,
  );
  if (version === undefined) throw failedPrecondition(`${rings.keyName(ring, key)} has no primary version.`);
  const material = rings.usable(ring, key, version);
  const nonce = randomBytes(12);
  const cipher = createCipheriv('aes-256-gcm', material, nonce).setAAD(aad);
  const sealed = Buffer.concat([cipher.update(plaintext), cipher.final()]);
  const number = Buffer.alloc(4);
  number.writeUInt32BE(version.number);
  const ciphertext = Buffer.concat([number, nonce, cipher.getAuthTag(), sealed]);
  const unverified = faults.chance(faults.current.cloudKms.unverified);
  return {
    name: answeredVersion(rings, faults, { ring, key, version }),
    ciphertext: ciphertext.toString('base64'),
    ciphertextCrc32c: answeredChecksum(faults, ciphertext),
    ...(verifiedPlaintext && !unverified ? { verifiedPlaintextCrc32c: true } : {}),
    ...(verifiedAad && !unverified ? { verifiedAdditionalAuthenticatedDataCrc32c: true } : {}),
    protectionLevel: key.protectionLevel,
  };
}

function decrypt(rings: Rings, faults: FaultSwitches, call: Call): unknown {
  const { ring, key } = rings.key(call, 'cloudkms.cryptoKeyVersions.useToDecrypt');
  const request = readMessage(call, {
    ciphertext: 'bytes',
    additionalAuthenticatedData: 'bytes',
    ciphertextCrc32c: 'int64',
    additionalAuthenticatedDataCrc32c: 'int64',
  });
  if (key.purpose !== 'ENCRYPT_DECRYPT') throw wrongPurpose(rings, ring, key, 'ENCRYPT_DECRYPT');
  const ciphertext = request.ciphertext ?? Buffer.alloc(0);
  const aad = limited('additional_authenticated_data', request.additionalAuthenticatedData);
  verified('ciphertext', ciphertext, request.ciphertextCrc32c);
  verified('additional_authenticated_data', aad, request.additionalAuthenticatedDataCrc32c);
  if (ciphertext.length < 32) throw invalidArgument('Decryption failed: the ciphertext is invalid.');
  const number = ciphertext.readUInt32BE(0);
  const version = key.versions.find((candidate) => candidate.number === number);
  if (version === undefined) throw undecipherable();
  const opened = open(rings.usable(ring, key, version), ciphertext, aad);
  const plaintext = faults.chance(faults.current.cloudKms.wrongPlaintext)
    ? randomBytes(opened.length)
    : opened;
  return {
    ...(plaintext.length === 0 ? {} : { plaintext: plaintext.toString('base64') }),
    plaintextCrc32c: answeredChecksum(faults, plaintext),
    ...(version.number === key.primary ? { usedPrimary: true } : {}),
    protectionLevel: key.protectionLevel,
  };
}

function open(material: Buffer, ciphertext: Buffer, aad: Buffer): Buffer {
  const decipher = createDecipheriv('aes-256-gcm', material, ciphertext.subarray(4, 16), {
    authTagLength: 16,
  })
    .setAAD(aad)
    .setAuthTag(ciphertext.subarray(16, 32));
  try {
    return Buffer.concat([decipher.update(ciphertext.subarray(32)), decipher.final()]);
  } catch (error) {
    // `final` throws for one reason: the tag does not fit.
    throw undecipherable(error);
  }
}

function undecipherable(cause?: unknown): GoogleError {
  const error = invalidArgument("Decryption failed: verify that 'name' refers to the correct CryptoKey.");
  if (cause !== undefined) error.cause = cause;
  return error;
}

function limited(field: string, bytes: Buffer = Buffer.alloc(0)): Buffer {
  if (bytes.length > MAX_BYTES)
    throw invalidArgument(`The field ${field} has ${bytes.length} bytes; at most ${MAX_BYTES} are taken.`);
  return bytes;
}

function wrongPurpose(rings: Rings, ring: StoredRing, key: StoredKey, wanted: string) {
  return failedPrecondition(
    `${rings.keyName(ring, key)} cannot be used so: its purpose is ${key.purpose}, not ${wanted}.`,
  );
}

function answeredChecksum(faults: FaultSwitches, bytes: Buffer): string {
  const checksum = checksumOf(bytes);
  if (!faults.chance(faults.current.cloudKms.wrongCrc32c)) return checksum;
  return String((Number(checksum) ^ 1) >>> 0);
}

function answeredVersion(
  rings: Rings,
  faults: FaultSwitches,
  { ring, key, version }: { ring: StoredRing; key: StoredKey; version: StoredVersion },
): string {
  const name = rings.versionName(ring, key, version);
  return faults.chance(faults.current.cloudKms.otherVersion)
    ? `${rings.keyName(ring, key)}/cryptoKeyVersions/${version.number + 1}`
    : name;
}
