import { randomBytes } from 'node:crypto';
import type { EmulatorClock } from '../core/clock.ts';
import { alreadyExists, failedPrecondition, invalidArgument, notFound } from '../core/google-error.ts';
import { checkQuery, type Message, readMessage, type Shape } from '../core/message.ts';
import type { Account } from '../core/rooms.ts';
import { type Answer, type Call, ok } from '../core/route.ts';
import type { CseAdministration } from './administration.ts';
import { addressesOf } from './certificate.ts';
import { type Chain, orderChain } from './chain.ts';
import type { ChainJudge } from './chain-judge.ts';
import type { GmailOptions } from './options.ts';
import { pageOf } from './pages.ts';
import { readCertsOnlyPkcs7 } from './pkcs7.ts';
import { type CseStore, keyPairIdsOf, type StoredKeyPair, type StoredMetadata } from './store.ts';

/** Google's documented limit, in characters of `kaclsData`; whether it counts decoded bytes is not known. */
const MAX_KACLS_DATA = 8 * 1024;
const OBLITERATE_AFTER_MS = 30 * 86_400_000;
const KACLS_FIELDS = { kaclsUri: 'string', kaclsData: 'string' } as const satisfies Shape;
const METADATA_FIELDS = {
  privateKeyMetadataId: 'string',
  kaclsKeyMetadata: { message: KACLS_FIELDS },
  hardwareKeyMetadata: { message: { description: 'string' } },
} as const satisfies Shape;
/** Output-only fields are read over, as Google does. */
const KEY_PAIR_FIELDS = {
  pkcs7: 'string',
  privateKeyMetadata: { repeated: { message: METADATA_FIELDS } },
  keyPairId: 'string',
  pem: 'string',
  subjectEmailAddresses: { repeated: 'string' },
  enablementState: 'string',
  disableTime: 'string',
} as const satisfies Shape;
type MetadataMessage = Message<typeof METADATA_FIELDS>;

export interface KeyPairParts {
  readonly clock: EmulatorClock;
  readonly store: CseStore;
  readonly judge: ChainJudge;
  readonly administration: CseAdministration;
  readonly options: () => GmailOptions;
}

/**
 * `users.settings.cse.keypairs`: a leaf with its chain, and where its private key is. A pair is enabled when made;
 * it can be disabled and enabled again, and obliterated when it has been disabled for more than 30 days.
 * https://developers.google.com/workspace/gmail/api/reference/rest/v1/users.settings.cse.keypairs
 */
export class KeyPairs {
  readonly #parts: KeyPairParts;

  constructor(parts: KeyPairParts) {
    this.#parts = parts;
  }

