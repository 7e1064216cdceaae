import type { EmulatorClock } from '../core/clock.ts';
import { alreadyExists, failedPrecondition, invalidArgument, notFound } from '../core/google-error.ts';
import { checkQuery, type Message, readMessage, type Shape } from '../core/message.ts';
import type { Account } from '../core/rooms.ts';
import { type Answer, type Call, ok } from '../core/route.ts';
import type { KeyUsageBit } from './certificate.ts';
import { orderChain } from './chain.ts';
import { addressProblems, timeProblems } from './chain-judge.ts';
import { pageOf } from './pages.ts';
import type { CseStore, IdentityKeys, StoredIdentity, StoredKeyPair } from './store.ts';

const IDENTITY_FIELDS = {
  emailAddress: 'string',
  primaryKeyPairId: 'string',
  signAndEncryptKeyPairs: { message: { signingKeyPairId: 'string', encryptionKeyPairId: 'string' } },
} as const satisfies Shape;

/**
 * `users.settings.cse.identities`: which key pair an address signs and is encrypted to. Making one publishes the
 * certificate in the domain. https://developers.google.com/workspace/gmail/api/reference/rest/v1/users.settings.cse.identities
 */
export class Identities {
  readonly #clock: EmulatorClock;
  readonly #store: CseStore;

  constructor(clock: EmulatorClock, store: CseStore) {
    this.#clock = clock;
    this.#store = store;
  }

  create(call: Call, account: Account): Answer {
    checkQuery(call);
    const body = readMessage(call, IDENTITY_FIELDS);
    const emailAddress = (body.emailAddress ?? '').toLowerCase();
    requirePrimary(emailAddress, account);
    const keys = identityKeys(body);
    if (this.#look(account, emailAddress) !== undefined) throw alreadyExists();
    this.#requireUsable(keys, account);
    const stored = this.#store.of(account.id);
    const identity: StoredIdentity = { emailAddress, sequence: stored.nextSequence, keys };
    stored.nextSequence += 1;
    stored.identities.push(identity);
    this.#store.changed();
    return ok(wireForm(identity));
  }

  get(call: Call, account: Account): Answer {
    checkQuery(call);
    return ok(wireForm(this.#find(account, call.params['cseEmailAddress'])));
  }

  list(call: Call, account: Account): Answer {
    checkQuery(call, ['pageSize', 'pageToken']);
    const entries = this.#store.find(account.id)?.identities ?? [];
    const { page, nextPageToken } = pageOf(call, entries, { kind: 'identities', accountId: account.id });
    return ok({
      ...(page.length === 0 ? {} : { cseIdentities: page.map(wireForm) }),
      ...(nextPageToken === undefined ? {} : { nextPageToken }),
    });
  }

  patch(call: Call, account: Account): Answer {
    checkQuery(call);
    const body = readMessage(call, IDENTITY_FIELDS);
    const identity = this.#find(account, call.params['emailAddress']);
    const named = body.emailAddress?.toLowerCase();
    if (named !== undefined && named !== identity.emailAddress) {
      throw invalidArgument('emailAddress cannot be changed: it must be that of the path.');
    }
    requirePrimary(identity.emailAddress, account);
    const keys = identityKeys(body);
    this.#requireUsable(keys, account);
    identity.keys = keys;
    this.#store.changed();
    return ok(wireForm(identity));
  }

  delete(call: Call, account: Account): Answer {
    checkQuery(call);
    const identity = this.#find(account, call.params['cseEmailAddress']);
    const stored = this.#store.of(account.id);
    stored.identities = stored.identities.filter((other) => other !== identity);
    this.#store.changed();
    return { status: 204 };
  }

  #look(account: Account, address: string): StoredIdentity | undefined {
    return this.#store
      .find(account.id)
      ?.identities.find((identity) => identity.emailAddress === address.toLowerCase());
  }

  #find(account: Account, address: string | undefined): StoredIdentity {
    const identity = this.#look(account, address ?? '');
    if (identity === undefined) throw notFound();
    return identity;
  }

  #requireUsable(keys: IdentityKeys, account: Account): void {
    if (keys.kind === 'primary') this.#requirePair(keys.keyPairId, account, ['sign', 'encrypt']);
    else {
      this.#requirePair(keys.signingKeyPairId, account, ['sign']);
      this.#requirePair(keys.encryptionKeyPairId, account, ['encrypt']);
    }
  }

  #requirePair(id: string, account: Account, uses: readonly (keyof typeof BITS_FOR)[]): void {
    const pair = this.#store.find(account.id)?.keyPairs.find((candidate) => candidate.keyPairId === id);
    if (pair === undefined) throw notFound();
    if (pair.disabledAtMs !== undefined) throw failedPrecondition(`The key pair ${id} is disabled.`);
    const problem = this.#problemWith(pair, account, uses);
    if (problem !== undefined) {
      throw invalidArgument(`The key pair ${id} cannot be used by an identity. ${problem}`);
    }
  }

  /** Trust and revocation were judged at the upload; time, address and use are judged again now. */
  #problemWith(
    pair: StoredKeyPair,
    account: Account,
    uses: readonly (keyof typeof BITS_FOR)[],
  ): string | undefined {
    if (pair.problems[0] !== undefined) return pair.problems[0].sentence;
    const chain = orderChain(this.#store.certificatesOf(pair));
    const problems = [
      ...timeProblems(chain, this.#clock.now()),
      ...addressProblems(chain, account.primaryEmail),
    ];
    if (problems[0] !== undefined) return problems[0].sentence;
    const bits = chain.leaf.keyUsage?.bits;
    const missing = uses.find((use) => !BITS_FOR[use].some((bit) => bits?.has(bit)));
    return missing === undefined
      ? undefined
      : `The key usage of its leaf does not let it ${missing}: it needs ${BITS_FOR[missing].join(' or ')}.`;
  }
}

/** Any one of these bits of the leaf's key usage allows the use. */
const BITS_FOR = {
  sign: ['digitalSignature', 'nonRepudiation'],
  encrypt: ['keyEncipherment', 'keyAgreement'],
} as const satisfies Readonly<Record<string, readonly KeyUsageBit[]>>;

function requirePrimary(address: string, account: Account): void {
  if (address === account.primaryEmail.toLowerCase()) return;
  throw invalidArgument(
    `emailAddress must be the primary address of the user, ${account.primaryEmail}; aliases are not supported.`,
  );
}

function identityKeys(body: Message<typeof IDENTITY_FIELDS>): IdentityKeys {
  const { primaryKeyPairId: primary, signAndEncryptKeyPairs: split } = body;
  if (primary !== undefined && split === undefined) return { kind: 'primary', keyPairId: primary };
  if (primary !== undefined || split === undefined) {
    throw invalidArgument('Exactly one of primaryKeyPairId and signAndEncryptKeyPairs must be given.');
  }
  const { signingKeyPairId, encryptionKeyPairId } = split;
  if (!signingKeyPairId || !encryptionKeyPairId) {
    throw invalidArgument('signAndEncryptKeyPairs must have both signingKeyPairId and encryptionKeyPairId.');
  }
  return { kind: 'split', signingKeyPairId, encryptionKeyPairId };
}

function wireForm({ emailAddress, keys }: StoredIdentity): unknown {
  if (keys.kind === 'primary') return { emailAddress, primaryKeyPairId: keys.keyPairId };
  const { signingKeyPairId, encryptionKeyPairId } = keys;
  return { emailAddress, signAndEncryptKeyPairs: { signingKeyPairId, encryptionKeyPairId } };
}
