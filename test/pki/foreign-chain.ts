/**
 * Chains as other CAs make them, built with OpenSSL's command line and nothing of ours: what is acceptable to Gmail though
 * our own profiles would never write it, and what is not.
 */
import { spawnSync } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export interface ForeignChain {
  readonly root: Buffer;
  readonly issuing: Buffer;
  readonly leaf: Buffer;
  /** Unencrypted PEM. */
  readonly leafKey: string;
}

export interface ForeignOptions {
  readonly leafKey?: readonly string[];
  readonly leafDays?: number;
  readonly leafHash?: string;
  /** Lines of the leaf's extension section. */
  readonly leafExtensions?: readonly string[];
  readonly leafSubject?: string;
  readonly issuingExtensions?: readonly string[];
}

const LEAF = [
  'basicConstraints = critical, CA:FALSE',
  'keyUsage = critical, digitalSignature, nonRepudiation, keyEncipherment',
  'extendedKeyUsage = emailProtection, clientAuth',
  'subjectKeyIdentifier = hash',
  'authorityKeyIdentifier = keyid',
  'certificatePolicies = 1.3.6.1.4.1.32473.2.1',
  'crlDistributionPoints = URI:http://crl.other.example/users.crl',
  'authorityInfoAccess = caIssuers;URI:http://crl.other.example/users.crt',
  'subjectAltName = email:bob@other.example',
];

const ISSUING = [
  'basicConstraints = critical, CA:TRUE, pathlen:0',
  'keyUsage = critical, keyCertSign, cRLSign',
  'extendedKeyUsage = emailProtection, clientAuth',
  'subjectKeyIdentifier = hash',
  'authorityKeyIdentifier = keyid',
  'certificatePolicies = 1.3.6.1.4.1.32473.2.1',
  'crlDistributionPoints = URI:http://crl.other.example/root.crl',
];

export const LEAF_EXTENSIONS: readonly string[] = LEAF;
export const ISSUING_EXTENSIONS: readonly string[] = ISSUING;

/** The extension lines with one replaced by its name, or left out. */
export const replaced = (lines: readonly string[], name: string, line?: string): readonly string[] =>
  lines.flatMap((one) => (one.startsWith(`${name} `) ? (line === undefined ? [] : [line]) : [one]));

interface Folder {
  readonly path: string;
  readonly write: (name: string, content: string | Uint8Array) => void;
  readonly read: (name: string) => string;
  readonly run: (...args: readonly string[]) => void;
}

/** Keys and CAs are made once and kept as text: making keys is what takes the time. */
const made = new Map<string, string>();

function once(name: string, make: () => string): string {
  const known = made.get(name) ?? make();
  made.set(name, known);
  return known;
}

const RSA_2048 = ['genpkey', '-algorithm', 'RSA', '-pkeyopt', 'rsa_keygen_bits:2048'];

/** Needs openssl. Valid from the moment it is made. */
export function foreignChain(options: ForeignOptions = {}): ForeignChain {
  return inFolder((folder) => {
    const issuingExtensions = options.issuingExtensions ?? ISSUING;
    key(folder, 'root', RSA_2048);
    key(folder, 'issuing', RSA_2048);
    key(folder, 'leaf', options.leafKey ?? RSA_2048);
    section(folder, 'root', [
      'basicConstraints = critical, CA:TRUE',
      'keyUsage = critical, keyCertSign, cRLSign',
      'subjectKeyIdentifier = hash',
    ]);
    section(folder, 'issuing', issuingExtensions);
    section(folder, 'leaf', options.leafExtensions ?? LEAF);
    const root = once('root', () => {
      folder.run(
        ...['req', '-x509', '-new', '-config', 'root.cnf', '-extensions', 'x', '-key', 'root.key', '-sha256'],
        ...['-days', '3650', '-subj', '/C=FR/O=Other SA/CN=Other Root', '-out', 'root.pem'],
      );
      return folder.read('root.pem');
    });
    folder.write('root.pem', root);
    const issuing = once(`issuing ${issuingExtensions.join()}`, () =>
      issue(folder, 'issuing', 'root', '/C=FR/O=Other SA/CN=Other Users CA', 1825, 'sha256'),
    );
    folder.write('issuing.pem', issuing);
    const leaf = issue(
      folder,
      'leaf',
      'issuing',
      options.leafSubject ?? '/CN=Bob Other',
      options.leafDays ?? 365,
      options.leafHash ?? 'sha256',
    );
    const der = (text: string) => new X509Certificate(text).raw;
    return { root: der(root), issuing: der(issuing), leaf: der(leaf), leafKey: folder.read('leaf.key') };
  });
}

function inFolder<Result>(use: (folder: Folder) => Result): Result {
  const path = mkdtempSync(join(tmpdir(), 'sealwright-foreign-'));
  const folder: Folder = {
    path,
    write: (name, content) => writeFileSync(join(path, name), content),
    read: (name) => readFileSync(join(path, name), 'utf8'),
    run: (...args) => {
      const { status, stderr } = spawnSync('openssl', args, { cwd: path });
      if (status !== 0) throw new Error(`openssl ${args.join(' ')}: ${stderr.toString()}`);
    },
  };
  try {
    return use(folder);
  } finally {
    rmSync(path, { recursive: true, force: true });
  }
}

function key(folder: Folder, name: string, how: readonly string[]): void {
  const text = once(`${name} key ${how.join()}`, () => {
    folder.run(...how, '-out', `${name}.key`);
    return folder.read(`${name}.key`);
  });
  folder.write(`${name}.key`, text);
}

const section = (folder: Folder, name: string, lines: readonly string[]) =>
  folder.write(`${name}.cnf`, `[x]\n${lines.join('\n')}\n[req]\ndistinguished_name = dn\n[dn]\n`);

/** PEM of a certificate. */
function issue(
  { run, read }: Folder,
  name: string,
  issuer: string,
  subject: string,
  days: number,
  hash: string,
): string {
  run(
    'req',
    '-new',
    '-config',
    `${name}.cnf`,
    '-key',
    `${name}.key`,
    '-subj',
    subject,
    '-out',
    `${name}.csr`,
  );
  run(
    ...['x509', '-req', '-in', `${name}.csr`, '-CA', `${issuer}.pem`, '-CAkey', `${issuer}.key`],
    ...['-CAcreateserial', `-${hash}`, '-days', String(days)],
    ...['-extfile', `${name}.cnf`, '-extensions', 'x', '-out', `${name}.pem`],
  );
  return read(`${name}.pem`);
}
