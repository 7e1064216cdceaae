import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { googleGmail } from '../../../shared/adapters/gmail/google-gmail.ts';
import { GoogleCallError, type GoogleCallFailure } from '../../../shared/adapters/google/call-error.ts';
import type { ErrorKind } from '../../../shared/errors.ts';
import { makeChain, type TestChain } from '../chain.ts';
import { googleError, type Script, type Scripted, ScriptedServer } from '../scripted-server.ts';
import { failureOf, TestBearer, testRetry } from '../world.ts';

const ANA = 'ana@acme.example';
const CSE = '/gmail/v1/users/me/settings/cse';
const DUAL = { address: ANA, use: { kind: 'dual', keypairId: 'K1' } } as const;
const SPLIT = {
  address: ANA,
  use: { kind: 'split', signingKeypairId: 'S', encryptionKeypairId: 'E' },
} as const;
const NEW_PAIR = {
  pkcs7Pem: '-----BEGIN PKCS7-----',
  privateKey: { keyServiceUrl: 'https://kacls.acme.example/v1', wrappedKey: 'd3JhcHBlZA==' },
};
const wrappedAs = (wrappedKey: string) => ({
  ...NEW_PAIR,
  privateKey: { ...NEW_PAIR.privateKey, wrappedKey },
});

