/** A root, an issuing CA and a leaf, made and described by OpenSSL. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export interface TestChain {
  readonly rootPem: string;
  readonly issuingPem: string;
  readonly leafPem: string;
  /** As `openssl x509 -fingerprint -sha256` prints it, in lower-case hex without colons. */
  readonly leafSha256Hex: string;
}

export function makeChain(): TestChain {
  const folder = mkdtempSync(join(tmpdir(), 'sealwright-chain-'));
  const file = (name: string) => join(folder, name);
  const openssl = (...parameters: string[]) =>
    execFileSync('openssl', parameters, { stdio: ['ignore', 'pipe', 'ignore'] });
  const make = (name: string, issuer: string | undefined, extensions: readonly string[]) => {
    writeFileSync(file(`${name}.ext`), extensions.join('\n'));
    const key = [
      '-newkey',
      'ec',
      '-pkeyopt',
      'ec_paramgen_curve:P-256',
      '-nodes',
      '-keyout',
      file(`${name}.key`),
    ];
    openssl('req', '-new', ...key, '-subj', `/CN=${name}`, '-out', file(`${name}.csr`));
    const signer =
      issuer === undefined
        ? ['-signkey', file(`${name}.key`)]
        : ['-CA', file(`${issuer}.pem`), '-CAkey', file(`${issuer}.key`), '-CAcreateserial'];
    openssl(
      'x509',
      '-req',
      '-in',
      file(`${name}.csr`),
      ...signer,
      '-days',
      '30',
      '-extfile',
      file(`${name}.ext`),
      '-out',
      file(`${name}.pem`),
    );
    return readFileSync(file(`${name}.pem`), 'utf8');
  };
  const ca = [
    'basicConstraints=critical,CA:TRUE',
    'keyUsage=critical,keyCertSign,cRLSign',
    'subjectKeyIdentifier=hash',
  ];
  try {
    const rootPem = make('root', undefined, ca);
    const issuingPem = make('issuing', 'root', [...ca, 'authorityKeyIdentifier=keyid']);
    const leafPem = make('leaf', 'issuing', ['basicConstraints=CA:FALSE', 'authorityKeyIdentifier=keyid']);
    const printed = openssl('x509', '-in', file('leaf.pem'), '-noout', '-fingerprint', '-sha256').toString(
      'utf8',
    );
    const leafSha256Hex = (printed.split('=')[1] ?? '').trim().replaceAll(':', '').toLowerCase();
    return { rootPem, issuingPem, leafPem, leafSha256Hex };
  } finally {
    rmSync(folder, { recursive: true });
  }
}
