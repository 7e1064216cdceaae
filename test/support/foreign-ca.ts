/** A corporate CA made with OpenSSL's command line and nothing of ours, to be imported or to sign requests. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export interface ForeignCa {
  readonly rootPem: string;
  readonly issuingPem: string;
  /** Unencrypted PKCS#8 in PEM. */
  readonly issuingKeyPem: string;
  /** Key, certificate and root under `PASSWORD`. */
  readonly pkcs12: Buffer;
  /** The key alone, PEM, under `PASSWORD`. */
  readonly encryptedKeyPem: string;
  /** Signs a request as an issuing CA; answers PEM. */
  sign(csrPem: string, extensions?: readonly string[]): string;
}

export const PASSWORD = 'purchased with a password';

export const ISSUING_EXTENSIONS: readonly string[] = [
  'basicConstraints = critical, CA:TRUE, pathlen:0',
  'keyUsage = critical, digitalSignature, keyCertSign, cRLSign',
  'extendedKeyUsage = emailProtection',
  'subjectKeyIdentifier = hash',
  'authorityKeyIdentifier = keyid',
  'certificatePolicies = 1.3.6.1.4.1.32473.2.1',
  'crlDistributionPoints = URI:http://crl.corporate.example/root.crl',
  'authorityInfoAccess = caIssuers;URI:http://crl.corporate.example/root.crt',
];

export interface ForeignCaOptions {
  readonly days?: number;
  /** `openssl genpkey` arguments of the issuing key. */
  readonly key?: readonly string[];
  readonly extensions?: readonly string[];
  /** The certificate belongs to another key than the one that is handed out. */
  readonly strangerKey?: boolean;
}

const EC = ['-algorithm', 'EC', '-pkeyopt', 'ec_paramgen_curve:P-256'];
export const RSA = (bits: number) => ['-algorithm', 'RSA', '-pkeyopt', `rsa_keygen_bits:${bits}`];

/** Needs openssl. Valid from the moment it is made. */
export function foreignCa(options: ForeignCaOptions = {}): ForeignCa {
  const folder = mkdtempSync(join(tmpdir(), 'foreign-ca-'));
  const at = (name: string) => join(folder, name);
  const read = (name: string) => readFileSync(at(name), 'utf8');
  const run = (...args: readonly string[]) => {
    const { status, stderr } = spawnSync('openssl', args, { cwd: folder });
    if (status !== 0) throw new Error(`openssl ${args.join(' ')}: ${stderr.toString()}`);
  };
  const key = (name: string, args: readonly string[]) => run('genpkey', ...args, '-out', name);
  const signCsr = (name: string, extensions: readonly string[], days: number) => {
    writeFileSync(at('extensions'), `${extensions.join('\n')}\n`);
    run(
      ...[
        'x509',
        '-req',
        '-in',
        `${name}.csr`,
        '-CA',
        'root.pem',
        '-CAkey',
        'root.key',
        '-set_serial',
        '0x1234567890abcdef',
      ],
      ...['-days', String(days), '-sha256', '-extfile', 'extensions', '-out', `${name}.pem`],
    );
  };
  try {
    key('root.key', EC);
    run(
      ...[
        'req',
        '-x509',
        '-new',
        '-key',
        'root.key',
        '-days',
        '7300',
        '-subj',
        '/C=DE/O=Corporate AG/CN=Corporate Root',
        '-out',
        'root.pem',
      ],
      ...['-addext', 'keyUsage=critical,keyCertSign,cRLSign'],
    );
    key('issuing.key', options.key ?? RSA(2048));
    run(
      'req',
      '-new',
      '-key',
      'issuing.key',
      '-subj',
      '/C=DE/O=Corporate AG/CN=Corporate S-MIME CA 7',
      '-out',
      'issuing.csr',
    );
    signCsr('issuing', options.extensions ?? ISSUING_EXTENSIONS, options.days ?? 3650);
    const issuingPem = read('issuing.pem');
    if (options.strangerKey === true) key('issuing.key', RSA(2048));
    run('pkcs8', '-topk8', '-in', 'issuing.key', '-out', 'encrypted.key', '-passout', `pass:${PASSWORD}`);
    if (options.strangerKey !== true)
      run(
        ...['pkcs12', '-export', '-inkey', 'issuing.key', '-in', 'issuing.pem', '-certfile', 'root.pem'],
        ...['-out', 'ca.p12', '-passout', `pass:${PASSWORD}`],
      );
    const [rootPem, rootKey] = [read('root.pem'), read('root.key')];
    return {
      rootPem,
      issuingPem,
      issuingKeyPem: read('issuing.key'),
      pkcs12: options.strangerKey === true ? Buffer.alloc(0) : readFileSync(at('ca.p12')),
      encryptedKeyPem: read('encrypted.key'),
      sign: (csrPem, extensions = ISSUING_EXTENSIONS) => {
        const signing = mkdtempSync(join(tmpdir(), 'foreign-ca-'));
        try {
          writeFileSync(join(signing, 'root.pem'), rootPem);
          writeFileSync(join(signing, 'root.key'), rootKey);
          writeFileSync(join(signing, 'asked.csr'), csrPem);
          writeFileSync(join(signing, 'extensions'), `${extensions.join('\n')}\n`);
          const verified = spawnSync('openssl', ['req', '-verify', '-noout', '-in', 'asked.csr'], {
            cwd: signing,
          });
          if (verified.status !== 0)
            throw new Error(`The request does not verify: ${verified.stderr.toString()}`);
          const { status, stdout, stderr } = spawnSync(
            'openssl',
            [
              ...[
                'x509',
                '-req',
                '-in',
                'asked.csr',
                '-CA',
                'root.pem',
                '-CAkey',
                'root.key',
                '-set_serial',
                '0x77',
              ],
              ...['-days', '3000', '-sha256', '-extfile', 'extensions'],
            ],
            { cwd: signing },
          );
          if (status !== 0) throw new Error(stderr.toString());
          return stdout.toString();
        } finally {
          rmSync(signing, { recursive: true });
        }
      },
    };
  } finally {
    rmSync(folder, { recursive: true });
  }
}
