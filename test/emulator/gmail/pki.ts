/** A certificate authority for tests, made with the OpenSSL command line and so by other code than what is tested. */
import { execFileSync } from 'node:child_process';
import { generateKeyPairSync, X509Certificate } from 'node:crypto';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const DAY_MS = 86_400_000;

/** OpenSSL extension lines by name; null takes a default one away. */
export type Extensions = Readonly<Record<string, string | null>>;

export interface Authority {
  readonly name: string;
  readonly folder: string;
  /** Path of the certificate in PEM. */
  readonly path: string;
  readonly der: Buffer;
  readonly pem: string;
}

export interface Leaf {
  readonly path: string;
  readonly keyPath: string;
  readonly der: Buffer;
  readonly pem: string;
}

export interface AuthorityRequest {
  readonly subject?: string;
  /** Self-signed when absent. */
  readonly issuer?: Authority;
  readonly extensions?: Extensions;
  readonly notBefore?: Date;
  readonly notAfter?: Date;
  /** Another authority whose key this one has too. */
  readonly keyOf?: Authority;
  readonly rsaBits?: number;
  /** OpenSSL's string_mask: how names are encoded. */
  readonly stringMask?: string;
  readonly digest?: string;
}

export interface LeafRequest {
  readonly subject?: string;
  readonly extensions?: Extensions;
  readonly notBefore?: Date;
  readonly notAfter?: Date;
  readonly serialHex?: string;
  /** Leaves with the same word here have the same key; `rsa-2048` unless given. */
  readonly key?: 'rsa-2048' | 'rsa-1024' | 'ec-p256' | `rsa-2048-${string}`;
  readonly digest?: string;
}

const ROOT_EXTENSIONS: Extensions = {
  basicConstraints: 'critical,CA:TRUE',
  keyUsage: 'critical,keyCertSign,cRLSign',
  subjectKeyIdentifier: 'hash',
};
const ISSUING_EXTENSIONS: Extensions = {
  basicConstraints: 'critical,CA:TRUE,pathlen:0',
  keyUsage: 'critical,keyCertSign,cRLSign,digitalSignature',
  extendedKeyUsage: 'emailProtection',
  subjectKeyIdentifier: 'hash',
  authorityKeyIdentifier: 'keyid',
};

export const leafExtensions = (address: string, issuer: string): Extensions => ({
  keyUsage: 'critical,digitalSignature,keyEncipherment',
  extendedKeyUsage: 'emailProtection',
  certificatePolicies: '1.3.6.1.4.1.99999.1.1',
  crlDistributionPoints: `URI:http://pki.acme.example/${issuer}.crl`,
  subjectAltName: `email:${address}`,
  subjectKeyIdentifier: 'hash',
  authorityKeyIdentifier: 'keyid',
});

export class OpenSslPki {
  readonly #folder = mkdtempSync(join(tmpdir(), 'pki-'));
  readonly #keys = new Map<string, string>();
  readonly #requests = new Map<string, string>();
  #count = 0;

