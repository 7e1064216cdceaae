/**
 * A process that functions run in: each served by the functions framework on a Unix socket of its own, so that
 * nothing on this machine reaches them except through the emulator's Cloud Run front. It may be killed at any moment;
 * the supervisor starts it again. Told what to do by its parent in one message, answers `ready` or `failed`.
 */
import { createPrivateKey, randomBytes } from 'node:crypto';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { getTestServer } from '@google-cloud/functions-framework/testing';
import { composeBase } from '../functions/compose/parts/base.ts';
import { composeSetUp } from '../functions/compose/set-up.ts';
import { registerFunction } from '../functions/register.ts';
import { openEmbeddedForAll, openPostgresForAll } from '../shared/adapters/ledger/open-for-all.ts';
import { type SetUpResult, setUpAuthority } from '../shared/authority/set-up.ts';
import { parseSettings } from '../shared/config/settings.ts';
import type { FunctionName } from '../shared/domain/function-names.ts';
import type { IssuerRecord } from '../shared/domain/records.ts';
import { readIssuer } from '../shared/pki/certificate.ts';
import type { GenerateKey } from '../shared/pki/key.ts';
import { derToPem } from '../shared/pki/pem.ts';
import type { Ledger } from '../shared/ports/ledger.ts';
import { COMPANY } from './company.ts';
import { caKeySecret, functionEnvironments, type LocalEnvironment, setUpEnvironment } from './environment.ts';

export interface FunctionsOrder {
  /** Those that run in this process. */
  readonly functions: readonly FunctionName[];
  readonly local: LocalEnvironment;
  readonly ledgerDir: string;
  readonly offlineDir: string;
  /** RSA bits of the CA's keys, where there is none yet; 4096 unless told. */
  readonly caKeySize?: number;
  /** Address of a module whose `generateKey` makes the users' keys; the product's own does unless told. */
  readonly userKeysFrom?: string;
  readonly sockets: Readonly<Record<FunctionName, string>>;
}

export type FunctionsReport =
  | {
      readonly kind: 'ready';
      /** Whether each function works on the ledger under a role of its own. */
      readonly ledgerSeparated: boolean;
      readonly rootPem: string;
      readonly issuingPem: string;
      readonly issuerId: string;
      readonly crlUrl: string;
      readonly rootCrlUrl: string;
    }
  | { readonly kind: 'failed'; readonly message: string };

process.once('message', (order: FunctionsOrder) => {
  start(order).then(report, (error: unknown) => {
    report({ kind: 'failed', message: error instanceof Error ? error.message : String(error) });
    process.exit(1);
  });
});

// Without its parent there is nobody left to serve.
process.once('disconnect', () => process.exit(0));

async function start(order: FunctionsOrder): Promise<FunctionsReport> {
  const { clock } = composeBase(parseSettings(setUpEnvironment(order.local)));
  const { databaseUrl } = order.local;
  const ledgers =
    databaseUrl === undefined
      ? await openEmbeddedForAll({ folder: order.ledgerDir, clock })
      : await openPostgresForAll({ connectionString: databaseUrl, clock });
  const ledger = ledgers.owner;
  const environments = functionEnvironments(order.local);
  const keys = order.userKeysFrom === undefined ? {} : await userKeysFrom(order.userKeysFrom);
  for (const name of order.functions) {
    registerFunction(name, environments[name], { ledger: ledgers.as(name), ...keys });
    await serve(name, order.sockets[name]);
  }
  const issuer = (await ledger.activeIssuer()) ?? (await makeAuthority(order, ledger));
  const root = issuer.chainDer.at(-1);
  if (root === undefined) throw new Error(`Issuer ${issuer.issuerId} is recorded without its root.`);
  return {
    kind: 'ready',
    ledgerSeparated: ledgers.separated,
    rootPem: derToPem('CERTIFICATE', root),
    issuingPem: derToPem('CERTIFICATE', issuer.certificateDer),
    issuerId: issuer.issuerId,
    crlUrl: issuer.crlUrl,
    rootCrlUrl: rootCrlUrlOf(issuer),
  };
}

async function userKeysFrom(module: string): Promise<{ readonly generateKey: GenerateKey }> {
  const { generateKey } = (await import(module)) as { readonly generateKey: GenerateKey };
  return { generateKey };
}

/** What an admin does once, offline, for a real company: `sealwright ca init`. */
async function makeAuthority(order: FunctionsOrder, ledger: Ledger) {
  const deps = await composeSetUp(parseSettings(setUpEnvironment(order.local)), { ledger });
  const made = await setUpAuthority(deps, {
    country: COMPANY.country,
    organization: COMPANY.organization,
    pkiUrl: COMPANY.pkiUrl,
    keySecret: caKeySecret,
    policyOid: COMPANY.policyOid,
    ...(order.caKeySize === undefined ? {} : { modulusBits: order.caKeySize }),
  });
  storeOffline(order.offlineDir, made);
  return made.issuer;
}

/**
 * The root key under a passphrase (PBES2) beside it, and what goes with it, as `sealwright ca init` leaves them: enough for
 * a trial, and docs/cli.md has what a real company does.
 */
function storeOffline(folder: string, { rootPkcs8Der, rootDer, rootCrlDer }: SetUpResult): void {
  mkdirSync(join(folder, 'trust'), { recursive: true, mode: 0o700 });
  writeFileSync(join(folder, 'trust', 'root.pem'), derToPem('CERTIFICATE', rootDer));
  writeFileSync(join(folder, 'trust', 'root.crl'), rootCrlDer);
  const passphrase = randomBytes(18).toString('base64url');
  const der = Buffer.from(rootPkcs8Der.buffer, rootPkcs8Der.byteOffset, rootPkcs8Der.byteLength);
  const key = createPrivateKey({ key: der, format: 'der', type: 'pkcs8' });
  const pem = key.export({ format: 'pem', type: 'pkcs8', cipher: 'aes-256-cbc', passphrase });
  writeFileSync(join(folder, 'root.key.pem'), pem, { mode: 0o600 });
  writeFileSync(join(folder, 'root.passphrase'), `${passphrase}\n`, { mode: 0o600 });
  rootPkcs8Der.fill(0);
}

/** As its certificate says where the root's CRL is. */
function rootCrlUrlOf({ issuerId, certificateDer }: IssuerRecord): string {
  const url = readIssuer(certificateDer).extensions.cRLDistributionPoints?.[0]?.names[0]?.value;
  if (url === undefined) throw new Error(`The certificate of issuer ${issuerId} names no CRL of its root.`);
  return url;
}

async function serve(name: FunctionName, socket: string): Promise<void> {
  mkdirSync(dirname(socket), { recursive: true });
  rmSync(socket, { force: true });
  const server = getTestServer(name);
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(socket, resolve);
  });
}

function report(message: FunctionsReport): void {
  process.send?.(message);
}
