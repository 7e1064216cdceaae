import type { gmail_v1 } from 'googleapis/build/src/apis/gmail/index.js';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { KACLS_URL, keyPair, type Refusal, refusalOf, SETTINGS_BASIC, Tenant } from './tenant.ts';

const DAY_MS = 86_400_000;
let tenant: Tenant;
let number = 0;

beforeAll(async () => {
  tenant = await Tenant.open();
});
afterAll(() => tenant.close());

/** A user of their own for each test, so that none sees another's key pairs. */
function newUser(): { email: string; keypairs: gmail_v1.Resource$Users$Settings$Cse$Keypairs } {
  number += 1;
  const email = `user${number}@acme.example`;
  tenant.accounts.add(email);
  return { email, keypairs: tenant.client(email).users.settings.cse.keypairs };
}
const me = (keyPairId: string) => ({ userId: 'me', keyPairId });

describe('keypairs.create, reading the metadata of the private key,', () => {
  const create = async (privateKeyMetadata: unknown) => {
    const { email, keypairs } = newUser();
    const { pkcs7 } = keyPair(tenant.pkcs7(tenant.pki.leaf(tenant.issuing, email)));
    return keypairs.create({ userId: 'me', requestBody: { pkcs7, privateKeyMetadata } as object });
  };
  const kacls = (kaclsData: string, kaclsUri = KACLS_URL) => ({ kaclsKeyMetadata: { kaclsUri, kaclsData } });

  it('gives each entry an id and answers it as it came', async () => {
    const { data } = await create([kacls('d3JhcHBlZA==')]);
    expect(data.privateKeyMetadata).toEqual([
      { privateKeyMetadataId: expect.stringMatching(/^[\w-]+$/), ...kacls('d3JhcHBlZA==') },
    ]);
  });

  it('takes a smart card instead of a key service', async () => {
    const { data } = await create([{ hardwareKeyMetadata: { description: 'Reader 1' } }]);
    expect(data.privateKeyMetadata?.[0]).toMatchObject({ hardwareKeyMetadata: { description: 'Reader 1' } });
  });

  it('takes 8 KiB of wrapped key', async () => {
    await expect(create([kacls('A'.repeat(8192))])).resolves.toMatchObject({ status: 200 });
  });

  it.each<[string, unknown, RegExp]>([
    ['nothing', [], /it is empty/],
    ['an entry of neither kind', [{}], /exactly one of/],
    ['an entry of both kinds', [{ ...kacls('AA=='), hardwareKeyMetadata: {} }], /exactly one of/],
    ['more than 8 KiB of wrapped key', [kacls('A'.repeat(8193))], /at most 8 KiB/],
    ['no wrapped key', [kacls('')], /kaclsData must hold/],
    ['no key service', [{ kaclsKeyMetadata: { kaclsData: 'AA==' } }], /kaclsUri must be the address/],
    [
      'an unknown field',
      [{ ...kacls('AA=='), keyService: 'x' }],
      /Unknown name "keyService" at 'privateKeyMetadata\[0\]': Cannot find field/,
    ],
    ['text for a list', 'AA==', /Invalid value at 'privateKeyMetadata'/],
  ])('refuses %s', async (_case, metadata, message) => {
    const refusal = await refusalOf(create(metadata));
    expect(refusal).toMatchObject({ code: 400, status: 'INVALID_ARGUMENT' });
    expect(refusal.message).toMatch(message);
  });

  it('refuses a key service that is not among those registered', async () => {
    tenant.adminConsole.registerKeyService('https://kacls.acme.example/v1/');
    await expect(create([kacls('AA==')])).resolves.toMatchObject({ status: 200 });
    const refusal = await refusalOf(create([kacls('AA==', 'https://elsewhere.example/v1')]));
    expect(refusal.message).toMatch(/no administrator has registered/);
  });
});