  close(): void {
    rmSync(this.#folder, { recursive: true });
  }

  authority(name: string, request: AuthorityRequest = {}): Authority {
    const folder = join(this.#folder, name);
    mkdirSync(folder);
    const { issuer, rsaBits = 2048, keyOf } = request;
    const keyPath = keyOf === undefined ? this.#rsaKey(`ca-${name}`, rsaBits) : join(keyOf.folder, 'key.pem');
    writeFileSync(join(folder, 'key.pem'), readFileSync(keyPath));
    writeFileSync(join(folder, 'index.txt'), '');
    writeFileSync(join(folder, 'index.txt.attr'), 'unique_subject = no\n');
    writeFileSync(join(folder, 'crlnumber'), '01\n');
    writeFileSync(join(folder, 'openssl.cnf'), configuration(folder, request.stringMask ?? 'utf8only'));
    const defaults: Extensions =
      issuer === undefined
        ? ROOT_EXTENSIONS
        : { ...ISSUING_EXTENSIONS, crlDistributionPoints: `URI:http://pki.acme.example/${issuer.name}.crl` };
    const csr = this.#request(
      join(folder, 'key.pem'),
      request.subject ?? `/O=Acme/CN=Acme ${name} CA`,
      folder,
    );
    const path = join(folder, 'cert.pem');
    this.#sign({
      signerFolder: issuer?.folder ?? folder,
      selfSigned: issuer === undefined,
      csr,
      path,
      extensions: { ...defaults, ...request.extensions },
      notBefore: request.notBefore ?? new Date(Date.now() - DAY_MS),
      notAfter: request.notAfter ?? new Date(Date.now() + 3650 * DAY_MS),
      digest: request.digest ?? 'sha256',
    });
    return { name, folder, path, ...certificateAt(path) };
  }

  leaf(issuer: Authority, address: string, request: LeafRequest = {}): Leaf {
    this.#count += 1;
    const keyPath = this.#leafKey(request.key ?? 'rsa-2048');
    const csr = this.#request(keyPath, request.subject ?? `/CN=${address}`, issuer.folder);
    const path = join(this.#folder, `leaf-${this.#count}.pem`);
    this.#sign({
      signerFolder: issuer.folder,
      selfSigned: false,
      csr,
      path,
      extensions: { ...leafExtensions(address, issuer.name), ...request.extensions },
      notBefore: request.notBefore ?? new Date(Date.now() - 3_600_000),
      notAfter: request.notAfter ?? new Date(Date.now() + 365 * DAY_MS),
      digest: request.digest ?? 'sha256',
      ...(request.serialHex === undefined ? {} : { serialHex: request.serialHex }),
    });
    return { path, keyPath, ...certificateAt(path) };
  }

  /** Certs-only PKCS#7 in PEM, as `openssl crl2pkcs7` writes it for cse_cmd.py. */
  pkcs7(...certificates: readonly { readonly path: string }[]): string {
    const files = certificates.flatMap(({ path }) => ['-certfile', path]);
    return openssl(['crl2pkcs7', '-nocrl', ...files]).toString('ascii');
  }

  /** `reason` in OpenSSL's spelling; `at` is the revocation date, now unless given. */
  revoke(
    authority: Authority,
    certificate: { readonly path: string; readonly pem: string },
    reason?: string,
    at = new Date(),
  ): void {
    const config = join(authority.folder, 'openssl.cnf');
    const because = reason === undefined ? [] : ['-crl_reason', reason];
    openssl(['ca', '-config', config, '-revoke', certificate.path, ...because]);
    // OpenSSL takes no date for a revocation; the third column of its database is where it keeps it.
    const { serialNumber } = new X509Certificate(certificate.pem);
    const database = join(authority.folder, 'index.txt');
    const dated = readFileSync(database, 'utf8').replace(
      new RegExp(`^(R\\t\\w+\\t)\\w+((?:,\\w+)?\\t${serialNumber}\\t)`, 'm'),
      `$1${time(at).slice(2)}$2`,
    );
    writeFileSync(database, dated);
  }

  /** DER. */
  crl(
    authority: Authority,
    options: { thisUpdate?: Date; nextUpdate?: Date; extensions?: Extensions } = {},
  ): Buffer {
    const { thisUpdate = new Date(Date.now() - 3_600_000), nextUpdate = new Date(Date.now() + 7 * DAY_MS) } =
      options;
    const config = join(authority.folder, 'openssl-crl.cnf');
    writeFileSync(
      config,
      `${readFileSync(join(authority.folder, 'openssl.cnf'), 'utf8')}\n[crl_extensions]\n${lines({
        authorityKeyIdentifier: 'keyid',
        ...options.extensions,
      })}`,
    );
    const pem = join(authority.folder, 'crl.pem');
    openssl([
      'ca',
      '-config',
      config,
      '-gencrl',
      '-crlexts',
      'crl_extensions',
      '-crl_lastupdate',
      time(thisUpdate),
      '-crl_nextupdate',
      time(nextUpdate),
      '-out',
      pem,
    ]);
    return openssl(['crl', '-in', pem, '-outform', 'DER']);
  }

  /** A new empty file name in the PKI's folder. */
  file(name: string, content: string | Buffer = ''): string {
    this.#count += 1;
    const path = join(this.#folder, `${this.#count}-${name}`);
    writeFileSync(path, content);
    return path;
  }

  #sign(order: {
    signerFolder: string;
    selfSigned: boolean;
    csr: string;
    path: string;
    extensions: Extensions;
    notBefore: Date;
    notAfter: Date;
    digest: string;
    serialHex?: string;
  }): void {
    const extensions = this.file('extensions.cnf', lines(order.extensions));
    const config = join(order.signerFolder, 'openssl.cnf');
    if (order.serialHex !== undefined) writeFileSync(join(order.signerFolder, 'serial'), order.serialHex);
    openssl([
      'ca',
      '-batch',
      '-notext',
      '-preserveDN',
      '-config',
      config,
      ...(order.selfSigned ? ['-selfsign'] : []),
      ...(order.serialHex === undefined ? ['-rand_serial'] : []),
      '-md',
      order.digest,
      '-startdate',
      time(order.notBefore),
      '-enddate',
      time(order.notAfter),
      '-extfile',
      extensions,
      '-in',
      order.csr,
      '-out',
      order.path,
    ]);
  }

  #request(keyPath: string, subject: string, folder: string): string {
    const wanted = `${keyPath} ${subject} ${folder}`;
    const made = this.#requests.get(wanted);
    if (made !== undefined) return made;
    const csr = this.file('request.pem');
    this.#requests.set(wanted, csr);
    openssl([
      'req',
      '-new',
      '-config',
      join(folder, 'openssl.cnf'),
      '-key',
      keyPath,
      '-subj',
      subject,
      '-out',
      csr,
    ]);
    return csr;
  }

  #leafKey(kind: NonNullable<LeafRequest['key']>): string {
    if (kind === 'rsa-1024') return this.#rsaKey(kind, 1024);
    if (kind !== 'ec-p256') return this.#rsaKey(kind, 2048);
    return this.#key(kind, () =>
      generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export({ type: 'pkcs8', format: 'pem' }),
    );
  }

  #rsaKey(name: string, modulusLength: number): string {
    return this.#key(name, () =>
      generateKeyPairSync('rsa', { modulusLength }).privateKey.export({ type: 'pkcs8', format: 'pem' }),
    );
  }

  #key(name: string, make: () => string | Buffer): string {
    const known = this.#keys.get(name);
    if (known !== undefined) return known;
    const path = join(this.#folder, `${name}.key`);
    writeFileSync(path, make());
    this.#keys.set(name, path);
    return path;
  }
}

