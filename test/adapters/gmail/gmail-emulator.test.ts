import { createHash } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { GMAIL_SCOPES, googleGmail } from '../../../shared/adapters/gmail/google-gmail.ts';
import { delegatedCredentials } from '../../../shared/adapters/google/delegated-credentials.ts';
import type { Gmail } from '../../../shared/ports/gmail.ts';
import { type Authority, OpenSslPki } from '../../emulator/gmail/pki.ts';
import { type Company, GMAIL_ACCOUNT, openCompany, STRANGER } from '../emulator-company.ts';
import { failureOf } from '../world.ts';

const ANA = 'ana@acme.example';
const BEN = 'ben@acme.example';
const DAY_MS = 86_400_000;

describe('the Gmail adapter against the emulator, by keyless delegation', () => {
  const pki = new OpenSslPki();
  let company: Company;
  let gmail: Gmail;
  let root: Authority;
  let issuing: Authority;
  const gmailAs = (who?: string, scopes: readonly string[] = GMAIL_SCOPES) =>
    googleGmail({
      credentials: delegatedCredentials({
        signerEmail: GMAIL_ACCOUNT,
        scopes,
        own: company.own(who),
        retry: company.retry,
        endpoints: company.endpoints,
      }),
      endpoints: company.endpoints,
      retry: company.retry,
    });
  const newPair = (address: string) => {
    const leaf = pki.leaf(issuing, address);
    return {
      leafSha256Hex: createHash('sha256').update(leaf.der).digest('hex'),
      pair: {
        pkcs7Pem: pki.pkcs7(leaf, issuing, root),
        privateKey: {
          keyServiceUrl: 'https://kacls.acme.example/v1',
          wrappedKey: Buffer.from('wrapped').toString('base64'),
        },
      },
    };
  };
  const options = (body: object) =>
    fetch(new URL('_emulator/gmail/options', company.endpoints.rootUrl), {
      method: 'POST',
      body: JSON.stringify(body),
    });
  const create = async (address: string) => {
    const { pair, leafSha256Hex } = newPair(address);
    const created = await gmail.createKeypair(address, pair);
    if (created.kind !== 'created') throw new Error('There was one already.');
    return { pair, leafSha256Hex, keypairId: created.keypairId };
  };

  beforeAll(async () => {
    root = pki.authority('root');
    issuing = pki.authority('issuing', { issuer: root });
    company = await openCompany();
    company.roots.push(root.der);
    for (const authority of [root, issuing]) company.crls.set(`${authority.name}.crl`, pki.crl(authority));
    company.directory.seedTenant({
      orgUnits: ['/Staff'],
      users: [
        { primaryEmail: ANA, givenName: 'Ana', familyName: 'Smith', orgUnitPath: '/Staff' },
        { primaryEmail: BEN, givenName: 'Ben', familyName: 'Jones', orgUnitPath: '/Staff' },
        { primaryEmail: 'sam@acme.example', givenName: 'Sam', familyName: 'Gone', suspended: true },
        { primaryEmail: 'old@acme.example', givenName: 'Ole', familyName: 'Past', archived: true },
      ],
    });
    gmail = gmailAs();
  });
  beforeEach(() => {
    company.faults.apply({ reset: true });
    company.cse.refusal = () => undefined;
  });
  afterAll(async () => {
    await company.close();
    pki.close();
  });

  it('creates a key pair, finds it by its leaf, and answers already-exists to the same leaf', async () => {
    expect(await gmail.listKeypairs(ANA)).toEqual([]);
    const { pair, leafSha256Hex, keypairId } = await create(ANA);
    expect(await gmail.listKeypairs(ANA)).toEqual([
      { keypairId, enabled: true, leafSha256Hex, subjectAddresses: [ANA] },
    ]);
    expect(await gmail.createKeypair(ANA, pair)).toEqual({ kind: 'already-exists' });
  });

  it('finds the key pair that a lost answer left behind', async () => {
    const { pair, leafSha256Hex } = newPair(BEN);
    company.faults.apply({ calls: [{ method: '*keypairs.create', nth: [1], cut: 'after' }] });
    expect(await failureOf(gmail.createKeypair(BEN, pair))).toMatchObject({
      kind: 'retryable',
      code: 'gmail-unavailable',
    });
    const pairs = await gmail.listKeypairs(BEN);
    expect(pairs.map((one) => one.leafSha256Hex)).toEqual([leafSha256Hex]);
  });

  it('follows the pages of a long list', async () => {
    const { keypairId } = await create(ANA);
    for (let count = 0; count < 20; count += 1) await create(ANA);
    const ids = (await gmail.listKeypairs(ANA)).map((one) => one.keypairId);
    expect(ids.length).toBeGreaterThan(20);
    expect(new Set(ids).size).toBe(ids.length);
    expect(ids).toContain(keypairId);
  });

  it('sends chainValidation=none where it is told, and a leaf that is there is answered as Gmail is set to', async () => {
    const { pair, keypairId } = await create(ANA);
    const privateKey = { ...pair.privateKey, wrappedKey: 'd3JhcHBlZCBhZ2Fpbg==' };
    const again = { ...pair, privateKey, chainValidation: 'none' } as const;
    expect(await gmail.createKeypair(ANA, again)).toEqual({ kind: 'already-exists' });
    await options({ sameLeafAgain: 'accept' });
    const second = await gmail.createKeypair(ANA, again);
    expect(second).toMatchObject({ kind: 'created', keypairId: expect.not.stringMatching(keypairId) });
    expect(await gmail.createKeypair(ANA, again)).toEqual({ kind: 'already-exists' });
    await options({ sameLeafAgain: 'refuse' });
  });

  it('creates, patches and deletes an identity, each also when it is done already', async () => {
    const first = await create(ANA);
    const second = await create(ANA);
    const identity = (keypairId: string) => ({ address: ANA, use: { kind: 'dual', keypairId } }) as const;
    expect(await gmail.patchIdentity(ANA, identity(first.keypairId))).toBe('absent');
    expect(await gmail.createIdentity(ANA, identity(first.keypairId))).toBe('created');
    expect(await gmail.createIdentity(ANA, identity(first.keypairId))).toBe('already-exists');
    expect(await gmail.patchIdentity(ANA, identity(second.keypairId))).toBe('patched');
    expect(await gmail.listIdentities(ANA)).toEqual([identity(second.keypairId)]);
    expect(await failureOf(gmail.patchIdentity(ANA, identity('ANe1BmNothing')))).toMatchObject({
      code: 'gmail-refused',
    });
    await gmail.deleteIdentity(ANA, ANA);
    await gmail.deleteIdentity(ANA, ANA);
    expect(await gmail.listIdentities(ANA)).toEqual([]);
  });

  it('disables and enables a key pair, each also when it is done already', async () => {
    const { keypairId } = await create(BEN);
    const state = async () => (await gmail.listKeypairs(BEN)).find((one) => one.keypairId === keypairId);
    await gmail.disableKeypair(BEN, keypairId);
    await gmail.disableKeypair(BEN, keypairId);
    const disabled = await state();
    expect(disabled?.enabled).toBe(false);
    expect(disabled?.disabledAt).toBeInstanceOf(Date);
    await gmail.enableKeypair(BEN, keypairId);
    await gmail.enableKeypair(BEN, keypairId);
    expect(await state()).toMatchObject({ enabled: true });
    expect(await state()).not.toHaveProperty('disabledAt');
  });

  it('passes on why Gmail refuses a chain', async () => {
    const leaf = pki.leaf(issuing, BEN);
    const pkcs7Pem = pki.pkcs7(leaf, issuing, root);
    const error = await failureOf(gmail.createKeypair(ANA, { ...newPair(ANA).pair, pkcs7Pem }));
    expect(error).toMatchObject({ kind: 'permanent', code: 'gmail-refused', details: { httpStatus: 400 } });
  });

  it('tells a mailbox that is not there from encryption that is not switched on', async () => {
    expect(await failureOf(gmail.listKeypairs('old@acme.example'))).toMatchObject({
      code: 'mailbox-not-ready',
    });
    company.cse.refusal = () => 'Client-side encryption is off for this user.';
    expect(await failureOf(gmail.listKeypairs(ANA))).toMatchObject({ code: 'cse-not-enabled' });
  });

  it.each([
    ['an unknown user', 'nobody@acme.example', /must be an active user/],
    ['a suspended user', 'sam@acme.example', /must be an active user/],
  ])('is refused a token for %s', async (_name, mailbox, says) => {
    const error = await failureOf(gmail.listKeypairs(mailbox));
    expect(error).toMatchObject({ kind: 'permanent', code: 'delegation-refused' });
    expect(error.message).toMatch(says);
  });

  it('names client and scope when the scope is not delegated, and the role when it may not sign', async () => {
    const scope = 'https://www.googleapis.com/auth/gmail.modify';
    const undelegated = await failureOf(gmailAs(undefined, [scope]).listKeypairs(ANA));
    expect(undelegated).toMatchObject({ kind: 'permanent', code: 'delegation-refused' });
    expect(undelegated.message).toContain(`${GMAIL_ACCOUNT} for the scope ${scope}`);
    const stranger = await failureOf(gmailAs(STRANGER).listKeypairs(ANA));
    expect(stranger).toMatchObject({ kind: 'permanent', code: 'delegation-refused' });
    expect(stranger.message).toContain('roles/iam.serviceAccountTokenCreator');
  });

  it('asks for one token per user, and for a new one when the clock has jumped past it', async () => {
    const fresh = gmailAs();
    const since = company.calls.last;
    const signed = () =>
      company.calls
        .since(since)
        .filter((call) => call.method === 'iamcredentials.projects.serviceAccounts.signJwt').length;
    await Promise.all([fresh.listKeypairs(ANA), fresh.listIdentities(ANA), fresh.listIdentities(BEN)]);
    expect(signed()).toBe(2);
    company.clock.advance(3_600_000);
    await fresh.listIdentities(ANA);
    expect(signed()).toBe(3);
  });

  it('gets a new token at once where Gmail no longer takes the old one', async () => {
    const fresh = gmailAs();
    await fresh.listIdentities(ANA);
    company.tokens.revoke(() => true);
    expect(await fresh.listIdentities(ANA)).toEqual([]);
  });

  it('gets through throttling by 403, 429, an aborted call and a server error', async () => {
    company.faults.apply({
      calls: [
        { method: '*identities.list', nth: [1], status: 403, reason: 'rateLimitExceeded' },
        { method: '*identities.list', nth: [2], status: 429, reason: 'userRateLimitExceeded' },
        { method: '*identities.list', nth: [3], status: 409, reason: 'aborted' },
        { method: '*identities.list', nth: [4], status: 503 },
      ],
    });
    expect(await gmail.listIdentities(ANA)).toEqual([]);
  });

  // Last, because the certificates of the others do not outlive it.
  it('obliterates a key pair only when it has been disabled for more than 30 days', async () => {
    const { keypairId } = await create(BEN);
    const refused = { kind: 'permanent', code: 'gmail-refused' };
    expect(await failureOf(gmail.obliterateKeypair(BEN, keypairId))).toMatchObject(refused);
    await gmail.disableKeypair(BEN, keypairId);
    company.clock.advance(30 * DAY_MS - 60_000);
    expect(await failureOf(gmail.obliterateKeypair(BEN, keypairId))).toMatchObject(refused);
    company.clock.advance(120_000);
    expect(await gmail.obliterateKeypair(BEN, keypairId)).toBe('obliterated');
    expect((await gmail.listKeypairs(BEN)).map((one) => one.keypairId)).not.toContain(keypairId);
    expect(await gmail.obliterateKeypair(BEN, keypairId)).toBe('absent');
  });
});
