/** The parsers that are given bytes from outside, each with good samples and the errors it may answer with. */

import { createHash, createHmac } from 'node:crypto';
import { madeOffline } from '../../shared/domain/recorded.ts';
import { isSealwrightError } from '../../shared/errors.ts';
import {
  buildCertificationRequest,
  readCertificationRequest,
} from '../../shared/pki/certification-request.ts';
import { buildCrl } from '../../shared/pki/crl.ts';
import { EntryWalk, IrregularEntries } from '../../shared/pki/crl-entries.ts';
import { CrlPartsReader } from '../../shared/pki/crl-parts.ts';
import { readCrl, verifyCrl } from '../../shared/pki/crl-reader.ts';
import {
  bitString,
  contextConstructed,
  integer,
  nullValue,
  octetString,
  oid,
  sequence,
} from '../../shared/pki/der.ts';
import { DerError, inside, readWhole } from '../../shared/pki/der-reader.ts';
import { issueCrl } from '../../shared/pki/issue.ts';
import { generateEcKey } from '../../shared/pki/key.ts';
import { lintCertificate } from '../../shared/pki/lint.ts';
import { lintChain } from '../../shared/pki/lint-chain.ts';
import { lintCrl } from '../../shared/pki/lint-crl.ts';
import {
  CERT_ID_HASHES,
  encodeCertId,
  encodeOcspRequest,
  issuerHashes,
  ocspError,
} from '../../shared/pki/ocsp.ts';
import { readOcspRequest, readOcspResponse, verifyOcspAnswer } from '../../shared/pki/ocsp-reader.ts';
import { derToPem } from '../../shared/pki/pem.ts';
import { certsOnlyPkcs7 } from '../../shared/pki/pkcs7.ts';
import { readPkcs12, writePkcs12 } from '../../shared/pki/pkcs12.ts';
import { pkcs12Key } from '../../shared/pki/pkcs12-kdf.ts';
import { DUAL_USE_RSA } from '../../shared/pki/profile.ts';
import { signerFromPkcs8 } from '../../shared/pki/signer.ts';
import { ocspStand } from '../support/ocsp-stand.ts';
import { openssl, opensslInstalled } from './openssl.ts';
import { NOW, sampleAuthority } from './sample-authority.ts';

export interface Parser {
  readonly name: string;
  readonly samples: readonly Uint8Array[];
  /** Answers or throws one of our errors; anything else thrown is a crash. */
  readonly parse: (bytes: Uint8Array) => unknown;
}

const PASSWORD = 'correct horse';

/** Whether an error is an answer: a sentence for a person, not a crash. */
export const isAnswer = (error: unknown): boolean => isSealwrightError(error);

