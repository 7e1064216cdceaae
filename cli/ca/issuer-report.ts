import type { IssuerRecord } from '../../shared/domain/records.ts';
import { readIssuer, sha256Hex } from '../../shared/pki/certificate.ts';
import { describeName, readName } from '../../shared/pki/name.ts';
import type { Outcome } from '../command.ts';
import { EXIT } from '../exit-codes.ts';
import { facts } from '../table.ts';
import { instant } from '../words.ts';
import type { Activation } from './authority-access.ts';

/** What a command that made an issuer tells: what it is, whether it issues already, what is left to do. */
export function issuerReport(issuer: IssuerRecord, activation: Activation): Outcome {
  const { certificate } = readIssuer(issuer.certificateDer);
  const subject = describeName(readName(certificate.subjectDer));
  const document = {
    issuerId: issuer.issuerId,
    subject,
    sha256: sha256Hex(issuer.certificateDer),
    notAfter: certificate.notAfter.at.toISOString(),
    keyVersion: issuer.keyVersion,
    crlUrl: issuer.crlUrl,
    issuerUrl: issuer.issuerUrl,
    ...activation,
  };
  const waits = activation.state === 'prepared';
  return {
    exitCode: waits ? EXIT.partlyDone : EXIT.done,
    document,
    text: [
      facts([
        ['Issuer', `${issuer.issuerId} (${activation.state})`],
        ['Subject', subject],
        ['SHA-256', document.sha256],
        ['Ends', instant(document.notAfter)],
        ['Key', issuer.keyVersion],
        ['CRL', issuer.crlUrl],
        ['Retiring', activation.retiring],
      ]),
      '',
      ...(waits
        ? [
            `It does not issue yet; the issuer before goes on. ${activation.reason ?? ''}`.trimEnd(),
            `When that is mended and publish-crl has run: "sealwright ca roll --activate ${issuer.issuerId}".`,
          ]
        : []),
      ...(activation.retiring === undefined
        ? []
        : [
            `Issuer ${activation.retiring} signs its CRLs until its last certificate has ended. Users move to the new one when they are renewed; "sealwright rekey --all --reason superseded" moves them now.`,
          ]),
      'Where this CA is new to Google, upload "sealwright ca trust-bundle" in the Admin console before users need it.',
    ].join('\n'),
  };
}
