/** OpenSSL's command line: the second parser that the stories trust more than the libraries the product uses. */
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export interface PublishedCrl {
  readonly number: bigint;
  readonly nextUpdate: Date;
  /** OpenSSL's name of the reason by serial, lower-case hex; `Unspecified` where the entry gives none. */
  readonly revoked: ReadonlyMap<string, string>;
}

export function readCrl(der: Uint8Array): PublishedCrl {
  const text = execFileSync('openssl', ['crl', '-inform', 'DER', '-noout', '-text'], {
    input: der,
    encoding: 'utf8',
  });
  const number = /X509v3 CRL Number:\s*\n\s*(0x[0-9A-Fa-f]+|\d+)/.exec(text)?.[1];
  if (number === undefined) throw new Error(`OpenSSL finds no CRL number in:\n${text}`);
  const nextUpdate = /Next Update: (.+? GMT)/.exec(text)?.[1];
  if (nextUpdate === undefined) throw new Error(`OpenSSL finds no next update in:\n${text}`);
  const entries = text.split(/Serial Number: /).slice(1);
  return {
    number: BigInt(number),
    nextUpdate: new Date(nextUpdate),
    revoked: new Map(
      entries.map((entry) => [
        (/^[0-9A-F]+/.exec(entry)?.[0] ?? '').toLowerCase(),
        /CRL Reason Code:\s*\n\s*(.+?)\s*\n/.exec(entry)?.[1] ?? 'Unspecified',
      ]),
    ),
  };
}

export interface Chain {
  readonly leafPem: string;
  readonly issuingPem: string;
  readonly rootPem: string;
  /** DER of the CRLs of root and issuing CA. */
  readonly crls: readonly Uint8Array[];
  readonly at: Date;
}

/** What `openssl verify` says, with revocation checked all the way up; `OK` alone when there is nothing to say. */
export function verifyChain(chain: Chain, purpose: 'smimesign' | 'smimeencrypt'): string {
  const folder = mkdtempSync(join(tmpdir(), 'sealwright-verify-'));
  const file = (name: string, content: string | Uint8Array): string => {
    const path = join(folder, name);
    writeFileSync(path, content);
    return path;
  };
  try {
    const crls = chain.crls.flatMap((crl, index) => ['-CRLfile', file(`${index}.crl`, crl)]);
    const { stdout, stderr } = spawnSync(
      'openssl',
      [
        ...['verify', '-attime', String(Math.floor(chain.at.getTime() / 1000)), '-purpose', purpose],
        ...['-crl_check_all', ...crls],
        ...['-CAfile', file('root.pem', chain.rootPem), '-untrusted', file('issuing.pem', chain.issuingPem)],
        file('leaf.pem', chain.leafPem),
      ],
      { encoding: 'utf8' },
    );
    return `${stdout}${stderr}`.replaceAll(`${folder}/`, '').trim();
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
