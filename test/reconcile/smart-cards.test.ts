/** People whose keys are on smart cards, against the emulated Gmail over HTTP and the real folder of requests. */
import { X509Certificate } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { GMAIL_SCOPES, googleGmail } from '../../shared/adapters/gmail/google-gmail.ts';
import { delegatedCredentials } from '../../shared/adapters/google/delegated-credentials.ts';
import { cardFolder } from '../../shared/adapters/kacls/card-folder.ts';
import { readRsaPublicKey } from '../../shared/pki/certificate.ts';
import { buildCertificationRequest } from '../../shared/pki/certification-request.ts';
import { derToPem } from '../../shared/pki/pem.ts';
import { signerFromPkcs8 } from '../../shared/pki/signer.ts';
import type { ReconcileDeps } from '../../shared/reconcile/context.ts';
import { type Company, GMAIL_ACCOUNT, openCompany } from '../adapters/emulator-company.ts';
import { rsaSpki } from '../pki/weak-moduli.ts';
import { createWorld, DAY_MS, type Materials, makeMaterials, type World } from '../support/fakes/world.ts';
import { policyOf, policyRule } from '../support/policy.ts';
import { look } from './outcome.ts';
import { ADDRESS, JOIN, USER_ID, wish } from './workflows.ts';

const BEN = 'ben@acme.example';

let materials: Materials;
let company: Company;
let folder: string;
let world: World;
let deps: ReconcileDeps;
let credentials: ReturnType<typeof delegatedCredentials>;
beforeAll(async () => {
  materials = await makeMaterials();
});

beforeEach(async () => {
  company = await openCompany();
  const { root } = materials.authority;
  company.roots.push(Buffer.from(root.certificateDer));
  company.crls.set('root.crl', Buffer.from(root.crlDer));
  company.directory.seedTenant({
    orgUnits: ['/Staff'],
    users: [ADDRESS, BEN].map((primaryEmail) => ({
      ...{ primaryEmail, givenName: 'A', familyName: 'B', orgUnitPath: '/Staff' },
    })),
  });
  credentials = delegatedCredentials({
    signerEmail: GMAIL_ACCOUNT,
    scopes: GMAIL_SCOPES,
    own: company.own(),
    retry: company.retry,
    endpoints: company.endpoints,
  });
  folder = mkdtempSync(join(tmpdir(), 'sealwright-cards-'));
  world = await createWorld(materials);
  await onTime();
  await JOIN.prepare(world);
  const { keyServiceUrl: _none, ...rule } = policyRule({ keySource: 'smart-card' });
  deps = {
    ...world.deps,
    gmail: googleGmail({ credentials, endpoints: company.endpoints, retry: company.retry }),
    policy: policyOf([rule]),
    cardKeys: cardFolder(folder),
  };
});
afterEach(async () => {
  rmSync(folder, { recursive: true });
  await Promise.all([world.close(), company.close()]);
});

/** Both clocks read the same, and the CRL is as fresh as Gmail wants it. */
async function onTime(): Promise<void> {
  world.clock.set(company.clock.now());
  await world.publishCrl();
  company.crls.set('issuing.crl', Buffer.from(world.bucket.object('issuing.crl')?.bytes ?? []));
}

/** What a card's software does: the key stays, its request goes into the folder. Answers the public key. */
async function makeKeyOnCard(): Promise<string> {
  const { pkcs8Der, spkiDer } = await materials.pool.generateKey(2048);
  const card = signerFromPkcs8(pkcs8Der, { algorithm: 'sha256WithRSA' });
  const request = derToPem('CERTIFICATE REQUEST', await buildCertificationRequest('whoever', card));
  writeFileSync(join(folder, `${ADDRESS}.csr`), request);
  return Buffer.from(spkiDer).toString('base64');
}

/** What Gmail says of itself, past our adapter. */
async function inGmail(what: 'keypairs' | 'identities') {
  const token = await credentials.forUser(ADDRESS).accessToken();
  const url = new URL(`gmail/v1/users/me/settings/cse/${what}`, company.endpoints.rootUrl);
  const answer = await fetch(url, { headers: { authorization: `Bearer ${token}` } });
  return (await answer.json()) as {
    readonly cseKeyPairs?: readonly { readonly keyPairId: string; readonly pem: string }[];
    readonly cseIdentities?: readonly { readonly primaryKeyPairId: string }[];
  };
}
const newestPair = async () => (await inGmail('keypairs')).cseKeyPairs?.at(-1);
const publicKeyOf = (pem = '') =>
  new X509Certificate(pem).publicKey.export({ type: 'spki', format: 'der' }).toString('base64');
const state = () => world.ledger.readUser(USER_ID);

