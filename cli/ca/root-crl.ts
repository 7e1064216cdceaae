import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { makeRootCrl, publishRootCrl } from '../../shared/authority/root-crl.ts';
import { parseSettings } from '../../shared/config/settings.ts';
import { isRevocationReason } from '../../shared/domain/revocation-reason.ts';
import { readCrl } from '../../shared/pki/crl-reader.ts';
import { pemToDer } from '../../shared/pki/pem.ts';
import type { Call, Command, Outcome } from '../command.ts';
import { EXIT } from '../exit-codes.ts';
import { UsageError } from '../failure.ts';
import { facts } from '../table.ts';
import { counted, instant } from '../words.ts';
import { type CaSurroundings, ENVIRONMENT_NOTE, withAuthority } from './authority-access.ts';
import { crlBytes, readNamed, replaceFile, writeNew } from './files.ts';
import { openOfflineRoot, ROOT_KEY_FLAGS } from './root-key.ts';

export const caRootCrl = (surroundings: CaSurroundings = {}): Command => ({
  name: 'ca root-crl',
  summary: "makes the root's next CRL offline, and publishes it",
  operands: [],
  flags: {
    ...ROOT_KEY_FLAGS,
    previous: {
      kind: 'text',
      placeholder: 'FILE',
      help: "the root's last CRL; default trust/root.crl in that folder",
    },
    revoke: { kind: 'text', placeholder: 'FILE', help: 'certificate of an issuing CA to revoke (PEM)' },
    reason: {
      kind: 'text',
      placeholder: 'REASON',
      help: 'why: keyCompromise, superseded, cessationOfOperation or affiliationChanged',
    },
    publish: {
      kind: 'text',
      placeholder: 'FILE',
      help: 'publish this CRL of the root instead; needs no key, and a network',
    },
  },
  notes: [
    'Twice a year, in two steps: "ca root-crl --offline DIR" on the machine where the root key is (it needs no network and no settings), then "ca root-crl --publish DIR/trust/root.crl" where the ledger and the bucket can be reached.',
    'The CRL is good for six months. "ca health" and the alert on ca-finding tell sixty days before it ends. What the last CRL lists stays listed; the one before is kept beside the new one under its number.',
    `For --publish: ${ENVIRONMENT_NOTE} It needs roles/storage.objectAdmin on the bucket.`,
  ],
  run: async (call) => {
    const file = call.text('publish');
    const folder = call.text('offline');
    if ((file === undefined) === (folder === undefined)) {
      throw new UsageError(
        '"ca root-crl" makes a CRL with --offline DIR, or publishes one with --publish FILE: give one of the two.',
      );
    }
    return file === undefined
      ? await make(call, folder ?? '', surroundings)
      : await publish(call, file, surroundings);
  },
});

async function make(call: Call, folder: string, surroundings: CaSurroundings): Promise<Outcome> {
  const revoke = revocationOf(call);
  const prompt = surroundings.prompt ?? { input: process.stdin, output: process.stderr };
  const standard = join(folder, 'trust', 'root.crl');
  const previousFile = call.text('previous') ?? standard;
  if (call.text('previous') === undefined && !existsSync(standard)) {
    throw new UsageError(
      `${standard} is not there: fetch the root's last CRL from its public address and name it with --previous FILE.`,
    );
  }
  const previousDer = crlBytes(readNamed(previousFile, 'The last CRL'));
  const now = await nowOf(call);
  const root = await openOfflineRoot(call, folder, prompt);
  const crlDer = await makeRootCrl({
    rootDer: root.certificateDer,
    signer: root.signer,
    previousDer,
    now,
    ...(revoke === undefined ? {} : { revoke }),
  });
  const before = readCrl(previousDer);
  const kept = join(root.trustFolder, `root-${before.crlNumber ?? 0n}.crl`);
  if (!existsSync(kept)) writeNew(kept, previousDer);
  replaceFile(standard, crlDer);
  const crl = readCrl(crlDer);
  const document = {
    file: standard,
    crlNumber: String(crl.crlNumber),
    entries: crl.entries.size,
    thisUpdate: crl.thisUpdate.toISOString(),
    nextUpdate: crl.nextUpdate?.toISOString(),
  };
  return {
    exitCode: EXIT.done,
    document,
    text: [
      facts([
        ['CRL', standard],
        ['Number', document.crlNumber],
        ['Revoked', counted(crl.entries.size, 'issuing CA')],
        ['Good until', instant(document.nextUpdate)],
        ['The one before', kept],
      ]),
      '',
      `Next: where the bucket can be reached, "sealwright ca root-crl --publish ${standard}".`,
    ].join('\n'),
  };
}

async function publish(call: Call, file: string, surroundings: CaSurroundings): Promise<Outcome> {
  const crlDer = crlBytes(readNamed(file, 'The CRL'));
  return await withAuthority(call, surroundings, async (deps) => {
    const { url, crlNumber, entries, nextUpdate } = await publishRootCrl(deps, crlDer);
    const document = { url, crlNumber: String(crlNumber), entries, nextUpdate: nextUpdate.toISOString() };
    return {
      exitCode: EXIT.done,
      document,
      text: `CRL ${crlNumber} of the root is public at ${url} and good until ${instant(document.nextUpdate)}.`,
    };
  });
}

function revocationOf(call: Call) {
  const file = call.text('revoke');
  const reason = call.text('reason');
  if (file === undefined && reason === undefined) return undefined;
  if (file === undefined || reason === undefined)
    throw new UsageError('An issuing CA is revoked with both: --revoke FILE and --reason REASON.');
  if (!isRevocationReason(reason) || reason === 'privilegeWithdrawn') {
    throw new UsageError(
      `--reason takes keyCompromise, superseded, cessationOfOperation or affiliationChanged, not "${reason}".`,
    );
  }
  const certificateDer = pemToDer(readNamed(file, 'The certificate').toString(), 'CERTIFICATE');
  return { certificateDer, reason };
}

/** This machine's clock, or the emulator's where one is tried. */
async function nowOf(call: Call): Promise<Date> {
  if (call.environment['SEALWRIGHT_CLOCK_OFFSET_FILE'] === undefined) return new Date();
  const { composeBase } = await import('../../functions/compose/parts/base.ts');
  return composeBase(parseSettings(call.environment)).clock.now();
}
