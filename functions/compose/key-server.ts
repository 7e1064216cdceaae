import { createPublicKey } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { openFedAddressBook } from '../../shared/adapters/kacls/fed-address-book.ts';
import { need, type Settings } from '../../shared/config/settings.ts';
import { invalidInput, retryable } from '../../shared/errors.ts';
import type { KeyServiceDeps } from '../key-service.ts';
import { composeBase } from './parts/base.ts';
import { keyServiceOf } from './parts/key-service.ts';
import { ledgerOf } from './parts/ledger.ts';

/**
 * The key service as a process of its own. It asks the ledger where it is given one, and is fed with signed address
 * histories where not; then key-encryption keys it cannot find stay lost, because nothing newer is known.
 */
export async function composeKeyServer(settings: Settings) {
  const base = composeBase(settings);
  const parts = keyServiceOf(settings, base);
  const keyCheck = async () => {
    const { key, wrappedDataKey } = await parts.keyEncryptionKeys.current(Buffer.from('readiness'));
    if (wrappedDataKey !== undefined) key.fill(0);
  };
  if (settings.SEALWRIGHT_KEY_SERVICE_FEED === undefined) {
    const ledger = await ledgerOf(settings, {}, base);
    const checks = {
      'key-encryption-key': keyCheck,
      ledger: async () => void (await ledger.userIdsOfAddress('readiness@sealwright.invalid')),
    };
    const deps: KeyServiceDeps = { ...parts, addressBook: ledger, newerForms: ledger };
    return { deps, checks, facts: () => ({}), refreshFeed: async () => {}, close: () => ledger.close() };
  }
  const book = await openFedAddressBook({ ...feedOf(settings), ...base });
  const deps: KeyServiceDeps = { ...parts, addressBook: book };
  const checks = {
    'key-encryption-key': keyCheck,
    // However old: nobody who is known is locked out of old mail by a stale feed.
    addresses: async () => {
      if (book.issuedAt === undefined) throw retryable('ledger-unavailable', 'No address feed was ever had.');
    },
  };
  const facts = () => ({ addressFeed: { issuedAt: book.issuedAt, addresses: book.addresses } });
  return { deps, checks, facts, refreshFeed: () => book.refresh(), close: async () => {} };
}

function feedOf(settings: Settings) {
  const keyFile = need(settings, 'SEALWRIGHT_KEY_SERVICE_FEED_KEY_FILE');
  const authorizationFile = settings.SEALWRIGHT_KEY_SERVICE_FEED_AUTHORIZATION_FILE;
  const pems =
    readSettingFile(keyFile).match(/-----BEGIN PUBLIC KEY-----[^-]+-----END PUBLIC KEY-----/g) ?? [];
  if (pems.length === 0) throw invalidInput('settings-invalid', `${keyFile} holds no public key in PEM.`);
  return {
    source: need(settings, 'SEALWRIGHT_KEY_SERVICE_FEED'),
    keys: pems.map((pem) => createPublicKey(pem)),
    tenantId: need(settings, 'SEALWRIGHT_KEY_SERVICE_TENANT'),
    stateFolder: need(settings, 'SEALWRIGHT_KEY_SERVICE_STATE'),
    ...(authorizationFile === undefined
      ? {}
      : { authorization: async () => readSettingFile(authorizationFile).trim() }),
  };
}

function readSettingFile(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    throw invalidInput('settings-invalid', `The file ${file} cannot be read.`, { cause: error });
  }
}
