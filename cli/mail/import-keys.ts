/** Keys of old mail on their way: wrapped by the user's key service, told to the admin API, waited for. */
import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import { importIdOf } from '../../shared/domain/imported-certificate.ts';
import { isSealwrightError } from '../../shared/errors.ts';
import type { KeyService } from '../../shared/ports/key-service.ts';
import { type ImportedKeyView, importedKey } from '../admin/answers.ts';
import type { AdminClient } from '../admin/client.ts';
import { CommandFailure } from '../failure.ts';
import type { OldKey } from './old-keys.ts';

export const migration = z.looseObject({
  user: z.string(),
  userId: z.string(),
  keyService: z.string(),
  /** Certificates whose mail opens already; DER, base64. */
  certificates: z.array(z.looseObject({ certificate: z.string() })),
  imports: z.array(importedKey),
});

export type Migration = z.output<typeof migration>;

export interface KeyRow {
  readonly file: string;
  readonly id: string;
  readonly addresses: readonly string[];
  readonly from: string;
  readonly until: string;
  /** `waiting`: it is recorded and goes up when Gmail answers. `would be`: in a dry run. */
  readonly fate: 'would be imported' | 'imported' | 'there already' | 'waiting' | 'refused';
  readonly detail?: string;
}

const LOOK_MS = 250;

const rowOf = ({ file, chainDer: [der], addresses, notBefore, notAfter }: OldKey) => ({
  file,
  id: importIdOf(der),
  addresses,
  from: notBefore.toISOString(),
  until: notAfter.toISOString(),
});

/** What would become of each, asking nobody. */
export const foreseeKeys = (keys: readonly OldKey[], { imports }: Migration): readonly KeyRow[] =>
  keys.map((key) => ({
    ...rowOf(key),
    ...(key.unfit === undefined
      ? { fate: isThere(imports, importIdOf(key.chainDer[0])) ? 'there already' : 'would be imported' }
      : { fate: 'refused', detail: key.unfit }),
  }));

const isThere = (imports: readonly ImportedKeyView[], id: string): boolean =>
  imports.some(
    (known) => known.id === id && known.state === 'uploaded' && known.keypairDisabled === undefined,
  );

/**
 * Wraps and imports one key. What is refused is the row's fate and stops no other. Asked again, whatever was done is taken as it
 * is. Throws what is about everything: no token, no key service, no admin API.
 */
export async function importKey(
  key: OldKey,
  {
    admin,
    keyService,
    migration: { userId, user, keyService: keyServiceUrl, imports },
    patienceMs,
  }: {
    readonly admin: AdminClient;
    readonly keyService: KeyService;
    readonly migration: Migration;
    readonly patienceMs: number;
  },
): Promise<KeyRow> {
  const row = rowOf(key);
  if (key.unfit !== undefined) return { ...row, fate: 'refused', detail: key.unfit };
  if (isThere(imports, row.id)) return { ...row, fate: 'there already' };
  try {
    const { wrappedKey } = await keyService.wrapPrivateKey({
      keyServiceUrl,
      privateKeyDer: key.pkcs8Der,
      spkiSha256Hex: key.spkiSha256Hex,
      userId,
    });
    const chain = key.chainDer.map((der) => Buffer.from(der).toString('base64'));
    const wanted = { user, chain, keyService: keyServiceUrl, wrappedKey };
    const shown = `"sealwright user ${user}" shows it`;
    const view = await waitFor(
      admin,
      await admin.post('v1/imported-keys', wanted, importedKey, shown),
      patienceMs,
    );
    const detail = view.reason === undefined ? {} : { detail: view.reason };
    if (view.state === 'uploaded') return { ...row, fate: 'imported' };
    return { ...row, fate: view.state, ...detail };
  } catch (error) {
    if (!isAboutThisKey(error)) throw error;
    return { ...row, fate: 'refused', detail: error.message };
  }
}

async function waitFor(
  admin: AdminClient,
  asked: ImportedKeyView,
  patienceMs: number,
): Promise<ImportedKeyView> {
  const endsMs = performance.now() + patienceMs;
  let view = asked;
  while (view.state === 'waiting' && performance.now() < endsMs) {
    await sleep(LOOK_MS);
    view = await admin.read(`v1/imported-keys/${view.id}`, importedKey);
  }
  return view;
}

/** Codes with which the key service or the admin API refuses one key and not the whole migration. */
const OF_ONE_KEY: ReadonlySet<string> = new Set(['conflict', 'key-blocked', 'key-weak', 'malformed-request']);

const isAboutThisKey = (error: unknown): error is Error =>
  (error instanceof CommandFailure && OF_ONE_KEY.has(error.code)) ||
  (isSealwrightError(error) &&
    error.code === 'key-service-refused' &&
    Number(error.details?.['httpStatus']) === 400);
