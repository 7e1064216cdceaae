import type { gmail_v1 } from 'googleapis/build/src/apis/gmail/index.js';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { LeafRequest } from './pki.ts';
import { type Refusal, refusalOf, Tenant } from './tenant.ts';

const DAY_MS = 86_400_000;
let tenant: Tenant;
let number = 0;

beforeAll(async () => {
  tenant = await Tenant.open();
});
afterAll(() => tenant.close());

interface User {
  readonly id: string;
  readonly email: string;
  readonly cse: gmail_v1.Resource$Users$Settings$Cse;
  readonly upload: (request?: LeafRequest) => Promise<string>;
}

function newUser(aliases: readonly string[] = []): User {
  number += 1;
  const email = `user${number}@acme.example`;
  const { id } = tenant.accounts.add(email, { aliases });
  return {
    id,
    email,
    cse: tenant.client(email).users.settings.cse,
    upload: (request) => tenant.upload(email, tenant.pki.leaf(tenant.issuing, email, request)),
  };
}
const create = ({ cse }: User, requestBody: object) => cse.identities.create({ userId: 'me', requestBody });
const primary = (user: User, primaryKeyPairId: string) => ({ emailAddress: user.email, primaryKeyPairId });
const INVALID = { code: 400, status: 'INVALID_ARGUMENT', reason: 'invalidArgument' };
const signingOnly: LeafRequest = { extensions: { keyUsage: 'critical,digitalSignature' } };
const encryptionOnly: LeafRequest = { extensions: { keyUsage: 'critical,keyEncipherment' } };

describe('identities.create', () => {
  it('binds the primary address to one key pair and publishes its certificate', async () => {
    const ana = newUser();
    const leaf = tenant.pki.leaf(tenant.issuing, ana.email);
    const id = await tenant.upload(ana.email, leaf);
    const { data } = await create(ana, primary(ana, id));
    expect(data).toEqual({ emailAddress: ana.email, primaryKeyPairId: id });
    expect(tenant.gmail.publishedCertificate(ana.email)).toEqual(leaf.der);
  });

  it('binds it to a key pair for signing and one for encryption, and publishes the latter', async () => {
    const ana = newUser();
    const signingKeyPairId = await ana.upload(signingOnly);
    const leaf = tenant.pki.leaf(tenant.issuing, ana.email, encryptionOnly);
    const encryptionKeyPairId = await tenant.upload(ana.email, leaf);
    const body = {
      emailAddress: ana.email,
      signAndEncryptKeyPairs: { signingKeyPairId, encryptionKeyPairId },
    };
    expect((await create(ana, body)).data).toEqual(body);
    expect(tenant.gmail.publishedCertificate(ana.email)).toEqual(leaf.der);
  });

  it('takes the address in capital letters', async () => {
    const ana = newUser();
    const body = { emailAddress: ana.email.toUpperCase(), primaryKeyPairId: await ana.upload() };
    expect((await create(ana, body)).data.emailAddress).toBe(ana.email);
  });

  it('refuses an alias, another address and none', async () => {
    const ana = newUser(['alias@acme.example']);
    const primaryKeyPairId = await ana.upload();
    for (const emailAddress of ['alias@acme.example', 'bob@acme.example', '', undefined]) {
      expect(await refusalOf(create(ana, { emailAddress, primaryKeyPairId }))).toMatchObject(INVALID);
    }
  });

  it('refuses both forms, neither, and half of the second', async () => {
    const ana = newUser();
    const id = await ana.upload();
    const pairs = { signingKeyPairId: id, encryptionKeyPairId: id };
    for (const form of [
      { primaryKeyPairId: id, signAndEncryptKeyPairs: pairs },
      {},
      { signAndEncryptKeyPairs: { signingKeyPairId: id } },
      { signAndEncryptKeyPairs: { encryptionKeyPairId: id } },
    ]) {
      expect(await refusalOf(create(ana, { emailAddress: ana.email, ...form }))).toMatchObject(INVALID);
    }
  });

  it("answers 404 for a key pair that is not there or is another user's", async () => {
    const [ana, bob] = [newUser(), newUser()];
    const bobs = await bob.upload();
    for (const id of ['ANe1BmNone', bobs]) {
      expect((await refusalOf(create(ana, primary(ana, id)))).code).toBe(404);
    }
  });

  it('refuses a disabled key pair', async () => {
    const ana = newUser();
    const id = await ana.upload();
    await ana.cse.keypairs.disable({ userId: 'me', keyPairId: id });
    const refusal = await refusalOf(create(ana, primary(ana, id)));
    expect(refusal.code).toBe(400);
    expect(refusal.message).toMatch(/is disabled/);
  });

  it('refuses a key pair whose key usage does not fit', async () => {
    const ana = newUser();
    const [signing, encryption] = [await ana.upload(signingOnly), await ana.upload(encryptionOnly)];
    expect((await refusalOf(create(ana, primary(ana, signing)))).message).toMatch(/does not let it encrypt/);
    const swapped = {
      emailAddress: ana.email,
      signAndEncryptKeyPairs: { signingKeyPairId: encryption, encryptionKeyPairId: signing },
    };
    expect((await refusalOf(create(ana, swapped))).message).toMatch(/does not let it sign/);
  });

  it('answers 409 when the address has one', async () => {
    const ana = newUser();
    const id = await ana.upload();
    await create(ana, primary(ana, id));
    expect(await refusalOf(create(ana, primary(ana, id)))).toEqual({
      code: 409,
      status: 'ALREADY_EXISTS',
      reason: 'alreadyExists',
      message: 'Requested entity already exists',
    } satisfies Refusal);
  });

  it('refuses an unknown field', async () => {
    const ana = newUser();
    const refusal = await refusalOf(create(ana, { emailAddress: ana.email, keyPairId: 'ANe1Bm' }));
    expect(refusal.message).toMatch(/Unknown name "keyPairId": Cannot find field/);
  });
});