describe('keypairs.create', () => {
  it('reads over output-only fields', async () => {
    const { email, keypairs } = newUser();
    const { data } = await keypairs.create({
      userId: 'me',
      requestBody: {
        ...keyPair(tenant.pkcs7(tenant.pki.leaf(tenant.issuing, email))),
        keyPairId: 'mine',
        enablementState: 'disabled',
        subjectEmailAddresses: ['other@acme.example'],
      },
    });
    expect(data.keyPairId).not.toBe('mine');
    expect(data.enablementState).toBe('enabled');
    expect(data.subjectEmailAddresses).toEqual([email]);
  });

  it('refuses an unknown field in the body and an unknown parameter in the query', async () => {
    const { keypairs } = newUser();
    const body = await refusalOf(keypairs.create({ userId: 'me', requestBody: { pkcs8: '' } as object }));
    expect(body).toMatchObject({ code: 400, status: 'INVALID_ARGUMENT' });
    expect(body.message).toBe('Invalid JSON payload received. Unknown name "pkcs8": Cannot find field.');
    const query = await refusalOf(keypairs.list({ userId: 'me', showDisabled: true } as object));
    expect(query.message).toMatch(/Unknown name "showDisabled": Cannot bind query parameter/);
  });

  it('answers 409 for a leaf that the user has already, and takes it from another user', async () => {
    const [ana, bob] = [newUser(), newUser()];
    const shared = tenant.pki.leaf(tenant.issuing, ana.email, {
      extensions: { subjectAltName: `email:${ana.email},email:${bob.email}` },
    });
    await tenant.upload(ana.email, shared);
    const refusal = await refusalOf(tenant.upload(ana.email, shared));
    expect(refusal).toEqual({
      code: 409,
      status: 'ALREADY_EXISTS',
      reason: 'alreadyExists',
      message: 'Requested entity already exists',
    } satisfies Refusal);
    await expect(tenant.upload(bob.email, shared)).resolves.toMatch(/^ANe1Bm/);
  });

  it('makes one key pair of two calls at the same time', async () => {
    const { email, keypairs } = newUser();
    const leaf = tenant.pki.leaf(tenant.issuing, email);
    const outcomes = await Promise.allSettled([tenant.upload(email, leaf), tenant.upload(email, leaf)]);
    expect(outcomes.map((outcome) => outcome.status).toSorted()).toEqual(['fulfilled', 'rejected']);
    expect((await keypairs.list({ userId: 'me' })).data.cseKeyPairs).toHaveLength(1);
  });

  it('meets 409 after a reply that was lost on the way', async () => {
    const { email, keypairs } = newUser();
    const leaf = tenant.pki.leaf(tenant.issuing, email);
    tenant.world.faults.apply({
      calls: [{ method: 'gmail.users.settings.cse.keypairs.create', nth: [1], cut: 'after' }],
    });
    await expect(tenant.upload(email, leaf)).rejects.toThrow();
    tenant.world.faults.apply({ reset: true });
    expect((await refusalOf(tenant.upload(email, leaf))).code).toBe(409);
    expect((await keypairs.list({ userId: 'me' })).data.cseKeyPairs).toHaveLength(1);
  });
});

describe('a key pair', () => {
  it('can be got by its id, and by no other', async () => {
    const { email, keypairs } = newUser();
    const id = await tenant.upload(email);
    expect((await keypairs.get(me(id))).data.keyPairId).toBe(id);
    expect(await refusalOf(keypairs.get(me('ANe1BmNone')))).toEqual({
      code: 404,
      status: 'NOT_FOUND',
      reason: 'notFound',
      message: 'Requested entity was not found.',
    } satisfies Refusal);
  });

  it("is not found under another user's mailbox", async () => {
    const [ana, bob] = [newUser(), newUser()];
    const id = await tenant.upload(ana.email);
    for (const action of ['get', 'enable', 'disable', 'obliterate'] as const) {
      expect((await refusalOf(bob.keypairs[action](me(id)))).code).toBe(404);
    }
  });

  it('is disabled with the time of the change, and enabled without it', async () => {
    const { email, keypairs } = newUser();
    const id = await tenant.upload(email);
    const before = tenant.world.clock.nowMs();
    const { data: disabled } = await keypairs.disable(me(id));
    expect(disabled.enablementState).toBe('disabled');
    expect(Date.parse(disabled.disableTime ?? '')).toBeGreaterThanOrEqual(before);
    const { data: enabled } = await keypairs.enable(me(id));
    expect(enabled.enablementState).toBe('enabled');
    expect(enabled).not.toHaveProperty('disableTime');
  });

  it('keeps the time of its first disabling when disabled again, or refuses, as the switch says', async () => {
    const { email, keypairs } = newUser();
    const id = await tenant.upload(email);
    const { data: first } = await keypairs.disable(me(id));
    tenant.world.clock.advance(1000);
    const { data: again } = await keypairs.disable(me(id));
    expect(again.disableTime).toBe(first.disableTime);
    const options = (body: object) =>
      fetch(`${tenant.world.root}_emulator/gmail/options`, { method: 'POST', body: JSON.stringify(body) });
    await options({ disableAgain: 'refuse' });
    expect(await refusalOf(keypairs.disable(me(id)))).toMatchObject({
      code: 400,
      status: 'FAILED_PRECONDITION',
    });
    await options({ disableAgain: 'accept' });
    expect((await options({ disableAgain: 'maybe' })).status).toBe(400);
  });

  it('refuses a body in its actions', async () => {
    const { email, keypairs } = newUser();
    const id = await tenant.upload(email);
    for (const action of ['enable', 'disable', 'obliterate'] as const) {
      const call = keypairs[action]({ ...me(id), requestBody: { force: true } as object });
      expect((await refusalOf(call)).message).toMatch(/Unknown name "force"/);
    }
  });
});