export async function parsers(): Promise<readonly Parser[]> {
  const ca = await sampleAuthority();
  const leaf = await ca.leaf();
  const chain = [leaf, ca.issuing.certificateDer, ca.root.certificateDer];
  const issuerCertificateDer = ca.issuing.certificateDer;
  const reasons = ['superseded', 'keyCompromise', 'privilegeWithdrawn'] as const;
  const { tbsDer } = buildCrl({
    issuerCertificateDer,
    crlNumber: 3n,
    now: NOW,
    entries: reasons.map((reason, index) => ({
      serialHex: `1${index}${'22'.repeat(17)}`,
      revokedAt: NOW,
      reason,
      ...(index === 1 ? { invalidityDate: NOW } : {}),
    })),
  });
  const crlDer = await issueCrl({
    tbsDer: madeOffline(tbsDer),
    issuerCertificateDer,
    signer: ca.issuingSigner,
    signingTime: NOW,
  });
  const lint = (bytes: Uint8Array) =>
    lintChain(bytes, { now: NOW, address: 'ana@acme.example', password: PASSWORD });
  const pkcs12 = pkcs12Samples(chain, ca.userKey.pkcs8Der);
  return [
    {
      name: 'certificates',
      samples: chain,
      parse: (bytes) => {
        lintCertificate(bytes, { profile: DUAL_USE_RSA, issuerCertificateDer, signingTime: NOW });
        return lint(bytes);
      },
    },
    {
      name: 'PEM chains',
      samples: [Buffer.from(chain.map((der) => derToPem('CERTIFICATE', der)).join(''))],
      parse: lint,
    },
    { name: 'PKCS#7', samples: [certsOnlyPkcs7(chain), ...streamedPkcs7(chain)], parse: lint },
    { name: 'PKCS#12', samples: pkcs12, parse: (bytes) => readPkcs12(bytes, PASSWORD) },
    {
      // The check value would turn nearly every damaged file into a wrong password, so here it is made right again.
      name: 'PKCS#12 contents',
      samples: pkcs12.map(contentsOf),
      parse: (bytes) => readPkcs12(withMac(bytes), PASSWORD),
    },
    {
      name: 'certification requests',
      samples: await certificationRequests(ca.userKey.pkcs8Der),
      parse: readCertificationRequest,
    },
    {
      name: 'OCSP requests',
      samples: ocspRequests(issuerCertificateDer),
      parse: (bytes) => unlessMalformed(() => readOcspRequest(bytes)),
    },
    {
      name: 'OCSP answers',
      samples: await ocspAnswers(),
      parse: (bytes) =>
        unlessMalformed(() => {
          const { basic } = readOcspResponse(bytes);
          return basic !== undefined && verifyOcspAnswer(basic, issuerCertificateDer);
        }),
    },
    {
      name: 'CRLs',
      samples: [crlDer, ca.root.crlDer],
      parse: (bytes) => {
        lintCrl(bytes, { issuerCertificateDer, signingTime: NOW });
        verifyCrl(bytes, issuerCertificateDer);
        return [...readCrl(bytes).entries].length;
      },
    },
    {
      // As the publisher reads what is public.
      name: 'CRLs in parts',
      samples: [crlDer, ca.root.crlDer],
      parse: (bytes) => unlessMalformed(() => entriesInParts(bytes)),
    },
  ];
}

function entriesInParts(bytes: Uint8Array): number | 'irregular' {
  const reader = new CrlPartsReader();
  const walk = new EntryWalk();
  let count = 0;
  try {
    for (let at = 0; at < bytes.length; at += 97) {
      walk.load(reader.take(bytes.subarray(at, at + 97)));
      while (walk.step()) count += 1;
    }
  } catch (error) {
    if (error instanceof IrregularEntries) return 'irregular';
    throw error;
  }
  reader.end();
  return count;
}

/** A responder answers malformedRequest for what the strict reader refuses; that is an answer too. */
function unlessMalformed<T>(read: () => T): T | 'malformed' {
  try {
    return read();
  } catch (error) {
    if (error instanceof DerError) return 'malformed';
    throw error;
  }
}

/** With either digest, with a nonce, with a requestor and a signature, and about three certificates at once. */
export function ocspRequests(issuerCertificateDer: Uint8Array): readonly Uint8Array[] {
  const nonce = sequence(oid('1.3.6.1.5.5.7.48.1.2'), octetString(octetString(Buffer.alloc(32, 9))));
  return CERT_ID_HASHES.flatMap((hash) => {
    const hashes = issuerHashes(issuerCertificateDer, hash);
    const one = (serialHex: string) => sequence(encodeCertId(hash, hashes, serialHex));
    const list = sequence(one('7f01'), one(`1${'2'.repeat(35)}`), one('05'));
    return [
      encodeOcspRequest(hash, hashes, '7f01'),
      sequence(sequence(list, contextConstructed(2, sequence(nonce)))),
      sequence(
        sequence(contextConstructed(1, contextConstructed(4, sequence())), list),
        contextConstructed(
          0,
          sequence(sequence(oid('1.2.840.113549.1.1.11')), bitString(Buffer.alloc(256, 3))),
        ),
      ),
    ];
  });
}

