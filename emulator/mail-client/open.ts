import PostalMime from 'postal-mime';
import type { Account } from '../core/rooms.ts';
import { type MailCertificate, readMailCertificate } from './certificate.ts';
import { isNamed } from './cms-names.ts';
import { readCms, type SignedContent } from './cms-read.ts';
import type { Envelope, SealedKey } from './cms-unseal.ts';
import type { CseMail, HeldKeyPair } from './deps.ts';
import type { KeyServiceClient } from './key-service.ts';
import { canonical, decodedBody, type Entity, multipartParts, readEntity } from './mime.ts';

/** A message as a user's Gmail client shows it. */
export interface OpenedMessage {
  readonly subject: string;
  readonly from: string;
  readonly to: readonly string[];
  readonly date: string | null;
  readonly messageId: string | null;
  /** Null when the message could not be opened. */
  readonly text: string | null;
  /** Null when the message is not signed. */
  readonly signed: OpenedSignature | null;
  /** Null when the message is not encrypted. */
  readonly encrypted: { readonly keyPairId: string | null; readonly algorithm: string | null } | null;
  /** What was wrong, as sentences; empty for a message that is shown without a warning. */
  readonly problems: readonly string[];
}

export interface OpenedSignature {
  /** True when the signature holds, the chain is trusted, nothing is revoked and the address is that of From. */
  readonly valid: boolean;
  /** Address of the certificate: that of From when it is among them. */
  readonly signer: string | null;
  /** Lower-case hex. */
  readonly serial: string | null;
  /** What the signer claims, RFC 3339. */
  readonly signedAt: string | null;
  readonly revocation: 'good' | 'revoked' | 'unknown' | 'not checked';
}

export interface OpenParts {
  readonly gmail: CseMail;
  readonly keyService: KeyServiceClient;
  /** Told of a valid signer outside the domain, whose certificate is then used to answer. */
  readonly learn: (address: string, der: Buffer) => void;
}

/** Signed in encrypted is two layers, triple wrapping three. */
const MAX_LAYERS = 5;

interface Progress {
  signed: OpenedSignature | null;
  encrypted: OpenedMessage['encrypted'];
  readonly problems: string[];
}

/** Decrypts and verifies as the client of `account` would; what fails is told in `problems`, not thrown. */
export async function openMessage(
  parts: OpenParts,
  account: Account,
  message: { raw: Buffer; arrivedAt: Date },
): Promise<OpenedMessage> {
  const outer = await PostalMime.parse(message.raw);
  const from = outer.from?.address?.toLowerCase() ?? '';
  const messageId = outer.messageId ?? null;
  const progress: Progress = { signed: null, encrypted: null, problems: [] };
  let text: string | null = null;
  try {
    const reader = new LayerReader(parts, progress, {
      account,
      from,
      messageId: messageId ?? '',
      arrivedAt: message.arrivedAt,
    });
    const inner = await PostalMime.parse(await reader.innermost(canonical(message.raw)));
    text = inner.text ?? inner.html ?? '';
  } catch (error) {
    progress.problems.push(error instanceof Error ? error.message : String(error));
  }
  return {
    subject: outer.subject ?? '',
    from,
    to: (outer.to ?? []).flatMap((entry) => (entry.address === undefined ? [] : [entry.address])),
    date: outer.date ?? null,
    messageId,
    text: text === null ? null : text.replace(/\r\n/g, '\n').replace(/\n$/, ''),
    ...progress,
  };
}

interface Reading {
  readonly account: Account;
  readonly from: string;
  readonly messageId: string;
  readonly arrivedAt: Date;
}

/** Takes one S/MIME layer after the other off a message. */
class LayerReader {
  readonly #parts: OpenParts;
  readonly #progress: Progress;
  readonly #reading: Reading;

  constructor(parts: OpenParts, progress: Progress, reading: Reading) {
    this.#parts = parts;
    this.#progress = progress;
    this.#reading = reading;
  }

