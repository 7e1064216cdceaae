/** `sealwright cert export`: a certificate and its chain, as files for other programs. */
import { invalidInput } from '../../shared/errors.ts';
import { readPrivateKeyPem } from '../../shared/pki/private-key.ts';
import { adminCommand } from '../admin/admin-command.ts';
import type { CertificateView, UserView } from '../admin/answers.ts';
import type { Call, Outcome } from '../command.ts';
import { EXIT } from '../exit-codes.ts';
import { CommandFailure, UsageError } from '../failure.ts';
import { readInput } from '../input-file.ts';
import { reserveFile } from '../output-file.ts';
import { newPassword, PASSWORD_FLAG, type PromptStreams, TERMINAL } from '../password.ts';
import { withProgress } from '../progress.ts';
import {
  type Ders,
  dersOf,
  FORMATS,
  type Format,
  isFormat,
  isText,
  leastPassword,
  pkcs12Export,
  pkcs12Form,
  publicExport,
} from './formats.ts';

export const certExport = adminCommand({
  name: 'cert export',
  summary: 'a user’s certificate with its chain, as PEM, DER, PKCS#7 or PKCS#12',
  operands: ['USER'],
  flags: {
    format: { kind: 'text', placeholder: 'FORMAT', help: `${Object.keys(FORMATS).join(', ')}; default pem` },
    serial: {
      kind: 'text',
      placeholder: 'SERIAL',
      help: 'this certificate; default the newest one for Gmail in force',
    },
    out: { kind: 'text', placeholder: 'FILE', help: 'where to; text formats may go to standard output' },
    key: {
      kind: 'text',
      placeholder: 'FILE',
      help: 'for PKCS#12: the private key, in PEM, plain or encrypted',
    },
    ...PASSWORD_FLAG,
  },
  notes: [
    ...Object.entries(FORMATS).map(([format, what]) => `${format}: ${what}.`),
    'The private key of a certificate for Gmail is with the key service and cannot be exported. For another mail client: "sealwright cert issue".',
  ],
  async run(call, admin) {
    const [name = ''] = call.operands;
    const format = formatOf(call);
    const ders = await withProgress(
      call.terminal,
      () => `reading the certificate of ${name}`,
      async () => {
        const serial = call.text('serial') ?? newestInForce(await admin.user(name)).serial;
        return dersOf(await admin.certificate(serial));
      },
    );
    return await deliver(call, format, ders, TERMINAL);
  },
});

function formatOf(call: Call): Format {
  const format = call.text('format') ?? 'pem';
  if (!isFormat(format)) {
    throw new UsageError(
      `--format is one of ${Object.keys(FORMATS).join(', ')}; "${format}" is none of them.`,
    );
  }
  const out = call.text('out');
  if (out === undefined && !isText(format)) {
    throw new UsageError(`${format} is no text: say with --out FILE where it goes.`);
  }
  if (pkcs12Form(format) !== undefined && call.text('key') === undefined) {
    throw new UsageError(
      'A PKCS#12 file is for a private key, which is not here: give --key FILE, or use pkcs7 for the chain alone.',
    );
  }
  return format;
}

function newestInForce({ user, certificates }: UserView): CertificateView {
  const inForce = certificates
    .filter(
      ({ holder, revocation, state }) =>
        holder !== 'device' && revocation === undefined && state === 'signed',
    )
    .toSorted((left, right) => right.notBefore.localeCompare(left.notBefore));
  const [newest] = inForce;
  if (newest !== undefined) return newest;
  throw new CommandFailure(
    'not-found',
    `${user} has no certificate in force. "sealwright user ${user}" lists all; --serial names one.`,
  );
}

async function deliver(call: Call, format: Format, ders: Ders, streams: PromptStreams): Promise<Outcome> {
  const { content, warning } = await contentOf(call, format, ders, streams);
  if (warning !== undefined) call.terminal.tell(`Warning: ${warning}`);
  const out = call.text('out');
  if (out === undefined)
    return {
      exitCode: EXIT.done,
      document: { format, content: content.toString() },
      text: content.toString().trimEnd(),
    };
  reserveFile(out, pkcs12Form(format) === undefined ? 0o644 : 0o600).write(content);
  return {
    exitCode: EXIT.done,
    document: { format, file: out, ...(warning === undefined ? {} : { warning }) },
    text: `${out} is written: ${FORMATS[format]}.`,
  };
}

async function contentOf(
  call: Call,
  format: Format,
  ders: Ders,
  streams: PromptStreams,
): Promise<{ readonly content: Buffer; readonly warning?: string | undefined }> {
  if (format !== 'pkcs12' && format !== 'pkcs12-legacy') return { content: publicExport(format, ders) };
  const form = format === 'pkcs12' ? 'modern' : 'legacy';
  const password = await newPassword(call, streams, leastPassword(form));
  const pkcs8Der = keyFrom(call.text('key') ?? '', password);
  const { der, warning } = pkcs12Export(form, ders, { pkcs8Der, password, friendlyName: 'S/MIME' });
  return { content: Buffer.from(der), warning };
}

/** An encrypted key must be under the same password: two at once would have to be told apart. */
function keyFrom(file: string, password: string): Uint8Array {
  const pem = readInput(file).toString('latin1');
  try {
    return readPrivateKeyPem(pem, password);
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    throw invalidInput('malformed-request', `${file}: ${error.message}`, { cause: error });
  }
}