  async create(call: Call, account: Account): Promise<Answer> {
    checkQuery(call, ['chainValidation']);
    const validation = chainValidation(call.query.get('chainValidation'));
    const body = readMessage(call, KEY_PAIR_FIELDS);
    const metadata = this.#metadata(body.privateKeyMetadata ?? []);
    const chain = uploadedChain(body.pkcs7);
    this.#requireNew(account, chain, metadata);
    const problems = await this.#parts.judge.problems(chain, account.primaryEmail);
    if (validation === 'all' && problems.length > 0) {
      const sentences = problems.map((problem) => `[${problem.id}] ${problem.sentence}`);
      throw invalidArgument(`Invalid certificate chain. ${sentences.join(' ')}`);
    }
    this.#requireNew(account, chain, metadata); // another call may have come first while the CRLs were fetched
    this.#parts.store.keepAuthorities(chain.path.slice(1));
    const stored = this.#parts.store.of(account.id);
    const keyPair: StoredKeyPair = {
      keyPairId: newKeyPairId(),
      sequence: stored.nextSequence,
      leaf: chain.leaf.der.toString('base64'),
      authorities: chain.path.slice(1).map((certificate) => certificate.fingerprint),
      leafSha256: chain.leaf.fingerprint,
      uploadedPkcs7: body.pkcs7 ?? '',
      subjectEmailAddresses: addressesOf(chain.leaf),
      privateKeyMetadata: metadata,
      problems,
    };
    stored.nextSequence += 1;
    stored.keyPairs.push(keyPair);
    this.#parts.store.changed();
    return ok(this.#wireForm(keyPair));
  }

  get(call: Call, account: Account): Answer {
    checkQuery(call);
    return ok(this.#wireForm(this.#find(call, account)));
  }

  list(call: Call, account: Account): Answer {
    checkQuery(call, ['pageSize', 'pageToken']);
    const entries = this.#parts.store.find(account.id)?.keyPairs ?? [];
    const { page, nextPageToken } = pageOf(call, entries, { kind: 'keypairs', accountId: account.id });
    return ok({
      ...(page.length === 0 ? {} : { cseKeyPairs: page.map((keyPair) => this.#wireForm(keyPair)) }),
      ...(nextPageToken === undefined ? {} : { nextPageToken }),
    });
  }

  enable(call: Call, account: Account): Answer {
    const keyPair = this.#target(call, account);
    delete keyPair.disabledAtMs;
    this.#parts.store.changed();
    return ok(this.#wireForm(keyPair));
  }

  disable(call: Call, account: Account): Answer {
    const keyPair = this.#target(call, account);
    if (keyPair.disabledAtMs !== undefined && this.#parts.options().disableAgain === 'refuse') {
      throw failedPrecondition('The key pair is disabled already.');
    }
    keyPair.disabledAtMs ??= this.#parts.clock.nowMs();
    this.#parts.store.changed();
    return ok(this.#wireForm(keyPair));
  }

  obliterate(call: Call, account: Account): Answer {
    const keyPair = this.#target(call, account);
    const { disabledAtMs } = keyPair;
    if (disabledAtMs === undefined || this.#parts.clock.nowMs() - disabledAtMs <= OBLITERATE_AFTER_MS) {
      throw failedPrecondition(
        'A key pair can be obliterated only when it has been disabled for more than 30 days.',
      );
    }
    const stored = this.#parts.store.of(account.id);
    const user = stored.identities.find(({ keys }) => keyPairIdsOf(keys).includes(keyPair.keyPairId));
    if (user !== undefined && this.#parts.options().obliterateInUse === 'refuse') {
      throw failedPrecondition(`The key pair is in use by the identity ${user.emailAddress}.`);
    }
    stored.keyPairs = stored.keyPairs.filter((other) => other !== keyPair);
    this.#parts.store.changed();
    return ok({});
  }

  /** The pair that an action names; the action's own body is an empty message. */
  #target(call: Call, account: Account): StoredKeyPair {
    checkQuery(call);
    readMessage(call, {});
    return this.#find(call, account);
  }

  #find(call: Call, account: Account): StoredKeyPair {
    const id = call.params['keyPairId'];
    const found = this.#parts.store.find(account.id)?.keyPairs.find((pair) => pair.keyPairId === id);
    if (found === undefined) throw notFound();
    return found;
  }

  /** Whether Gmail takes a leaf a second time is not known; a request that was merely repeated it must not take twice. */
  #requireNew(account: Account, chain: Chain, metadata: readonly StoredMetadata[]): void {
    const existing = this.#parts.store.find(account.id)?.keyPairs ?? [];
    const same = existing.filter((pair) => pair.leafSha256 === chain.leaf.fingerprint);
    const accepts = this.#parts.options().sameLeafAgain === 'accept';
    const isRepeated = same.some((pair) => keysOf(pair.privateKeyMetadata) === keysOf(metadata));
    if (accepts ? isRepeated : same.length > 0) throw alreadyExists();
  }

  /** The resource as Gmail answers it: `pkcs7` is never given back. */
  #wireForm(keyPair: StoredKeyPair): unknown {
    return {
      keyPairId: keyPair.keyPairId,
      pem: this.#parts.store.certificatesOf(keyPair).map(pem).join(''),
      ...(keyPair.subjectEmailAddresses.length === 0
        ? {}
        : { subjectEmailAddresses: keyPair.subjectEmailAddresses }),
      enablementState: keyPair.disabledAtMs === undefined ? 'enabled' : 'disabled',
      ...(keyPair.disabledAtMs === undefined
        ? {}
        : { disableTime: new Date(keyPair.disabledAtMs).toISOString() }),
      privateKeyMetadata: keyPair.privateKeyMetadata.map(({ privateKeyMetadataId, kacls, hardware }) => ({
        privateKeyMetadataId,
        ...(kacls === undefined ? {} : { kaclsKeyMetadata: { kaclsUri: kacls.uri, kaclsData: kacls.data } }),
        ...(hardware === undefined ? {} : { hardwareKeyMetadata: hardware }),
      })),
    };
  }

  #metadata(entries: readonly MetadataMessage[]): readonly StoredMetadata[] {
    if (entries.length === 0) {
      throw invalidArgument('privateKeyMetadata must say where the private key is; it is empty.');
    }
    return entries.map(({ kaclsKeyMetadata: kacls, hardwareKeyMetadata: hardware }, index) => {
      const at = `privateKeyMetadata[${index}]`;
      const privateKeyMetadataId = randomBytes(18).toString('base64url');
      if (kacls !== undefined && hardware === undefined) {
        return { privateKeyMetadataId, kacls: this.#kacls(kacls, `${at}.kaclsKeyMetadata`) };
      }
      if (hardware !== undefined && kacls === undefined) {
        return { privateKeyMetadataId, hardware: { description: hardware.description ?? '' } };
      }
      throw invalidArgument(`${at} must have exactly one of kaclsKeyMetadata and hardwareKeyMetadata.`);
    });
  }

  #kacls(entry: Message<typeof KACLS_FIELDS>, at: string): { uri: string; data: string } {
    const { kaclsUri: uri = '', kaclsData: data = '' } = entry;
    if (!URL.canParse(uri) || !/^https?:$/.test(new URL(uri).protocol)) {
      throw invalidArgument(`${at}.kaclsUri must be the address of a key service.`);
    }
    const registered = this.#parts.administration.keyServices();
    if (registered.length > 0 && !registered.includes(uri.replace(/\/$/, ''))) {
      throw invalidArgument(`${at}.kaclsUri names a key service that no administrator has registered.`);
    }
    if (data === '') throw invalidArgument(`${at}.kaclsData must hold the wrapped private key.`);
    if (data.length > MAX_KACLS_DATA) {
      throw invalidArgument(`${at}.kaclsData has ${data.length} characters; at most 8 KiB are allowed.`);
    }
    return { uri, data };
  }
}

/** Where the private key is, without the ids that each request gets anew. */
const keysOf = (metadata: readonly StoredMetadata[]): string =>
  JSON.stringify(metadata.map(({ kacls, hardware }) => ({ kacls, hardware })));

function chainValidation(value: string | null): 'all' | 'none' {
  if (value === null || value === 'all') return 'all';
  if (value === 'none') return 'none';
  throw invalidArgument("Invalid value at 'chainValidation' (TYPE_ENUM): it must be all or none.");
}

/** What stands in `pkcs7`, whatever `chainValidation` says: without one leaf there is nothing to keep. */
function uploadedChain(pkcs7: string | undefined): Chain {
  if (pkcs7 === undefined || pkcs7 === '') throw invalidArgument('pkcs7 must hold the certificate chain.');
  try {
    return orderChain(readCertsOnlyPkcs7(pkcs7));
  } catch (error) {
    throw invalidArgument(`Invalid PKCS#7. ${error instanceof Error ? error.message : String(error)}`);
  }
}

/** Real ids start like this, are 55 or 94 characters long and base64url. */
const newKeyPairId = (): string => `ANe1Bm${randomBytes(37).toString('base64url').slice(0, 49)}`;

function pem(der: Buffer): string {
  return `-----BEGIN CERTIFICATE-----\n${der.toString('base64').replace(/.{64}(?=.)/g, '$&\n')}\n-----END CERTIFICATE-----\n`;
}