export function openssl(args: readonly string[], input?: Buffer): Buffer {
  return execFileSync('openssl', args, {
    stdio: ['pipe', 'pipe', 'pipe'],
    ...(input === undefined ? {} : { input }),
  });
}

function certificateAt(path: string): { der: Buffer; pem: string } {
  const pem = readFileSync(path, 'utf8');
  return { pem, der: new X509Certificate(pem).raw };
}

const lines = (extensions: Extensions): string =>
  Object.entries(extensions)
    .filter((entry): entry is [string, string] => entry[1] !== null)
    .map(([name, value]) => `${name}=${value}\n`)
    .join('');

const time = (instant: Date): string =>
  instant
    .toISOString()
    .replace(/\.\d+Z$/, 'Z')
    .replace(/[-:T]/g, '');

const configuration = (folder: string, stringMask: string): string => `
[ca]
default_ca = it
[it]
database = ${folder}/index.txt
serial = ${folder}/serial
crlnumber = ${folder}/crlnumber
new_certs_dir = ${folder}
certificate = ${folder}/cert.pem
private_key = ${folder}/key.pem
default_md = sha256
default_days = 1
unique_subject = no
email_in_dn = yes
policy = anything
[anything]
countryName = optional
organizationName = optional
commonName = optional
emailAddress = optional
[req]
distinguished_name = nothing
string_mask = ${stringMask}
[nothing]
`;
