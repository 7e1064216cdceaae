/**
 * Gmail's client-side encryption settings through the Gmail API, as the user whose mailbox it is.
 * https://developers.google.com/workspace/gmail/api/reference/rest/v1/users.settings.cse.keypairs ,
 * https://developers.google.com/workspace/gmail/api/reference/rest/v1/users.settings.cse.identities
 *
 * Mail encrypted to an obliterated key pair is lost to everybody: `obliterateKeypair` is called from one place, the
 * step that carries out what two admins asked for. `chainValidation` is left at Google's default, `all`, for every pair that an
 * identity will use: chain and revocation state are checked by Google at upload.
 */

import type { gmail_v1 } from 'googleapis/build/src/apis/gmail/v1.js';
import type { Gmail } from '../../ports/gmail.ts';
import { callGoogle } from '../google/call.ts';
import { GoogleCallError } from '../google/call-error.ts';
import type { DelegatedCredentials } from '../google/delegated-credentials.ts';
import type { GoogleEndpoints } from '../google/endpoints.ts';
import { type Pace, unpaced } from '../google/pace.ts';
import { type RestRequest, restAnswer } from '../google/rest.ts';
import type { Repeatable, RetrySettings } from '../google/retry.ts';
import { gmailFailure, isAlreadyExists, isFailedPrecondition } from './failure.ts';
import { privateKeyMetadata } from './private-key-metadata.ts';
import { fromIdentity, KEYPAIR_PAGE_FIELDS, toIdentity, toKeypair, unusable } from './wire.ts';

/** The only scope it needs. */
export const GMAIL_SCOPES = ['https://www.googleapis.com/auth/gmail.settings.basic'] as const;

export interface GoogleGmailOptions {
  readonly credentials: Pick<DelegatedCredentials, 'forUser'>;
  readonly endpoints: GoogleEndpoints;
  readonly retry: RetrySettings;
  /** What all instances may spend together of the project's quota units; no limit unless told. */
  readonly pace?: Pace;
}

/**
 * Google publishes no units for `settings.cse`; its other settings methods take from 1 to 100, so a read is taken for 5 and a
 * write for 100. https://developers.google.com/workspace/gmail/api/reference/quota
 */
const unitsOf = (method: string): number => (/\.(?:list|get)$/.test(method) ? 5 : 100);

interface Request {
  /** Google's method id below `gmail.users.settings.cse.`. */
  readonly method: string;
  readonly repeatable: Repeatable;
  /** What we were doing, for the error: "Listing the key pairs". */
  readonly doing: string;
}

/** One request below `users/me/settings/cse/`, its path already escaped. */
type Call = Omit<RestRequest, 'url'> & { readonly path: string };

const GOOGLE = 'https://gmail.googleapis.com/';

