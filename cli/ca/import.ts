import { importIssuer } from '../../shared/authority/follow.ts';
import type { Call, Command } from '../command.ts';
import { UsageError } from '../failure.ts';
import { withProgress } from '../progress.ts';
import {
  type CaSurroundings,
  ENVIRONMENT_NOTE,
  projectOf,
  takeOver,
  withAuthority,
} from './authority-access.ts';
import { openChainFile } from './files.ts';
import { issuerReport } from './issuer-report.ts';
import { checkPkiUrl, KEY_FLAGS, keySecretOf, needed, PKI_URL_FLAG } from './key-flags.ts';
import { readExisting } from './passphrase-source.ts';

const IMPORT_PASSWORD = {
  flag: 'password-file',
  variable: 'SEALWRIGHT_IMPORT_PASSWORD',
  opens: 'the file to import',
} as const;

export const caImport = (surroundings: CaSurroundings = {}): Command => ({
  name: 'ca import',
  summary: 'takes a corporate or purchased issuing CA: its key into Secret Manager',
  operands: ['FILE'],
  flags: {
    chain: {
      kind: 'text',
      placeholder: 'FILE',
      repeatable: true,
      help: 'further certificates, up to the root; may be repeated',
    },
    ...PKI_URL_FLAG,
    'key-secret': KEY_FLAGS['key-secret'],
    'password-file': {
      kind: 'text',
      placeholder: 'FILE',
      help: 'file with the password of FILE (or SEALWRIGHT_IMPORT_PASSWORD, or asked for)',
    },
  },
  notes: [
    'FILE is PKCS#12, or PEM with the private key, plain or encrypted, and as many certificates as it has; the rest of the chain comes with --chain. The order does not matter.',
    'Refused, with the rule that is broken and nothing written: a wrong password, a certificate that has expired, is no CA, or ends within half a year, a key of another certificate, a chain without its root, RSA below 2048 bits, a CA under which no certificate could be issued.',
    'Where an issuer is active already, the new one takes over when its first CRL is public. A CA that was imported signs CRLs at --pki-url for what it issues here; certificates it issued elsewhere stay on its own CRL.',
    ENVIRONMENT_NOTE,
  ],
  run: async (call) => {
    const { 'pki-url': pkiUrl } = needed(call, 'ca import', ['pki-url']);
    checkPkiUrl(pkiUrl);
    const keySecret = keySecretOf(call.text('key-secret'), projectOf(call));
    const { certificatesDer, pkcs8Der } = await chainAndKey(call, surroundings);
    return await withAuthority(
      call,
      surroundings,
      async (deps) => {
        const issuer = await withProgress(
          call.terminal,
          () => 'checking the chain and storing the key',
          () => importIssuer(deps, { certificatesDer, pkcs8Der, keySecret, pkiUrl }),
        );
        return issuerReport(issuer, await takeOver(call, deps, issuer, surroundings));
      },
      { migrate: true },
    );
  },
});

async function chainAndKey(call: Call, surroundings: CaSurroundings) {
  const streams = surroundings.prompt ?? { input: process.stdin, output: process.stderr };
  let asked: Promise<string> | undefined;
  const password = () => {
    asked ??= readExisting(call, streams, IMPORT_PASSWORD);
    return asked;
  };
  const files = [];
  for (const file of [...call.operands, ...call.texts('chain')])
    files.push(await openChainFile(file, password));
  const keys = files.flatMap(({ pkcs8Der }) => (pkcs8Der === undefined ? [] : [pkcs8Der]));
  const [pkcs8Der] = keys;
  if (pkcs8Der === undefined)
    throw new UsageError(
      'None of the files holds a private key: export the CA with its key, or use "ca csr".',
    );
  if (keys.length > 1) throw new UsageError(`The files hold ${keys.length} private keys; give one.`);
  return { certificatesDer: distinct(files.flatMap(({ certificatesDer }) => certificatesDer)), pkcs8Der };
}

const distinct = (ders: readonly Uint8Array[]): readonly Uint8Array[] =>
  ders.filter((der, index) => ders.findIndex((other) => Buffer.compare(other, der) === 0) === index);
