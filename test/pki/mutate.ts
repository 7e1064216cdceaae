/** Taking a good to-be-signed certificate or CRL apart and putting it together again with one thing changed. */
import { readTbsCertificate } from '../../shared/pki/certificate.ts';
import { readCrlHeader } from '../../shared/pki/crl-reader.ts';
import { contextConstructed, integer, integerFromHex, sequence, time } from '../../shared/pki/der.ts';
import { EXTENSION_OIDS, type ExtensionName } from '../../shared/pki/oids.ts';
import { encodeExtension } from '../../shared/pki/tbs.ts';

export interface TbsParts {
  /** Encoded; empty for version 1. */
  version: readonly Uint8Array[];
  serial: Uint8Array;
  algorithm: Uint8Array;
  issuer: Uint8Array;
  notBefore: Uint8Array;
  notAfter: Uint8Array;
  subject: Uint8Array;
  spki: Uint8Array;
  uniqueIds: readonly Uint8Array[];
  /** Encoded extensions, in order. */
  extensions: readonly (readonly [oid: string, der: Uint8Array])[];
}

export function tbsParts(tbsDer: Uint8Array): TbsParts {
  const tbs = readTbsCertificate(tbsDer);
  return {
    version: [contextConstructed(0, integer(2))],
    serial: integerFromHex(tbs.serialHex),
    algorithm: tbs.signatureAlgorithmDer,
    issuer: tbs.issuerDer,
    notBefore: time(tbs.notBefore.at),
    notAfter: time(tbs.notAfter.at),
    subject: tbs.subjectDer,
    spki: tbs.spkiDer,
    uniqueIds: [],
    extensions: tbs.extensions.map(
      ({ oid, critical, value }) => [oid, encodeExtension(oid, critical, value)] as const,
    ),
  };
}

export const joinTbs = (parts: TbsParts): Uint8Array =>
  sequence(
    ...parts.version,
    parts.serial,
    parts.algorithm,
    parts.issuer,
    sequence(parts.notBefore, parts.notAfter),
    parts.subject,
    parts.spki,
    ...parts.uniqueIds,
    ...(parts.extensions.length === 0
      ? []
      : [contextConstructed(3, sequence(...parts.extensions.map(([, der]) => der)))]),
  );

export const withParts = (tbsDer: Uint8Array, changes: Partial<TbsParts>): Uint8Array =>
  joinTbs({ ...tbsParts(tbsDer), ...changes });

/** The same with one extension replaced, or removed where `value` is undefined. */
export function withExtension(
  tbsDer: Uint8Array,
  name: ExtensionName,
  value: Uint8Array | undefined,
  critical = false,
): Uint8Array {
  const id = EXTENSION_OIDS[name];
  const { extensions } = tbsParts(tbsDer);
  return withParts(tbsDer, {
    extensions: extensions.flatMap(([oid, der]) => {
      if (oid !== id) return [[oid, der] as const];
      return value === undefined ? [] : [[oid, encodeExtension(id, critical, value)] as const];
    }),
  });
}

/** The same with one more extension at the end. */
export const withMoreExtension = (tbsDer: Uint8Array, oid: string, critical: boolean, value: Uint8Array) =>
  withParts(tbsDer, {
    extensions: [...tbsParts(tbsDer).extensions, [oid, encodeExtension(oid, critical, value)]],
  });

export interface CrlParts {
  version: readonly Uint8Array[];
  algorithm: Uint8Array;
  issuer: Uint8Array;
  thisUpdate: Uint8Array;
  nextUpdate: readonly Uint8Array[];
  /** The list as one element, or nothing. */
  revoked: readonly Uint8Array[];
  /** Encoded extensions. */
  extensions: readonly Uint8Array[];
}

export function withCrlParts(tbsDer: Uint8Array, changes: Partial<CrlParts>): Uint8Array {
  const crl = readCrlHeader(tbsDer);
  const parts: CrlParts = {
    version: [integer(1)],
    algorithm: crl.signatureAlgorithmDer,
    issuer: crl.issuerDer,
    thisUpdate: time(crl.thisUpdate.at),
    nextUpdate: crl.nextUpdate === undefined ? [] : [time(crl.nextUpdate.at)],
    revoked: crl.revokedCertificates === undefined ? [] : [crl.revokedCertificates.der],
    extensions: crl.extensions.map(({ oid, critical, value }) => encodeExtension(oid, critical, value)),
    ...changes,
  };
  return sequence(
    ...parts.version,
    parts.algorithm,
    parts.issuer,
    parts.thisUpdate,
    ...parts.nextUpdate,
    ...parts.revoked,
    ...(parts.extensions.length === 0 ? [] : [contextConstructed(0, sequence(...parts.extensions))]),
  );
}