describe('somebody whose key is on a smart card', () => {
  test('has it certified and used by Gmail with word of the card; nothing is wrapped and nothing to prove', async () => {
    const publicKey = await makeKeyOnCard();
    await look(deps);
    const { user, keys, leaves } = await state();
    expect(user?.state).toBe('ready');
    expect(keys).toMatchObject([{ proof: 'not-applicable', card: { description: expect.any(String) } }]);
    expect(keys[0]?.wrappedKey).toBeUndefined();
    const pair = await newestPair();
    expect(publicKeyOf(pair?.pem)).toBe(publicKey);
    expect(pair).toMatchObject({
      enablementState: 'enabled',
      subjectEmailAddresses: [ADDRESS],
      privateKeyMetadata: [{ privateKeyMetadataId: expect.any(String), hardwareKeyMetadata: keys[0]?.card }],
    });
    expect(JSON.stringify(pair)).not.toContain('kacls');
    expect((await inGmail('identities')).cseIdentities).toMatchObject([
      { primaryKeyPairId: pair?.keyPairId },
    ]);
    expect(leaves).toMatchObject([{ state: 'signed', holder: 'key-service' }]);
  });

  test('is named by the rule’s template like everybody else, whatever the card’s request says', async () => {
    const subject = {
      ...{ country: 'DE', organization: 'Acme GmbH', organizationIdentifier: 'NTRDE-HRB123456' },
      ...{ givenName: '{givenName}', surname: '{familyName}', commonName: '{givenName} {familyName}' },
    };
    const { keyServiceUrl: _none, ...rule } = policyRule({ keySource: 'smart-card', subject });
    world.directory.put({ userId: USER_ID, givenName: 'Ana', familyName: 'Bär' });
    const publicKey = await makeKeyOnCard();
    await look({ ...deps, policy: policyOf([rule]) });
    const { pem } = (await newestPair()) ?? expect.unreachable();
    expect(publicKeyOf(pem)).toBe(publicKey);
    expect(new X509Certificate(pem).subject.split('\n').toSorted()).toEqual(
      [
        ...['C=DE', 'O=Acme GmbH', 'organizationIdentifier=NTRDE-HRB123456'],
        ...['CN=Ana Bär', 'GN=Ana', 'SN=Bär'],
      ].toSorted(),
    );
    const [leaf] = (await state()).leaves;
    expect((await world.ledger.readLeafIntent(leaf?.serialHex ?? ''))?.profile).toBe(
      'dual-use-rsa-sponsor/1',
    );
  });

  test('waits for a card with a notice, and is ready once its request is there', async () => {
    await look(deps);
    expect(await state()).toMatchObject({
      user: { state: 'blocked', reason: expect.stringContaining(`${ADDRESS}.csr`) },
      notices: [{ kind: 'card-key-wanted' }],
    });
    await makeKeyOnCard();
    await look(deps);
    expect(await state()).toMatchObject({ user: { state: 'ready' }, notices: [] });
  });

  test('keeps what they have when a re-key finds the same key still there, and uses the next one then', async () => {
    const first = await makeKeyOnCard();
    await look(deps);
    await wish(world, 'superseded');
    await look(deps);
    expect((await state()).user).toMatchObject({
      state: 'blocked',
      reason: expect.stringContaining('is one the user has already'),
    });
    expect(publicKeyOf((await newestPair())?.pem)).toBe(first);
    const second = await makeKeyOnCard();
    await look(deps);
    expect(await state()).toMatchObject({ user: { state: 'ready' }, openWishes: [], notices: [] });
    expect(publicKeyOf((await newestPair())?.pem)).toBe(second);
  });

  test('loses certificate and identity on leaving, as anybody does', async () => {
    await makeKeyOnCard();
    await look(deps);
    world.directory.put({ userId: USER_ID, orgUnitPath: '/Contractors' });
    await look(deps);
    world.clock.advance(DAY_MS + 1);
    await look(deps);
    expect(await state()).toMatchObject({
      user: { state: 'out' },
      leaves: [{ revocation: { reason: 'affiliationChanged' } }],
    });
    expect((await inGmail('identities')).cseIdentities ?? []).toEqual([]);
  });

  test('never gets a key that is somebody else’s', async () => {
    await makeKeyOnCard();
    const other = '100000000000000000002';
    world.directory.put({ userId: other, primaryEmail: BEN });
    await look(deps);
    const found = await deps.cardKeys?.find({ address: ADDRESS, purpose: 'dual-use' });
    if (found === undefined) throw new Error('There is no card key.');
    await look({ ...deps, cardKeys: { find: async () => found } }, other);
    const { user, keys } = await world.ledger.readUser(other);
    expect(user).toMatchObject({ state: 'blocked', reason: expect.stringContaining(`the user ${USER_ID}`) });
    expect(keys).toEqual([]);
  });

  test('never gets a key that shares its modulus with one that is known', async () => {
    await makeKeyOnCard();
    await look(deps);
    const [known = expect.unreachable()] = (await state()).keys;
    await wish(world, 'superseded');
    const spkiDer = rsaSpki(readRsaPublicKey(known.spkiDer).modulus, 65_539n);
    await look({ ...deps, cardKeys: { find: async () => ({ spkiDer, modulusBits: 2048 }) } });
    expect((await state()).user).toMatchObject({
      state: 'blocked',
      reason: expect.stringContaining('same modulus'),
    });
    expect((await state()).keys).toHaveLength(1);
  });

  test('is told what to set where no folder is configured', async () => {
    const { cardKeys: _, ...without } = deps;
    await look(without);
    expect((await state()).user?.reason).toContain('SEALWRIGHT_KEY_FOLDER');
  });
});