export function googleGmail(options: GoogleGmailOptions): Gmail {
  const { credentials, retry, pace = unpaced } = options;
  const root = `${options.endpoints.rootUrl ?? GOOGLE}gmail/v1/users/me/settings/cse/`;

  /** `expect` may turn a refusal into an answer; undefined leaves it the failure it is. */
  async function call<T>(
    mailbox: string,
    request: Request,
    { path, ...rest }: Call,
    expect: (error: GoogleCallError) => Promise<T | undefined> | T | undefined = () => undefined,
  ): Promise<T> {
    const method = `gmail.users.settings.cse.${request.method}`;
    try {
      return (await callGoogle(
        { ...request, method, retry, pace, units: unitsOf(request.method) },
        credentials.forUser(mailbox),
        (token) => restAnswer({ url: `${root}${path}`, ...rest }, token, retry),
      )) as T;
    } catch (error) {
      if (!(error instanceof GoogleCallError)) throw error;
      const expected = error.failure.method === method ? await expect(error) : undefined;
      if (expected !== undefined) return expected;
      throw gmailFailure(error, request.doing, mailbox);
    }
  }

  /** Every page; the last one has no `nextPageToken`, or an empty one. */
  async function everyPage<Page extends { nextPageToken?: string | null }>(
    mailbox: string,
    request: Request,
    { query, ...get }: Call,
  ): Promise<readonly Page[]> {
    const pages: Page[] = [];
    const asked = new Set<string>();
    let pageToken: string | undefined;
    do {
      const page = await call<Page>(mailbox, request, { ...get, query: { ...query, pageToken } });
      if (page === null || typeof page !== 'object') throw unusable('a page of a list is no JSON object');
      pages.push(page);
      pageToken = page.nextPageToken || undefined;
      if (pageToken !== undefined && asked.has(pageToken))
        throw unusable('the pages of a list go round in a circle');
      if (pageToken !== undefined) asked.add(pageToken);
    } while (pageToken !== undefined);
    return pages;
  }

  /** Enabling the enabled and disabling the disabled are done already, whatever Gmail calls that. */
  async function setEnablement(
    mailbox: string,
    keypairId: string,
    wanted: 'enabled' | 'disabled',
  ): Promise<void> {
    const verb = wanted === 'enabled' ? 'enable' : 'disable';
    await call<unknown>(
      mailbox,
      {
        method: `keypairs.${verb}`,
        repeatable: 'any-time',
        doing: `${wanted === 'enabled' ? 'Enabling' : 'Disabling'} the key pair ${keypairId}`,
      },
      { method: 'POST', path: `keypairs/${encodeURIComponent(keypairId)}:${verb}`, body: {} },
      async (error) => {
        if (!isFailedPrecondition(error)) return undefined;
        return (await stateOf(mailbox, keypairId)) === wanted ? true : undefined;
      },
    );
  }

  async function stateOf(mailbox: string, keypairId: string): Promise<string | undefined> {
    const pair = await call<gmail_v1.Schema$CseKeyPair>(
      mailbox,
      { method: 'keypairs.get', repeatable: 'any-time', doing: `Reading the key pair ${keypairId}` },
      {
        method: 'GET',
        path: `keypairs/${encodeURIComponent(keypairId)}`,
        query: { fields: 'keyPairId,enablementState' },
      },
    );
    return pair.enablementState ?? undefined;
  }

  const identityExists = (mailbox: string, address: string): Promise<boolean> =>
    call<unknown>(
      mailbox,
      { method: 'identities.get', repeatable: 'any-time', doing: `Reading the identity ${address}` },
      { method: 'GET', path: `identities/${encodeURIComponent(address)}` },
      (error) => (error.failure.httpStatus === 404 ? false : undefined),
    ).then((answer) => answer !== false);

  return {
    async listKeypairs(mailbox) {
      const pages = await everyPage<gmail_v1.Schema$ListCseKeyPairsResponse>(
        mailbox,
        { method: 'keypairs.list', repeatable: 'any-time', doing: 'Listing the key pairs' },
        { method: 'GET', path: 'keypairs', query: { fields: KEYPAIR_PAGE_FIELDS } },
      );
      return pages.flatMap((page) => page.cseKeyPairs ?? []).map(toKeypair);
    },

    async listIdentities(mailbox) {
      const pages = await everyPage<gmail_v1.Schema$ListCseIdentitiesResponse>(
        mailbox,
        { method: 'identities.list', repeatable: 'any-time', doing: 'Listing the identities' },
        { method: 'GET', path: 'identities' },
      );
      return pages.flatMap((page) => page.cseIdentities ?? []).map(toIdentity);
    },

    async createKeypair(mailbox, { pkcs7Pem, privateKey, chainValidation }) {
      const metadata = privateKeyMetadata(mailbox, privateKey);
      const created = await call<gmail_v1.Schema$CseKeyPair | 'already-exists'>(
        mailbox,
        { method: 'keypairs.create', repeatable: 'without-effect', doing: 'Creating a key pair' },
        {
          method: 'POST',
          path: 'keypairs',
          query: { chainValidation, fields: 'keyPairId' },
          body: { pkcs7: pkcs7Pem, privateKeyMetadata: [metadata] },
        },
        (error) => (isAlreadyExists(error) ? 'already-exists' : undefined),
      );
      if (created === 'already-exists') return { kind: 'already-exists' };
      if (!created.keyPairId) throw unusable('a key pair was created without a keyPairId');
      return { kind: 'created', keypairId: created.keyPairId };
    },

    enableKeypair: (mailbox, keypairId) => setEnablement(mailbox, keypairId, 'enabled'),
    disableKeypair: (mailbox, keypairId) => setEnablement(mailbox, keypairId, 'disabled'),

    async obliterateKeypair(mailbox, keypairId) {
      const answer = await call<unknown>(
        mailbox,
        {
          method: 'keypairs.obliterate',
          repeatable: 'any-time',
          doing: `Obliterating the key pair ${keypairId}`,
        },
        { method: 'POST', path: `keypairs/${encodeURIComponent(keypairId)}:obliterate`, body: {} },
        (error) => (error.failure.httpStatus === 404 ? 'absent' : undefined),
      );
      return answer === 'absent' ? 'absent' : 'obliterated';
    },

    async createIdentity(mailbox, identity) {
      const answer = await call<unknown>(
        mailbox,
        {
          method: 'identities.create',
          repeatable: 'without-effect',
          doing: `Creating the identity ${identity.address}`,
        },
        { method: 'POST', path: 'identities', body: { ...fromIdentity(identity) } },
        (error) => (isAlreadyExists(error) ? 'already-exists' : undefined),
      );
      return answer === 'already-exists' ? 'already-exists' : 'created';
    },

    async patchIdentity(mailbox, identity) {
      const answer = await call<unknown>(
        mailbox,
        {
          method: 'identities.patch',
          repeatable: 'any-time',
          doing: `Patching the identity ${identity.address}`,
        },
        {
          method: 'PATCH',
          path: `identities/${encodeURIComponent(identity.address)}`,
          body: { ...fromIdentity(identity) },
        },
        async (error) => {
          if (error.failure.httpStatus !== 404) return undefined;
          // 404 may also mean the key pair; then the identity is there and the request is what is wrong.
          return (await identityExists(mailbox, identity.address)) ? undefined : 'absent';
        },
      );
      return answer === 'absent' ? 'absent' : 'patched';
    },

    async deleteIdentity(mailbox, address) {
      await call<unknown>(
        mailbox,
        { method: 'identities.delete', repeatable: 'any-time', doing: `Deleting the identity ${address}` },
        { method: 'DELETE', path: `identities/${encodeURIComponent(address)}` },
        (error) => (error.failure.httpStatus === 404 ? 'absent' : undefined),
      );
    },
  };
}
