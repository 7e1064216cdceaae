/**
 * `sealwright cert issue --for-device`: a key for another mail client. It is made here, certified by request, written into
 * one file under a password, and forgotten. Nothing but the public half leaves this machine.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { isSealwrightError } from '../../shared/errors.ts';
import {
  buildCertificationRequest,
  readCertificationRequest,
} from '../../shared/pki/certification-request.ts';
import { generateEcKey, generateRsaKey, type KeyPair } from '../../shared/pki/key.ts';
import { pemToDer } from '../../shared/pki/pem.ts';
import { signerFromPkcs8 } from '../../shared/pki/signer.ts';
import { adminCommand } from '../admin/admin-command.ts';
import type { DeviceView } from '../admin/answers.ts';
import type { AdminClient } from '../admin/client.ts';
import type { Call, Command, Outcome } from '../command.ts';
import { EXIT } from '../exit-codes.ts';
import { CommandFailure, UsageError } from '../failure.ts';
import { readInput } from '../input-file.ts';
import { type ReservedFile, reserveFile } from '../output-file.ts';
import { newPassword, PASSWORD_FLAG, type PromptStreams, TERMINAL } from '../password.ts';
import { withProgress } from '../progress.ts';
import { dersOf, leastPassword, pkcs12Export, publicExport } from './formats.ts';

const KEYS = {
  rsa2048: () => generateRsaKey(2048),
  rsa3072: () => generateRsaKey(3072),
  rsa4096: () => generateRsaKey(4096),
  p256: () => generateEcKey('P-256'),
  p384: () => generateEcKey('P-384'),
} as const satisfies Readonly<Record<string, () => Promise<KeyPair>>>;

/** Long enough for a busy loop and a CRL that has to be published first. */
const PATIENCE_MS = 180_000;

export const certIssue = (streams: PromptStreams = TERMINAL, patienceMs = PATIENCE_MS): Command =>
  adminCommand({
    name: 'cert issue',
    summary: 'a certificate for another mail client, with its key, as a PKCS#12 file',
    operands: ['USER'],
    flags: {
      'for-device': { kind: 'text', placeholder: 'NAME', help: 'what to call the device: "Ana’s iPhone"' },
      out: { kind: 'text', placeholder: 'FILE', help: 'the PKCS#12 file, or with --csr the chain in PEM' },
      'key-type': {
        kind: 'text',
        placeholder: 'TYPE',
        help: `${Object.keys(KEYS).join(', ')}; default rsa3072`,
      },
      legacy: { kind: 'switch', help: 'encrypt with 3DES and SHA-1, for programs that read nothing newer' },
      csr: {
        kind: 'text',
        placeholder: 'FILE',
        help: 'certify the key of this request (PKCS#10); no key is made here',
      },
      ...PASSWORD_FLAG,
    },
    notes: [
      'The key is made on this machine and is nowhere but in the file: whoever loses it asks for another. Give the password by another way than the file.',
      'Apple Mail, Outlook, Thunderbird, Android and iOS of today read the modern form. --legacy is for gpgsm 2.2, Windows before 10 1709 and macOS before 15.',
      'EC keys (p256, p384) are for clients that can use them; when in doubt take RSA.',
    ],
    async run(call, admin) {
      const [user = ''] = call.operands;
      const device = call.text('for-device');
      const out = call.text('out');
      if (device === undefined)
        throw new UsageError(
          'Say with --for-device NAME which device it is for. Users of Gmail get theirs by themselves.',
        );
      if (out === undefined) throw new UsageError('Say with --out FILE where it goes.');
      const csr = call.text('csr');
      const issue = csr === undefined ? issueWithKey : issueForRequest;
      return await issue({ call, admin, user, device, out, streams, patienceMs });
    },
  });

interface Wanted {
  readonly call: Call;
  readonly admin: AdminClient;
  readonly user: string;
  readonly device: string;
  readonly out: string;
  readonly streams: PromptStreams;
  readonly patienceMs: number;
}

async function issueWithKey(wanted: Wanted): Promise<Outcome> {
  const { call, out } = wanted;
  const form = call.isSet('legacy') ? 'legacy' : 'modern';
  const makeKey = keyMaker(call);
  const password = await newPassword(call, wanted.streams, leastPassword(form));
  const file = reserveFile(out, 0o600);
  const key = await makeKey();
  try {
    const request = await buildCertificationRequest(wanted.user, signerFromPkcs8(key.pkcs8Der));
    const view = await certified(wanted, file, request);
    const friendlyName = `${view.user}, ${wanted.device}`;
    const { der, warning } = pkcs12Export(form, chainOf(view), {
      pkcs8Der: key.pkcs8Der,
      friendlyName,
      password,
    });
    file.write(der);
    if (warning !== undefined) call.terminal.tell(`Warning: ${warning}`);
    return outcome(view, out, form === 'legacy' ? 'PKCS#12, legacy form' : 'PKCS#12');
  } finally {
    key.pkcs8Der.fill(0);
  }
}