describe("a mailbox's client-side encryption settings", () => {
  const server = new ScriptedServer();
  let chain: TestChain;
  beforeAll(async () => {
    chain = makeChain();
    await server.start();
  });
  afterAll(() => server.stop());

  function gmail(script: Script | Scripted) {
    server.play(typeof script === 'function' ? script : () => script);
    const retry = testRetry();
    const bearer = new TestBearer();
    const users: string[] = [];
    const credentials = {
      forUser: (address: string) => {
        users.push(address);
        return bearer;
      },
    };
    const adapter = googleGmail({
      credentials,
      endpoints: { rootUrl: server.rootUrl },
      retry: retry.settings,
    });
    return { ...retry, adapter, bearer, users };
  }
  const bodies = () => server.asked.map((asked) => JSON.parse(asked.body || 'null'));

  describe('listing key pairs', () => {
    it('reads them all, page by page, as the user, without their wrapped keys', async () => {
      const pem = `${chain.leafPem}${chain.issuingPem}${chain.rootPem}`;
      const { adapter, users } = gmail(({ query }) =>
        query.get('pageToken') === 'p2'
          ? {
              body: {
                cseKeyPairs: [
                  { keyPairId: 'K2', enablementState: 'disabled', disableTime: '2027-01-02T03:04:05Z' },
                ],
              },
            }
          : {
              body: {
                cseKeyPairs: [
                  {
                    keyPairId: 'K1',
                    enablementState: 'enabled',
                    pem,
                    subjectEmailAddresses: ['Ana@acme.example'],
                  },
                ],
                nextPageToken: 'p2',
              },
            },
      );
      expect(await adapter.listKeypairs(ANA)).toEqual([
        { keypairId: 'K1', enabled: true, leafSha256Hex: chain.leafSha256Hex, subjectAddresses: [ANA] },
        {
          keypairId: 'K2',
          enabled: false,
          disabledAt: new Date('2027-01-02T03:04:05Z'),
          subjectAddresses: [],
        },
      ]);
      expect(server.asked.map((asked) => asked.path)).toEqual([`${CSE}/keypairs`, `${CSE}/keypairs`]);
      expect(server.asked[0]?.headers.authorization).toBe('Bearer token-1');
      expect(server.asked[0]?.query.get('fields')).not.toContain('privateKeyMetadata');
      expect(users).toEqual([ANA, ANA]);
    });

    it('finds the leaf wherever it stands in the chain', async () => {
      const orders = [
        `${chain.rootPem}${chain.issuingPem}${chain.leafPem}`,
        `${chain.issuingPem}${chain.leafPem}${chain.rootPem}`,
        `comment\r\n${chain.leafPem.replaceAll('\n', '\r\n')}`,
      ];
      const { adapter } = gmail({
        body: {
          cseKeyPairs: orders.map((pem, index) => ({
            keyPairId: `K${index}`,
            enablementState: 'enabled',
            pem,
          })),
        },
      });
      const digests = (await adapter.listKeypairs(ANA)).map((pair) => pair.leafSha256Hex);
      expect(digests).toEqual([chain.leafSha256Hex, chain.leafSha256Hex, chain.leafSha256Hex]);
    });

    it.each(['', 'no certificate', '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----'])(
      'leaves the digest out where the certificates cannot be read: %j',
      async (pem) => {
        const { adapter } = gmail({
          body: { cseKeyPairs: [{ keyPairId: 'K', enablementState: 'enabled', pem }] },
        });
        expect((await adapter.listKeypairs(ANA))[0]).not.toHaveProperty('leafSha256Hex');
      },
    );

    it('takes a missing list for none, and an empty page token for the end', async () => {
      expect(await gmail({ body: {} }).adapter.listKeypairs(ANA)).toEqual([]);
      expect(await gmail({ body: { nextPageToken: '' } }).adapter.listIdentities(ANA)).toEqual([]);
    });

    it.each<[string, unknown]>([
      ['a key pair without an id', { cseKeyPairs: [{ enablementState: 'enabled' }] }],
      [
        'a state it does not know',
        { cseKeyPairs: [{ keyPairId: 'K', enablementState: 'stateUnspecified' }] },
      ],
      ['pages that go round in a circle', { cseKeyPairs: [], nextPageToken: 'again' }],
      ['an answer that is no JSON', '<html>'],
    ])('concludes nothing from %s', async (_name, body) => {
      expect(await failureOf(gmail({ body }).adapter.listKeypairs(ANA))).toMatchObject({
        kind: 'retryable',
        code: 'gmail-unavailable',
      });
    });
  });

  describe('listing identities', () => {
    it('reads both forms', async () => {
      const { adapter } = gmail({
        body: {
          cseIdentities: [
            { emailAddress: 'Ana@acme.example', primaryKeyPairId: 'K1' },
            {
              emailAddress: ANA,
              signAndEncryptKeyPairs: { signingKeyPairId: 'S', encryptionKeyPairId: 'E' },
            },
          ],
        },
      });
      expect(await adapter.listIdentities(ANA)).toEqual([DUAL, SPLIT]);
      expect(server.asked[0]?.path).toBe(`${CSE}/identities`);
    });

    it('concludes nothing from an identity without key pairs', async () => {
      const { adapter } = gmail({ body: { cseIdentities: [{ emailAddress: ANA }] } });
      expect(await failureOf(adapter.listIdentities(ANA))).toMatchObject({ code: 'gmail-unavailable' });
    });
  });

  describe('creating a key pair', () => {
    it('sends chain, key service and wrapped key, and answers the new id', async () => {
      const { adapter } = gmail({ body: { keyPairId: 'K9' } });
      expect(await adapter.createKeypair(ANA, NEW_PAIR)).toEqual({ kind: 'created', keypairId: 'K9' });
      const [asked] = server.asked;
      expect([asked?.verb, asked?.path]).toEqual(['POST', `${CSE}/keypairs`]);
      // Google's default, which checks chain and revocation.
      expect(asked?.query.has('chainValidation')).toBe(false);
      expect(bodies()).toEqual([
        {
          pkcs7: NEW_PAIR.pkcs7Pem,
          privateKeyMetadata: [
            {
              kaclsKeyMetadata: {
                kaclsUri: NEW_PAIR.privateKey.keyServiceUrl,
                kaclsData: NEW_PAIR.privateKey.wrappedKey,
              },
            },
          ],
        },
      ]);
    });

    it('sends what is known of a smart card in place of a wrapped key', async () => {
      const { adapter } = gmail({ body: { keyPairId: 'K9' } });
      await adapter.createKeypair(ANA, { ...NEW_PAIR, privateKey: { cardDescription: 'Ana’s card' } });
      expect(bodies()).toEqual([
        {
          pkcs7: NEW_PAIR.pkcs7Pem,
          privateKeyMetadata: [{ hardwareKeyMetadata: { description: 'Ana’s card' } }],
        },
      ]);
    });

    it('answers already-exists to 409 ALREADY_EXISTS', async () => {
      const { adapter } = gmail(googleError(409, 'alreadyExists'));
      expect(await adapter.createKeypair(ANA, NEW_PAIR)).toEqual({ kind: 'already-exists' });
    });

    it.each<[string, Scripted]>([
      ['a lost answer', { cut: true }],
      ['503', googleError(503, 'backendError')],
      ['409 ABORTED', googleError(409, 'aborted', 'The operation was aborted', { status: 'ABORTED' })],
    ])(
      'is not repeated after %s, so that no second pair is made: the caller looks again',
      async (_name, answer) => {
        const { adapter } = gmail(answer);
        expect(await failureOf(adapter.createKeypair(ANA, NEW_PAIR))).toMatchObject({
          kind: 'retryable',
          code: 'gmail-unavailable',
        });
        expect(server.asked).toHaveLength(1);
      },
    );

    it.each<[string, Scripted]>([
      ['429', googleError(429, 'rateLimitExceeded')],
      ['403 userRateLimitExceeded', googleError(403, 'userRateLimitExceeded')],
      ['401', googleError(401, 'authError')],
    ])('is repeated after %s, which had no effect', async (_name, answer) => {
      const { adapter } = gmail({});
      server.playInOrder(answer, { body: { keyPairId: 'K9' } });
      expect(await adapter.createKeypair(ANA, NEW_PAIR)).toEqual({ kind: 'created', keypairId: 'K9' });
      expect(server.asked).toHaveLength(2);
    });

    it('refuses a wrapped key that Gmail would not take, without naming it', async () => {
      const { adapter } = gmail({ body: { keyPairId: 'K9' } });
      const wrappedKey = 'Q'.repeat(8193);
      const error = await failureOf(adapter.createKeypair(ANA, wrappedAs(wrappedKey)));
      expect(error).toMatchObject({ kind: 'permanent', code: 'gmail-refused' });
      expect(error.message).toContain('8193');
      expect(error.message).not.toContain('QQ');
      expect(server.asked).toEqual([]);
    });

    it('concludes nothing from an answer without an id', async () => {
      expect(await failureOf(gmail({ body: {} }).adapter.createKeypair(ANA, NEW_PAIR))).toMatchObject({
        code: 'gmail-unavailable',
      });
    });

    it('never lets the wrapped key or the token into an error', async () => {
      const { adapter } = gmail(googleError(400, 'badRequest', `Invalid value: ${'Q'.repeat(2000)}`));
      const error = await failureOf(adapter.createKeypair(ANA, wrappedAs('Q'.repeat(2000))));
      const everything = [
        error.message,
        error.stack,
        JSON.stringify(error),
        JSON.stringify(error.cause),
        String(error.cause),
      ];
      expect(everything.join('\n')).not.toMatch(/QQQ|token-1|BEGIN PKCS7/);
    });
  });

  describe('enabling and disabling', () => {
    it.each(['enable', 'disable'] as const)("%ss by Google's own verb", async (verb) => {
      const { adapter } = gmail({ body: { keyPairId: 'K1' } });
      await (verb === 'enable' ? adapter.enableKeypair(ANA, 'K1') : adapter.disableKeypair(ANA, 'K1'));
      expect(server.asked.map((asked) => `${asked.verb} ${asked.path}`)).toEqual([
        `POST ${CSE}/keypairs/K1:${verb}`,
      ]);
      expect(bodies()).toEqual([{}]);
    });

    const alreadyDone = googleError(400, 'failedPrecondition', 'Precondition check failed.', {
      status: 'FAILED_PRECONDITION',
    });
    it('succeeds when Gmail refuses because it is done already', async () => {
      const { adapter } = gmail({});
      server.playInOrder(alreadyDone, { body: { keyPairId: 'K1', enablementState: 'disabled' } });
      await expect(adapter.disableKeypair(ANA, 'K1')).resolves.toBeUndefined();
    });

    it('fails when Gmail refuses for another reason', async () => {
      const { adapter } = gmail({});
      server.playInOrder(alreadyDone, { body: { keyPairId: 'K1', enablementState: 'enabled' } });
      expect(await failureOf(adapter.disableKeypair(ANA, 'K1'))).toMatchObject({ code: 'gmail-refused' });
    });

    it('fails for a key pair that is not there', async () => {
      const error = await failureOf(gmail(googleError(404, 'notFound')).adapter.disableKeypair(ANA, 'K1'));
      expect(error).toMatchObject({ kind: 'permanent', code: 'gmail-refused' });
      expect(error.message).toContain('Disabling the key pair K1');
    });
  });

  describe('the identity', () => {
    it('is created in either form', async () => {
      const { adapter } = gmail({ body: {} });
      expect(await adapter.createIdentity(ANA, DUAL)).toBe('created');
      expect(await adapter.createIdentity(ANA, SPLIT)).toBe('created');
      expect(bodies()).toEqual([
        { emailAddress: ANA, primaryKeyPairId: 'K1' },
        { emailAddress: ANA, signAndEncryptKeyPairs: { signingKeyPairId: 'S', encryptionKeyPairId: 'E' } },
      ]);
    });

    it('answers already-exists where there is one', async () => {
      expect(await gmail(googleError(409, 'alreadyExists')).adapter.createIdentity(ANA, DUAL)).toBe(
        'already-exists',
      );
    });

    it('is patched by its address', async () => {
      const { adapter } = gmail({ body: {} });
      expect(await adapter.patchIdentity(ANA, DUAL)).toBe('patched');
      expect(server.asked.map((asked) => `${asked.verb} ${asked.path}`)).toEqual([
        `PATCH ${CSE}/identities/${ANA}`,
      ]);
    });

    it('answers absent where there is none to patch', async () => {
      expect(await gmail(googleError(404, 'notFound')).adapter.patchIdentity(ANA, DUAL)).toBe('absent');
    });

    it('fails where it is there and the key pair is what is missing', async () => {
      const { adapter } = gmail(({ verb }) =>
        verb === 'GET'
          ? { body: { emailAddress: ANA, primaryKeyPairId: 'K0' } }
          : googleError(404, 'notFound'),
      );
      expect(await failureOf(adapter.patchIdentity(ANA, DUAL))).toMatchObject({ code: 'gmail-refused' });
    });

    it.each<[string, Scripted]>([
      ['204', { status: 204 }],
      ['200 with an empty body', { status: 200 }],
      ['200 with an empty object', { body: {} }],
      ['404, because it is gone already', googleError(404, 'notFound')],
    ])('is deleted when Gmail answers %s', async (_name, answer) => {
      await expect(gmail(answer).adapter.deleteIdentity(ANA, ANA)).resolves.toBeUndefined();
      expect(server.asked.map((asked) => `${asked.verb} ${asked.path}`)).toEqual([
        `DELETE ${CSE}/identities/${ANA}`,
      ]);
    });
  });

  describe('when Google refuses', () => {
    const precondition = (message: string) =>
      googleError(400, 'failedPrecondition', message, { status: 'FAILED_PRECONDITION' });
    it.each<[string, Scripted, ErrorKind, string, RegExp]>([
      [
        '"Mail service not enabled"',
        precondition('Mail service not enabled'),
        'permanent',
        'mailbox-not-ready',
        /licence/,
      ],
      [
        'a failed precondition of a list',
        precondition('Precondition check failed.'),
        'permanent',
        'mailbox-not-ready',
        /setting this user up/,
      ],
      [
        '403 PERMISSION_DENIED',
        googleError(403, 'permissionDenied'),
        'permanent',
        'cse-not-enabled',
        /24 hours/,
      ],
      [
        '403 of whoever has no licence, which looks the same,',
        googleError(403, 'permissionDenied', 'The user has no licence for it.'),
        'permanent',
        'cse-not-enabled',
        /see that the user has a licence/,
      ],
      ['403 forbidden', googleError(403, 'forbidden'), 'permanent', 'cse-not-enabled', /organizational unit/],
      [
        '"Delegation denied"',
        googleError(403, 'forbidden', `Delegation denied for ${ANA}`),
        'permanent',
        'delegation-refused',
        /another user/,
      ],
      [
        '403 for the scope',
        googleError(403, 'insufficientPermissions'),
        'permanent',
        'delegation-refused',
        /gmail\.settings\.basic/,
      ],
      [
        '403 for an API that is off',
        googleError(403, 'accessNotConfigured'),
        'permanent',
        'gmail-refused',
        /Enable the Gmail API/,
      ],
      [
        '403 for the quota',
        googleError(403, 'rateLimitExceeded'),
        'retryable',
        'gmail-unavailable',
        /rateLimitExceeded/,
      ],
      [
        '400',
        googleError(400, 'invalidArgument', 'Root not trusted.'),
        'permanent',
        'gmail-refused',
        /Root not trusted\./,
      ],
      ['401 twice', googleError(401, 'authError'), 'retryable', 'gmail-unavailable', /401/],
      ['429', googleError(429, 'userRateLimitExceeded'), 'retryable', 'gmail-unavailable', /429/],
      ['500', googleError(500, 'backendError'), 'retryable', 'gmail-unavailable', /500/],
      ['a lost answer', { cut: true }, 'retryable', 'gmail-unavailable', /gave no answer/],
    ])('turns %s into %j', async (_name, answer, kind, code, says) => {
      const error = await failureOf(gmail(answer).adapter.listKeypairs(ANA));
      expect(error).toMatchObject({ kind, code, details: { mailbox: ANA } });
      expect(error.message).toMatch(says);
      expect(error.message).toContain(`Listing the key pairs for ${ANA} failed`);
    });

    it('lets a failed precondition of an action be the refusal it is', async () => {
      const { adapter } = gmail(precondition('Precondition check failed.'));
      expect(await failureOf(adapter.createIdentity(ANA, DUAL))).toMatchObject({ code: 'gmail-refused' });
    });

    it.each<[string, Partial<GoogleCallFailure>, ErrorKind, string]>([
      [
        'an unknown user',
        { method: 'oauth2.token', httpStatus: 400, reasons: ['invalid_grant'] },
        'permanent',
        'delegation-refused',
      ],
      [
        'a scope that is not authorised',
        { method: 'oauth2.token', httpStatus: 401, reasons: ['unauthorized_client'] },
        'permanent',
        'delegation-refused',
      ],
      [
        'a signature that is refused',
        { method: 'iamcredentials.projects.serviceAccounts.signJwt', httpStatus: 403 },
        'permanent',
        'delegation-refused',
      ],
      [
        'an account that does not exist',
        { method: 'metadata.token', httpStatus: 404 },
        'permanent',
        'delegation-refused',
      ],
      [
        'a token endpoint that is down',
        { method: 'oauth2.token', httpStatus: 503 },
        'retryable',
        'gmail-unavailable',
      ],
    ])('turns having no token because of %s into %j', async (_name, changes, kind, code) => {
      const noToken = new GoogleCallError({
        method: '',
        reached: 'answered',
        reasons: [],
        text: '',
        advice: 'Do this.',
        ...changes,
      });
      const adapter = googleGmail({
        credentials: {
          forUser: () => ({ accessToken: () => Promise.reject(noToken), forget: () => undefined }),
        },
        endpoints: { rootUrl: server.rootUrl },
        retry: testRetry().settings,
      });
      server.play(() => ({ body: {} }));
      const error = await failureOf(adapter.deleteIdentity(ANA, ANA));
      expect(error).toMatchObject({ kind, code });
      if (kind === 'permanent') expect(error.message).toContain('Do this.');
      expect(server.asked).toEqual([]);
    });
  });
});
