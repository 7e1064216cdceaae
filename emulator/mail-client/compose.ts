import { createHash, randomBytes, verify } from 'node:crypto';
import { encodeWords } from 'nodemailer/lib/mime-funcs';
import type { EmulatorClock } from '../core/clock.ts';
import { failedPrecondition, GoogleError } from '../core/google-error.ts';
import type { Account } from '../core/rooms.ts';
import { type MailCertificate, readMailCertificate } from './certificate.ts';
import { WRITTEN_CIPHERS } from './cms-oids.ts';
import { type Sealing, sealedData } from './cms-seal.ts';
import { signedAttributes, signedData } from './cms-write.ts';
import type { CseMail, HeldKeyPair } from './deps.ts';
import type { KeyServiceClient } from './key-service.ts';
import { clearSignedEntity, headerLine, pkcs7MimeEntity, textEntity } from './mime.ts';

export interface Draft {
  /** Lower-case addresses. */
  readonly from: string;
  readonly to: readonly string[];
  readonly subject: string;
  readonly text: string;
  readonly sign: boolean;
  readonly encrypt: boolean;
  readonly form: SmimeForm;
}

/** How S/MIME is written. Gmail's base is 3.2, with AES-256-CBC and PKCS#1 v1.5; what else it may write is not published. */
export interface SmimeForm extends Sealing {
  /** `clear`: multipart/signed, which any program shows. `opaque`: the content inside the SignedData. */
  readonly signature: 'clear' | 'opaque';
}

export interface ComposeParts {
  readonly clock: EmulatorClock;
  readonly gmail: CseMail;
  readonly keyService: KeyServiceClient;
  /** DER of the certificate of somebody outside the domain. */
  readonly contact: (address: string) => Buffer | undefined;
}

/**
 * Writes the RFC 5322 message of a draft: signed, then encrypted to every recipient and the sender, as Gmail's client
 * does. Subject, From, To, Date and Message-ID stay in clear. Throws `GoogleError` with a sentence when
 * an identity, a certificate or the key service is missing or refuses.
 */
export async function composeMessage(parts: ComposeParts, sender: Account, draft: Draft): Promise<Buffer> {
  const messageId = `<${randomBytes(16).toString('hex')}@${domainOf(draft.from)}>`;
  let entity = textEntity(draft.text);
  if (draft.sign || draft.encrypt) {
    const refusal = parts.gmail.refusal(sender);
    if (refusal !== undefined) throw failedPrecondition(refusal);
    const identity = parts.gmail.identity(sender, draft.from);
    if (identity === undefined) {
      throw failedPrecondition(
        `${draft.from} has no identity for client-side encryption, so it cannot send.`,
      );
    }
    if (draft.sign) entity = await signed(parts, { sender, draft, ...identity, entity, messageId });
    if (draft.encrypt) entity = encrypted(parts, draft, identity.encryption, entity);
  }
  const headers = [
    headerLine('From', draft.from),
    headerLine('To', draft.to.join(', ')),
    headerLine('Subject', encodeWords(draft.subject, 'Q', 52)),
    headerLine('Date', parts.clock.now().toUTCString().replace('GMT', '+0000')),
    headerLine('Message-ID', messageId),
    headerLine('MIME-Version', '1.0'),
  ];
  return Buffer.concat([Buffer.from(headers.join('')), entity, Buffer.from('\r\n')]);
}

interface Signing {
  readonly sender: Account;
  readonly draft: Draft;
  readonly signing: HeldKeyPair;
  readonly encryption: HeldKeyPair;
  readonly entity: Buffer;
  readonly messageId: string;
}

async function signed({ clock, keyService }: ComposeParts, mail: Signing): Promise<Buffer> {
  const { sender: account, signing: keyPair, encryption, entity, messageId, draft } = mail;
  const now = clock.now();
  const leaf = currentLeaf(keyPair.certificates[0], account.primaryEmail, now);
  // With split keys, who answers needs the certificate of the other one.
  const encryptTo =
    encryption.keyPairId === keyPair.keyPairId
      ? undefined
      : currentLeaf(encryption.certificates[0], account.primaryEmail, now);
  const readsGcm = WRITTEN_CIPHERS[draft.form.cipher].authenticated;
  const attributes = signedAttributes(entity, now, { readsGcm, encryptTo });
  const digest = createHash('sha256').update(attributes).digest();
  const signature = await keyService.sign({ account, keyPair, leaf, messageId }, digest);
  if (!verify('sha256', attributes, leaf.publicKey, signature)) {
    throw new GoogleError(
      502,
      'keyServiceRefused',
      `The key service signed with another key than that of the key pair ${keyPair.keyPairId}.`,
      { status: 'UNAVAILABLE' },
    );
  }
  const above = keyPair.certificates.slice(0, -1); // recipients have the root already, or must not trust it
  const certificates = encryptTo === undefined ? above : [...above, encryptTo.der];
  const parts = { attributes, signature, signer: leaf, certificates };
  return draft.form.signature === 'opaque'
    ? pkcs7MimeEntity('signed-data', signedData({ ...parts, content: entity }))
    : clearSignedEntity(entity, signedData({ ...parts, content: undefined }));
}

function encrypted(
  { clock, gmail, contact }: ComposeParts,
  draft: Draft,
  own: HeldKeyPair,
  entity: Buffer,
): Buffer {
  const now = clock.now();
  const recipients = draft.to.map((address) =>
    currentLeaf(gmail.publishedCertificate(address) ?? contact(address), address, now),
  );
  const all = [...recipients, currentLeaf(own.certificates[0], draft.from, now)];
  const distinct = all.filter(
    (leaf, index) => all.findIndex((other) => other.der.equals(leaf.der)) === index,
  );
  const { authenticated } = WRITTEN_CIPHERS[draft.form.cipher];
  return pkcs7MimeEntity(
    authenticated ? 'authEnveloped-data' : 'enveloped-data',
    sealedData(entity, distinct, draft.form),
  );
}

/** The leaf to use for an address, which must be valid now and RSA. */
function currentLeaf(der: Buffer | undefined, address: string, now: Date): MailCertificate {
  if (der === undefined) {
    throw failedPrecondition(`There is no certificate for ${address}, so nothing can be encrypted to it.`);
  }
  const leaf = readMailCertificate(der);
  if (now < leaf.notBefore) {
    throw failedPrecondition(
      `The certificate of ${address} is valid only from ${leaf.notBefore.toISOString()}.`,
    );
  }
  if (now > leaf.notAfter) {
    throw failedPrecondition(`The certificate of ${address} expired at ${leaf.notAfter.toISOString()}.`);
  }
  if (leaf.publicKey.asymmetricKeyType !== 'rsa') {
    throw failedPrecondition(
      `The certificate of ${address} has no RSA key, which this client needs to encrypt to it.`,
    );
  }
  return leaf;
}

const domainOf = (address: string): string => address.slice(address.lastIndexOf('@') + 1);