function keyMaker(call: Call): () => Promise<KeyPair> {
  const type = call.text('key-type') ?? 'rsa3072';
  const make = Object.hasOwn(KEYS, type) ? KEYS[type as keyof typeof KEYS] : undefined;
  if (make !== undefined) return make;
  throw new UsageError(`--key-type is one of ${Object.keys(KEYS).join(', ')}; "${type}" is none of them.`);
}

async function issueForRequest(wanted: Wanted): Promise<Outcome> {
  const { call, out } = wanted;
  if (
    call.isSet('legacy') ||
    call.text('key-type') !== undefined ||
    call.text('password-file') !== undefined
  ) {
    throw new UsageError(
      'With --csr no key is made here: leave out --legacy, --key-type and --password-file.',
    );
  }
  const request = readRequest(call.text('csr') ?? '');
  const file = reserveFile(out, 0o644);
  const view = await certified(wanted, file, request);
  file.write(publicExport('pem', chainOf(view)));
  return outcome(view, out, 'chain in PEM, leaf first');
}

/** PEM or DER; what cannot be used is said before anybody is asked. */
function readRequest(name: string): Uint8Array {
  const bytes = readInput(name);
  try {
    const der = /-----BEGIN (NEW )?CERTIFICATE REQUEST-----/.exec(bytes.toString('latin1'));
    const label = der?.[1] === undefined ? 'CERTIFICATE REQUEST' : 'NEW CERTIFICATE REQUEST';
    const requestDer = der === null ? bytes : pemToDer(bytes.toString('latin1'), label);
    readCertificationRequest(requestDer);
    return requestDer;
  } catch (error) {
    if (!isSealwrightError(error)) throw error;
    throw new CommandFailure(error.code, `${name}: ${error.message}`, { cause: error, exitCode: EXIT.usage });
  }
}

/** Asks and waits. When it ends without a certificate, nothing is left behind: no file, and no request that is met later. */
async function certified(wanted: Wanted, file: ReservedFile, requestDer: Uint8Array): Promise<DeviceView> {
  const { admin, user, device } = wanted;
  let view: DeviceView | undefined;
  try {
    const request = Buffer.from(requestDer).toString('base64');
    view = await admin.requestDevice({ user, device, request });
    return await issued(wanted, view);
  } catch (error) {
    file.discard();
    if (view !== undefined) await takeBack(wanted, view, error);
    throw error;
  }
}

const LOOK_MS = 250;

async function issued({ call, admin, patienceMs }: Wanted, asked: DeviceView): Promise<DeviceView> {
  let view = asked;
  return await withProgress(
    call.terminal,
    () => `waiting for the certificate of ${view.user}: ${view.reason ?? 'asked for'}`,
    async () => {
      const endsMs = performance.now() + patienceMs;
      while (view.state === 'waiting' && performance.now() < endsMs) {
        await sleep(LOOK_MS);
        view = await admin.device(asked.id);
      }
      if (view.state === 'issued') return view;
      throw new CommandFailure(
        'not-issued',
        `There is no certificate for "${view.device}" (${view.state}): ${view.reason ?? 'no reason is known'} Nothing was written, and the request is taken back.`,
        { details: { device: view.id, state: view.state } },
      );
    },
  );
}

/** The key is gone with this process, so a certificate over it must not come into force. The first failure is the one told. */
async function takeBack({ call, admin }: Wanted, view: DeviceView, because: unknown): Promise<void> {
  try {
    await admin.revokeDevice(view.id, 'cessationOfOperation');
  } catch (error) {
    if (!(error instanceof CommandFailure)) throw because;
    call.terminal.tell(
      `The request could not be taken back either. Do it with "sealwright cert revoke ${view.id} --reason cessationOfOperation".`,
    );
  }
}

function chainOf({ certificate, chain }: DeviceView) {
  if (certificate !== undefined && chain !== undefined) return dersOf({ certificate, chain });
  throw new CommandFailure('answer-not-understood', 'The admin API says "issued" and gives no certificate.');
}

const outcome = (view: DeviceView, out: string, what: string): Outcome => ({
  exitCode: EXIT.done,
  document: { device: view.id, user: view.user, serial: view.serial, notAfter: view.notAfter, file: out },
  text: [
    `${out} is written (${what}): certificate ${view.serial} of ${view.user} for "${view.device}".`,
    `Should the device be lost: sealwright cert revoke ${view.id} --reason keyCompromise`,
  ].join('\n'),
});
