import { createHash, X509Certificate } from 'node:crypto';
import { alreadyExists, invalidArgument, notFound } from '../core/google-error.ts';

/** An S/MIME root that an administrator has uploaded. */
export interface UploadedRoot {
  /** SHA-256 of the DER, lower-case hex; names the root in the controls. */
  readonly fingerprint: string;
  readonly subject: string;
  readonly notAfter: string;
  /** Mail domains the root counts for, lower case; `*` stands for all. */
  readonly domains: readonly string[];
  /** Base64 DER of the root alone. */
  readonly der: string;
  readonly uploadedAt: string;
}

const PEM_BLOCK = /-----BEGIN ([A-Z0-9 ]+)-----[\s\S]*?-----END \1-----/g;
const EVERY_DOMAIN = '*';

/**
 * The roots of "S/MIME: accept these additional Root Certificates". The rules for the file are those of
 * https://support.google.com/a/answer/13297070: one root, at least one intermediate, preferably an end-user
 * certificate, never a private key. Deleting a root leaves uploaded key pairs as they are.
 */
export class Roots {
  readonly #roots: UploadedRoot[];

  /** `roots` is the stored list, changed in place. */
  constructor(roots: UploadedRoot[]) {
    this.#roots = roots;
  }

  get all(): readonly UploadedRoot[] {
    return this.#roots;
  }

  /** Throws 400 for a file the Admin console would refuse and 409 for a root that is there already. */
  upload(
    pem: string,
    domains: readonly string[] | undefined,
    now: Date,
  ): { root: UploadedRoot; warnings: readonly string[] } {
    const certificates = certificatesIn(pem);
    const root = onlyRoot(certificates);
    requireSoundRoot(root, now);
    const others = certificates.filter((certificate) => certificate !== root);
    for (const certificate of others) requireIssuerAmong(certificate, certificates);
    if (!others.some((certificate) => certificate.ca)) {
      throw invalidArgument('The file must hold at least one intermediate CA besides the root.');
    }
    const warnings = others.some((certificate) => !certificate.ca)
      ? []
      : ['The file holds no end-user certificate, so only minimal checks of the chain were made.'];
    const fingerprint = createHash('sha256').update(root.raw).digest('hex');
    if (this.#roots.some((known) => known.fingerprint === fingerprint)) throw alreadyExists();
    const uploaded: UploadedRoot = {
      fingerprint,
      subject: root.subject.replaceAll('\n', ', '),
      notAfter: root.validToDate.toISOString(),
      domains: domains?.map((domain) => domain.toLowerCase()) ?? [EVERY_DOMAIN],
      der: root.raw.toString('base64'),
      uploadedAt: now.toISOString(),
    };
    this.#roots.push(uploaded);
    return { root: uploaded, warnings };
  }

  /** Throws 404 for a fingerprint that is not there. */
  remove(fingerprint: string): void {
    const index = this.#roots.findIndex((root) => root.fingerprint === fingerprint.toLowerCase());
    if (index === -1) throw notFound();
    this.#roots.splice(index, 1);
  }

  /** DER of the roots that count for mail of this address. */
  trustedFor(address: string): readonly Buffer[] {
    const domain = address.slice(address.lastIndexOf('@') + 1).toLowerCase();
    return this.#roots
      .filter((root) => root.domains.includes(EVERY_DOMAIN) || root.domains.includes(domain))
      .map((root) => Buffer.from(root.der, 'base64'));
  }
}

function certificatesIn(pem: string): readonly X509Certificate[] {
  const blocks = [...pem.matchAll(PEM_BLOCK)];
  if (blocks.some((block) => block[1]?.endsWith('PRIVATE KEY'))) {
    throw invalidArgument('The file holds a private key. Never upload one; take it out of the file.');
  }
  if (blocks.length === 0 || blocks.some((block) => block[1] !== 'CERTIFICATE')) {
    throw invalidArgument('The file must hold certificates in PEM and nothing else.');
  }
  return blocks.map((block) => {
    try {
      return new X509Certificate(block[0]);
    } catch {
      throw invalidArgument('One of the certificates in the file cannot be read.');
    }
  });
}

function onlyRoot(certificates: readonly X509Certificate[]): X509Certificate {
  const roots = certificates.filter((certificate) => certificate.subject === certificate.issuer);
  const [root] = roots;
  if (root === undefined)
    throw invalidArgument('The file must hold a root; none of its certificates is one.');
  if (roots.length > 1) {
    throw invalidArgument(`The file must hold exactly one root, it holds ${roots.length}.`);
  }
  return root;
}

function requireSoundRoot(root: X509Certificate, now: Date): void {
  if (!root.ca) throw invalidArgument('The root must be a CA (basic constraints with cA true).');
  if (!root.verify(root.publicKey)) throw invalidArgument("The root's signature on itself does not verify.");
  const { asymmetricKeyType: type, asymmetricKeyDetails: details } = root.publicKey;
  const fits =
    (type === 'rsa' && [2048, 3072, 4096].includes(details?.modulusLength ?? 0)) ||
    (type === 'ec' && ['prime256v1', 'secp384r1'].includes(details?.namedCurve ?? ''));
  if (!fits)
    throw invalidArgument("The root's key must be RSA of 2048, 3072 or 4096 bits, or EC on P-256 or P-384.");
  if (now > root.validToDate) throw invalidArgument(`The root expired at ${root.validToDate.toISOString()}.`);
}

function requireIssuerAmong(certificate: X509Certificate, certificates: readonly X509Certificate[]): void {
  const issuer = certificates.find(
    (other) => other !== certificate && other.ca && other.subject === certificate.issuer,
  );
  if (issuer !== undefined && certificate.verify(issuer.publicKey)) return;
  const name = certificate.subject.replaceAll('\n', ', ');
  throw invalidArgument(`"${name}" was not issued by a CA of the file; the chain must be complete.`);
}
