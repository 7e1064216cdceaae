import { randomBytes } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { readCrl } from '../../../emulator/gmail/crl.ts';
import { madeOffline } from '../../../shared/domain/recorded.ts';
import { buildCrl } from '../../../shared/pki/crl.ts';
import { issueCrl } from '../../../shared/pki/issue.ts';
import { drawSerial } from '../../../shared/pki/serial.ts';
import { NOW, sampleAuthority } from '../../pki/sample-authority.ts';

describe("the emulator's CRL reader", () => {
  test('reads a CRL with more entries than the ASN.1 library takes by default', async () => {
    const { issuing, issuingSigner } = await sampleAuthority();
    const serials = Array.from({ length: 3_000 }, () => drawSerial(randomBytes)).toSorted();
    const { tbsDer } = buildCrl({
      issuerCertificateDer: issuing.certificateDer,
      crlNumber: 7n,
      now: NOW,
      entries: serials.map((serialHex) => ({ serialHex, revokedAt: NOW, reason: 'superseded' as const })),
    });
    const crlDer = await issueCrl({
      tbsDer: madeOffline(tbsDer),
      issuerCertificateDer: issuing.certificateDer,
      signer: issuingSigner,
      signingTime: NOW,
    });
    const { entries } = readCrl(Buffer.from(crlDer));
    expect([...entries.keys()].toSorted()).toEqual(serials);
  });
});