async function ocspAnswers(): Promise<readonly Uint8Array[]> {
  const stand = await ocspStand({ now: NOW });
  await stand.answer('7f01', { kind: 'good' });
  await stand.answer('7f02', { kind: 'revoked', revokedAt: NOW, reason: 'superseded' });
  const answers = await Promise.all(
    ['7f01', '7f02'].map((serialHex) => stand.answers.readOcspAnswer('issuing-1', serialHex, 'sha1')),
  );
  return [...answers.map((answer) => answer?.answerDer ?? new Uint8Array()), ocspError('tryLater')];
}

async function certificationRequests(pkcs8Der: Uint8Array): Promise<readonly Uint8Array[]> {
  const keys = [pkcs8Der, (await generateEcKey('P-256')).pkcs8Der, (await generateEcKey('P-384')).pkcs8Der];
  return await Promise.all(
    keys.map((key) => buildCertificationRequest('ana@acme.example', signerFromPkcs8(key))),
  );
}

/** Indefinite lengths, as programs write that stream. */
function streamedPkcs7(chain: readonly Uint8Array[]): readonly Uint8Array[] {
  const der = Buffer.from(certsOnlyPkcs7(chain));
  // 30 82 LL LL 06 09 oid(9) a0 82 LL LL 30 82 LL LL …: the three outermost headers become indefinite.
  const oid = der.subarray(4, 15);
  const inner = der.subarray(23);
  const end = Buffer.alloc(6);
  return [Buffer.concat([Buffer.from('3080', 'hex'), oid, Buffer.from('a0803080', 'hex'), inner, end])];
}

/** AuthenticatedSafe of a PKCS#12 file in DER. */
function contentsOf(file: Uint8Array): Uint8Array {
  const pfx = inside(readWhole(file, 'SEQUENCE', 'the file'));
  pfx.take('INTEGER');
  const info = inside(pfx.take('SEQUENCE'));
  info.take('OBJECT IDENTIFIER');
  return inside(info.next()).take('OCTET STRING').content;
}

/** A PKCS#12 file around these contents, with a check value that fits and one iteration. */
function withMac(contents: Uint8Array): Uint8Array {
  const salt = Buffer.from('saltsalt');
  const key = pkcs12Key('sha256', PASSWORD, { salt, iterations: 1, purpose: 3, length: 32 });
  const mac = createHmac('sha256', key).update(contents).digest();
  return sequence(
    integer(3),
    sequence(oid('1.2.840.113549.1.7.1'), contextConstructed(0, octetString(contents))),
    sequence(
      sequence(sequence(oid('2.16.840.1.101.3.4.2.1'), nullValue()), octetString(mac)),
      octetString(salt),
      integer(1),
    ),
  );
}

/**
 * From OpenSSL where there is one, with one iteration each, which our own writer refuses to write, so that a hundred
 * thousand of them can be opened.
 */
function pkcs12Samples(chain: readonly Uint8Array[], pkcs8Der: Uint8Array): readonly Uint8Array[] {
  const [leafDer = new Uint8Array(), ...chainDer] = chain;
  if (!opensslInstalled) {
    const random = (size: number) => createHash('shake256', { outputLength: size }).digest();
    return [
      writePkcs12({
        form: 'modern',
        leafDer,
        chainDer,
        pkcs8Der,
        friendlyName: 'Ana',
        password: PASSWORD,
        random,
      }).der,
    ];
  }
  const files = {
    'leaf.pem': derToPem('CERTIFICATE', leafDer),
    'leaf.key': derToPem('PRIVATE KEY', pkcs8Der),
    'cas.pem': chainDer.map((der) => derToPem('CERTIFICATE', der)).join(''),
  };
  const old = ['-keypbe', 'PBE-SHA1-3DES', '-certpbe', 'PBE-SHA1-3DES', '-macalg', 'sha1'];
  return [[], old, ['-certpbe', 'NONE', '-keypbe', 'NONE']].map(
    (how) =>
      openssl(
        [
          ...[
            'pkcs12',
            '-export',
            '-in',
            'leaf.pem',
            '-inkey',
            'leaf.key',
            '-certfile',
            'cas.pem',
            '-iter',
            '1',
          ],
          ...['-name', 'Ana', ...how, '-passout', `pass:${PASSWORD}`],
        ],
        files,
      ).output,
  );
}
