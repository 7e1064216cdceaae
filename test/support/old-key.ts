/** Keys of mail from before, made with OpenSSL's command line and nothing of ours: of another CA, expired, as PKCS#12. */
import { spawnSync } from 'node:child_process';
import { createPrivateKey, X509Certificate } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export interface OldKey {
  readonly certificateDer: Uint8Array;
  readonly certificatePem: string;
  readonly caDer: Uint8Array;
  readonly pkcs8Der: Uint8Array;
  readonly spkiDer: Uint8Array;
  /** Under `OLD_PASSWORD`, with the certificate and its CA's. */
  readonly pkcs12: Buffer;
  /** The same protected by 3DES and SHA-1, as old programs write it. */
  readonly legacyPkcs12: Buffer;
}

export const OLD_PASSWORD = 'of the old mail program';

export interface OldKeyOptions {
  readonly address?: string;
  /** When the certificate was good. Default from 2020 to 2022. */
  readonly from?: Date;
  readonly until?: Date;
  /** `openssl genpkey` arguments. Default RSA-2048. */
  readonly key?: readonly string[];
  /** PEM of a key to be certified again. */
  readonly keyPem?: string;
}

const RSA_2048 = ['-algorithm', 'RSA', '-pkeyopt', 'rsa_keygen_bits:2048'];

const CA_CONF = `[ca]
default_ca = old
[old]
database = index.txt
rand_serial = yes
new_certs_dir = .
certificate = ca.pem
private_key = ca.key
default_md = sha256
policy = any
x509_extensions = leaf
[any]
commonName = supplied
[leaf]
subjectAltName = email:ADDRESS
keyUsage = keyEncipherment
subjectKeyIdentifier = hash
`;

const openSslDate = (at: Date): string => at.toISOString().replace(/[-:T]|\.\d+/g, '');

/** Needs openssl. */
export function oldKey({
  address = 'ana.old@corporate.example',
  from = new Date('2020-01-01T00:00:00Z'),
  until = new Date('2022-01-01T00:00:00Z'),
  key = RSA_2048,
  keyPem,
}: OldKeyOptions = {}): OldKey {
  const folder = mkdtempSync(join(tmpdir(), 'old-key-'));
  const at = (name: string) => join(folder, name);
  const run = (...args: readonly string[]) => {
    const { status, stderr } = spawnSync('openssl', args, { cwd: folder });
    if (status !== 0) throw new Error(`openssl ${args.join(' ')}: ${stderr.toString()}`);
  };
  const der = (name: string) => new Uint8Array(new X509Certificate(readFileSync(at(name))).raw);
  try {
    const newEc = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-keyout', 'ca.key'];
    run('req', '-x509', ...newEc, '-days', '3650', '-subj', '/O=Corporate AG/CN=Old CA', '-out', 'ca.pem');
    if (keyPem === undefined) run('genpkey', ...key, '-out', 'key.pem');
    else writeFileSync(at('key.pem'), keyPem);
    run('req', '-new', '-key', 'key.pem', '-subj', '/CN=Ana Example', '-out', 'csr.pem');
    const [start, end] = [openSslDate(from), openSslDate(until)];
    writeFileSync(at('index.txt'), '');
    writeFileSync(at('ca.conf'), CA_CONF.replace('ADDRESS', address));
    const dates = ['-startdate', start, '-enddate', end];
    run('ca', '-batch', '-notext', '-config', 'ca.conf', ...dates, '-in', 'csr.pem', '-out', 'leaf.pem');
    const exported = ['pkcs12', '-export', '-inkey', 'key.pem', '-in', 'leaf.pem', '-certfile', 'ca.pem'];
    const password = ['-passout', `pass:${OLD_PASSWORD}`];
    run(...exported, ...password, '-out', 'new.p12');
    const tripleDes = ['-certpbe', 'PBE-SHA1-3DES', '-keypbe', 'PBE-SHA1-3DES', '-macalg', 'sha1'];
    run(...exported, ...password, ...tripleDes, '-out', 'old.p12');
    const privateKey = createPrivateKey(readFileSync(at('key.pem')));
    const certificate = new X509Certificate(readFileSync(at('leaf.pem')));
    return {
      certificateDer: der('leaf.pem'),
      certificatePem: readFileSync(at('leaf.pem'), 'utf8'),
      caDer: der('ca.pem'),
      pkcs8Der: new Uint8Array(privateKey.export({ type: 'pkcs8', format: 'der' })),
      spkiDer: new Uint8Array(certificate.publicKey.export({ type: 'spki', format: 'der' })),
      pkcs12: readFileSync(at('new.p12')),
      legacyPkcs12: readFileSync(at('old.p12')),
    };
  } finally {
    rmSync(folder, { recursive: true });
  }
}