describe('keypairs.obliterate', () => {
  /** Tests that move the clock have a tenant of their own: certificates and CRLs run out meanwhile. */
  it('is refused until a key pair has been disabled for more than 30 days, then forgets it', async () => {
    const own = await Tenant.open();
    try {
      own.accounts.add('ana@acme.example');
      const keypairs = () => own.client('ana@acme.example').users.settings.cse.keypairs;
      const id = await own.upload('ana@acme.example');
      const tooEarly = { code: 400, status: 'FAILED_PRECONDITION', reason: 'failedPrecondition' };
      expect(await refusalOf(keypairs().obliterate(me(id)))).toMatchObject(tooEarly);
      await keypairs().disable(me(id));
      own.world.clock.advance(29 * DAY_MS);
      expect(await refusalOf(keypairs().obliterate(me(id)))).toMatchObject(tooEarly);
      own.world.clock.advance(DAY_MS);
      const { status } = await keypairs().obliterate(me(id));
      expect(status).toBe(200);
      expect((await refusalOf(keypairs().get(me(id)))).code).toBe(404);
      expect((await keypairs().list({ userId: 'me' })).data).toEqual({});
    } finally {
      await own.close();
    }
  });

  it('starts the 30 days anew when the key pair was enabled meanwhile', async () => {
    const own = await Tenant.open();
    try {
      own.accounts.add('ana@acme.example');
      const keypairs = () => own.client('ana@acme.example').users.settings.cse.keypairs;
      const id = await own.upload('ana@acme.example');
      await keypairs().disable(me(id));
      own.world.clock.advance(31 * DAY_MS);
      await keypairs().enable(me(id));
      await keypairs().disable(me(id));
      expect((await refusalOf(keypairs().obliterate(me(id)))).status).toBe('FAILED_PRECONDITION');
    } finally {
      await own.close();
    }
  });

  it('is refused while an identity names the key pair, unless the switch allows it', async () => {
    const own = await Tenant.open();
    try {
      own.accounts.add('ana@acme.example');
      const cse = () => own.client('ana@acme.example').users.settings.cse;
      const id = await own.upload('ana@acme.example');
      await cse().identities.create({
        userId: 'me',
        requestBody: { emailAddress: 'ana@acme.example', primaryKeyPairId: id },
      });
      await cse().keypairs.disable(me(id));
      own.world.clock.advance(31 * DAY_MS);
      const refusal = await refusalOf(cse().keypairs.obliterate(me(id)));
      expect(refusal).toMatchObject({ code: 400, status: 'FAILED_PRECONDITION' });
      expect(refusal.message).toMatch(/in use by the identity ana@acme\.example/);
      await fetch(`${own.world.root}_emulator/gmail/options`, {
        method: 'POST',
        body: '{"obliterateInUse":"accept"}',
      });
      await cse().keypairs.obliterate(me(id));
      const { data } = await cse().identities.get({ userId: 'me', cseEmailAddress: 'ana@acme.example' });
      expect(data.primaryKeyPairId).toBe(id);
    } finally {
      await own.close();
    }
  });
});

describe('keypairs.list', () => {
  it('leaves the list out when there is nothing', async () => {
    expect((await newUser().keypairs.list({ userId: 'me' })).data).toEqual({});
  });

  it('gives pages of 20 unless told, and each key pair once', async () => {
    const { email, keypairs } = newUser();
    const ids: string[] = [];
    for (let index = 0; index < 21; index += 1) ids.push(await tenant.upload(email));
    const { data: first } = await keypairs.list({ userId: 'me' });
    expect(first.cseKeyPairs?.map((pair) => pair.keyPairId)).toEqual(ids.slice(0, 20));
    const { data: second } = await keypairs.list({ userId: 'me', pageToken: first.nextPageToken ?? '' });
    expect(second.cseKeyPairs?.map((pair) => pair.keyPairId)).toEqual(ids.slice(20));
    expect(second).not.toHaveProperty('nextPageToken');
    const { data: whole } = await keypairs.list({ userId: 'me', pageSize: 21 });
    expect(whole.cseKeyPairs).toHaveLength(21);
    expect(whole).not.toHaveProperty('nextPageToken');

    const elsewhere = newUser();
    for (const pageToken of ['garbage', first.nextPageToken ?? '']) {
      const refusal = await refusalOf(elsewhere.keypairs.list({ userId: 'me', pageToken }));
      expect(refusal).toMatchObject({ code: 400, status: 'INVALID_ARGUMENT' });
    }
    const identities = tenant.client(email, [SETTINGS_BASIC]).users.settings.cse.identities;
    const foreign = identities.list({ userId: 'me', pageToken: first.nextPageToken ?? '' });
    expect((await refusalOf(foreign)).code).toBe(400);
  });

  it('refuses a page size that is no number, or negative', async () => {
    const { keypairs } = newUser();
    for (const pageSize of ['many', '-1', '1.5']) {
      const refusal = await refusalOf(keypairs.list({ userId: 'me', pageSize } as object));
      expect(refusal).toMatchObject({ code: 400, status: 'INVALID_ARGUMENT' });
    }
  });
});