describe('identities.patch', () => {
  const patch = (user: User, emailAddress: string, requestBody: object) =>
    user.cse.identities.patch({ userId: 'me', emailAddress, requestBody });

  it('replaces the key pair, in either form', async () => {
    const ana = newUser();
    const [first, second] = [await ana.upload(), await ana.upload()];
    await create(ana, primary(ana, first));
    expect((await patch(ana, ana.email, primary(ana, second))).data).toEqual(primary(ana, second));
    const pairs = { signingKeyPairId: first, encryptionKeyPairId: second };
    const { data } = await patch(ana, ana.email, { signAndEncryptKeyPairs: pairs });
    expect(data).toEqual({ emailAddress: ana.email, signAndEncryptKeyPairs: pairs });
  });

  it('answers 404 when the address has none', async () => {
    const ana = newUser();
    const id = await ana.upload();
    expect((await refusalOf(patch(ana, ana.email, primary(ana, id)))).code).toBe(404);
  });

  it('makes the same checks as create', async () => {
    const ana = newUser();
    const [good, disabled] = [await ana.upload(), await ana.upload()];
    await create(ana, primary(ana, good));
    await ana.cse.keypairs.disable({ userId: 'me', keyPairId: disabled });
    expect((await refusalOf(patch(ana, ana.email, primary(ana, disabled)))).code).toBe(400);
    expect((await refusalOf(patch(ana, ana.email, primary(ana, 'ANe1BmNone')))).code).toBe(404);
    expect(await refusalOf(patch(ana, ana.email, {}))).toMatchObject(INVALID);
    const other = { emailAddress: 'bob@acme.example', primaryKeyPairId: good };
    expect(await refusalOf(patch(ana, ana.email, other))).toMatchObject(INVALID);
  });

  it('refuses a key pair whose leaf has expired since', async () => {
    const own = await Tenant.open();
    try {
      own.accounts.add('ana@acme.example');
      const cse = () => own.client('ana@acme.example').users.settings.cse;
      const [first, second] = [await own.upload('ana@acme.example'), await own.upload('ana@acme.example')];
      const body = (primaryKeyPairId: string) => ({ emailAddress: 'ana@acme.example', primaryKeyPairId });
      await cse().identities.create({ userId: 'me', requestBody: body(first) });
      own.world.clock.advance(366 * DAY_MS);
      const late = cse().identities.patch({
        userId: 'me',
        emailAddress: 'ana@acme.example',
        requestBody: body(second),
      });
      expect((await refusalOf(late)).message).toMatch(/expired at/);
    } finally {
      await own.close();
    }
  });
});

describe('identities.get, list and delete', () => {
  it('answer the identity, then 404 once it is deleted, and leave the key pair', async () => {
    const ana = newUser();
    const id = await ana.upload();
    await create(ana, primary(ana, id));
    const one = { userId: 'me', cseEmailAddress: ana.email };
    expect((await ana.cse.identities.get(one)).data).toEqual(primary(ana, id));
    expect((await ana.cse.identities.list({ userId: 'me' })).data).toEqual({
      cseIdentities: [primary(ana, id)],
    });
    expect((await ana.cse.identities.delete(one)).status).toBe(204);
    expect((await refusalOf(ana.cse.identities.get(one))).code).toBe(404);
    expect((await refusalOf(ana.cse.identities.delete(one))).code).toBe(404);
    expect((await ana.cse.identities.list({ userId: 'me' })).data).toEqual({});
    expect((await ana.cse.keypairs.get({ userId: 'me', keyPairId: id })).data.enablementState).toBe(
      'enabled',
    );
    expect(tenant.gmail.publishedCertificate(ana.email)).toBeUndefined();
    expect((await create(ana, primary(ana, id))).status).toBe(200);
  });
});

describe('a renamed user', () => {
  it('keeps the key pairs and the identity of the old address, and needs a new certificate for the new one', async () => {
    const ana = newUser();
    const old = await ana.upload();
    await create(ana, primary(ana, old));
    const renamed = `renamed-${ana.email}`;
    tenant.accounts.update(ana.id, { primaryEmail: renamed, aliases: [ana.email] });
    const cse = tenant.client(renamed).users.settings.cse;
    expect((await cse.keypairs.list({ userId: 'me' })).data.cseKeyPairs).toHaveLength(1);
    expect((await cse.identities.get({ userId: 'me', cseEmailAddress: ana.email })).data).toEqual(
      primary(ana, old),
    );
    const identity = (primaryKeyPairId: string) =>
      cse.identities.create({
        userId: 'me',
        requestBody: { emailAddress: renamed, primaryKeyPairId },
      });
    expect((await refusalOf(identity(old))).message).toMatch(/must carry the user's primary address/);
    const fresh = await tenant.upload(renamed);
    expect((await identity(fresh)).data.primaryKeyPairId).toBe(fresh);
    const stale = cse.identities.patch({
      userId: 'me',
      emailAddress: ana.email,
      requestBody: { primaryKeyPairId: old },
    });
    expect(await refusalOf(stale)).toMatchObject(INVALID);
    expect((await cse.identities.delete({ userId: 'me', cseEmailAddress: ana.email })).status).toBe(204);
  });
});