  /** The entity below all layers. Throws a sentence when a layer cannot be taken off. */
  async innermost(bytes: Buffer): Promise<Buffer> {
    let current = bytes;
    for (let layer = 0; layer < MAX_LAYERS; layer += 1) {
      const inner = await this.#below(readEntity(current));
      if (inner === undefined) return current;
      current = canonical(inner);
    }
    throw new Error(`The message has more than ${MAX_LAYERS} layers of S/MIME.`);
  }

  async #below(entity: Entity): Promise<Buffer | undefined> {
    if (entity.contentType === 'multipart/signed') return this.#clearSigned(entity);
    if (!/^application\/(x-)?pkcs7-mime$/.test(entity.contentType)) return undefined;
    const cms = readCms(decodedBody(entity));
    if (cms.kind === 'enveloped') return this.#decrypt(cms.envelope);
    if (cms.signed.content === undefined) throw new Error('The signature comes without what was signed.');
    await this.#verify(cms.signed, cms.signed.content);
    return cms.signed.content;
  }

  async #clearSigned(entity: Entity): Promise<Buffer> {
    const [content, signature, third] = multipartParts(entity.body, entity.parameters['boundary'] ?? '');
    if (content === undefined || signature === undefined || third !== undefined) {
      throw new Error('A multipart/signed message must have two parts: the content and its signature.');
    }
    const cms = readCms(decodedBody(readEntity(signature)));
    if (cms.kind !== 'signed') throw new Error('The signature part of the message holds no signature.');
    await this.#verify(cms.signed, content);
    return content;
  }

  async #verify(signed: SignedContent, content: Buffer): Promise<void> {
    const { from, arrivedAt } = this.#reading;
    const [leafDer] = signed.certificates;
    if (leafDer === undefined)
      throw new Error("The S/MIME signature does not carry its signer's certificate.");
    const broken = signed.problem(content);
    const judgement = await this.#parts.gmail.judgeSigner(signed.certificates, { from, arrivedAt });
    const problems = [...(broken === undefined ? [] : [broken]), ...judgement.problems];
    const named = judgement.addresses.find((address) => address.toLowerCase() === from);
    this.#progress.problems.push(...problems);
    this.#progress.signed = {
      valid: problems.length === 0,
      signer: (named ?? judgement.addresses[0])?.toLowerCase() ?? null,
      serial: readMailCertificate(leafDer).serial.toString('hex'),
      signedAt: signed.signedAt?.toISOString() ?? null,
      revocation: judgement.revocation,
    };
    if (problems.length === 0) this.#parts.learn(from, signed.answerTo);
  }

  async #decrypt(envelope: Envelope): Promise<Buffer> {
    this.#progress.encrypted = { keyPairId: null, algorithm: null };
    const { account, messageId } = this.#reading;
    const refusal = this.#parts.gmail.refusal(account);
    if (refusal !== undefined) throw new Error(refusal);
    const { keyPair, leaf, sealed } = this.#recipient(envelope);
    this.#progress.encrypted = { keyPairId: keyPair.keyPairId, algorithm: sealed.algorithm };
    const key = await this.#parts.keyService.unseal({ account, keyPair, leaf, messageId }, sealed);
    return envelope.open(key);
  }

  /** The key pair the message was encrypted to; an enabled one when there are several. */
  #recipient(envelope: Envelope): { keyPair: HeldKeyPair; leaf: MailCertificate; sealed: SealedKey } {
    const { account } = this.#reading;
    const found = this.#parts.gmail.keyPairs(account).flatMap((keyPair) => {
      const [der] = keyPair.certificates;
      if (der === undefined) return [];
      const leaf = readMailCertificate(der);
      const sealed = envelope.keys.find((candidate) => isNamed(leaf, candidate.recipient));
      return sealed === undefined ? [] : [{ keyPair, leaf, sealed }];
    });
    const chosen = found.find(({ keyPair }) => keyPair.enabled) ?? found[0];
    if (chosen === undefined) {
      throw new Error(`The message is not encrypted to any key pair of ${account.primaryEmail}.`);
    }
    return chosen;
  }
}
