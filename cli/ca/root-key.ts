/** The root's key out of the folder that was carried away, for as long as it is needed. */
import { join } from 'node:path';
import { isSealwrightError } from '../../shared/errors.ts';
import { readIssuer } from '../../shared/pki/certificate.ts';
import { pemToDer } from '../../shared/pki/pem.ts';
import { readPrivateKeyPem } from '../../shared/pki/private-key.ts';
import { readPublicKey } from '../../shared/pki/public-key.ts';
import { type Signer, signerFromPkcs8 } from '../../shared/pki/signer.ts';
import type { Call, Flag } from '../command.ts';
import { CommandFailure } from '../failure.ts';
import { readNamed } from './files.ts';
import { ROOT_JOURNAL } from './offline-folder.ts';
import { type PromptStreams, ROOT_KEY, readExisting } from './passphrase-source.ts';
import { journalled, unfinished } from './root-journal.ts';

export const ROOT_KEY_FLAGS = {
  offline: {
    kind: 'text',
    placeholder: 'DIR',
    help: 'folder with the encrypted root key, as "ca init" made it',
  },
  'passphrase-file': {
    kind: 'text',
    placeholder: 'FILE',
    help: 'file with the passphrase of the root key (or SEALWRIGHT_ROOT_PASSPHRASE, or asked for)',
  },
} as const satisfies Readonly<Record<string, Flag>>;

export interface OfflineRoot {
  readonly certificateDer: Uint8Array;
  readonly signer: Signer;
  readonly trustFolder: string;
}

/** Throws `UsageError` for what is missing, `CommandFailure` for a passphrase that does not open the key. */
export async function openOfflineRoot(
  call: Call,
  folder: string,
  streams: PromptStreams,
): Promise<OfflineRoot> {
  const trustFolder = join(folder, 'trust');
  const certificateDer = pemToDer(
    readNamed(join(trustFolder, 'root.pem'), "The root's certificate").toString(),
    'CERTIFICATE',
  );
  const keyFile = join(folder, 'root.key.pem');
  const pem = readNamed(keyFile, "The root's key").toString();
  const pkcs8Der = open(pem, await readExisting(call, streams, ROOT_KEY), keyFile);
  try {
    const isRsa = readPublicKey(readIssuer(certificateDer).certificate.spkiDer).kind === 'rsa';
    const signer = signerFromPkcs8(pkcs8Der, {
      certificateDer,
      ...(isRsa ? { algorithm: 'sha384WithRSA' } : {}),
    });
    const journal = join(folder, ROOT_JOURNAL);
    for (const what of unfinished(journal)) {
      call.terminal.tell(
        `${journal} has a ${what}, and no signature: a command died there. Should it turn up, it is this root's; a certificate is ended by "ca root-crl --revoke".\n`,
      );
    }
    return { certificateDer, signer: journalled(signer, journal), trustFolder };
  } finally {
    pkcs8Der.fill(0);
  }
}

function open(pem: string, passphrase: string, keyFile: string): Uint8Array {
  try {
    return readPrivateKeyPem(pem, passphrase);
  } catch (error) {
    if (!isSealwrightError(error)) throw error;
    throw new CommandFailure('wrong-passphrase', `${keyFile}: ${error.message}`, { cause: error });
  }
}
