import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type AdminConsole, createAdminConsole } from '../../../emulator/admin-console/index.ts';
import { EmulatorWorld } from '../core/world.ts';
import { TestAccounts } from '../gmail/accounts.ts';
import { type Authority, type Leaf, OpenSslPki } from '../gmail/pki.ts';

const DAY_MS = 86_400_000;
let pki: OpenSslPki;
let root: Authority;
let issuing: Authority;
let leaf: Leaf;
let world: EmulatorWorld;
let accounts: TestAccounts;
let adminConsole: AdminConsole;

beforeAll(() => {
  pki = new OpenSslPki();
  root = pki.authority('root');
  issuing = pki.authority('issuing', { issuer: root });
  leaf = pki.leaf(issuing, 'ana@acme.example');
});
afterAll(() => pki.close());
beforeEach(async () => {
  world = new EmulatorWorld();
  accounts = new TestAccounts();
  adminConsole = createAdminConsole(world.context, { accounts });
  await world.serve(adminConsole.routes);
  return () => world.close();
});

interface Reply {
  readonly status: number;
  readonly body: {
    readonly fingerprint?: string;
    readonly warnings?: readonly string[];
    readonly domains?: readonly string[];
    readonly roots?: readonly { fingerprint: string }[];
    readonly error?: { readonly status: string; readonly message: string };
  };
}

async function control(method: string, path: string, body?: object): Promise<Reply> {
  const response = await fetch(`${world.root}_emulator/admin-console/${path}`, {
    method,
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  return { status: response.status, body: (await response.json()) as Reply['body'] };
}
const upload = (pem: string, domains?: readonly string[]) =>
  control('POST', 'roots', { pem, ...(domains === undefined ? {} : { domains }) });

describe('uploading an S/MIME root', () => {
  it('takes one PEM with leaf, issuing CA and root, and trusts the root from then on', async () => {
    const { status, body } = await upload(leaf.pem + issuing.pem + root.pem);
    expect(status).toBe(200);
    expect(body.warnings).toEqual([]);
    expect(adminConsole.trustedRoots('ana@acme.example')).toEqual([root.der]);
    expect((await control('GET', 'roots')).body.roots).toMatchObject([{ fingerprint: body.fingerprint }]);
  });

  it('warns when there is no end-user certificate', async () => {
    expect((await upload(issuing.pem + root.pem)).body.warnings).toMatchObject([/no end-user certificate/]);
  });

  it('trusts a root for the domains it was uploaded for, in any case', async () => {
    await upload(issuing.pem + root.pem, ['Partner.example']);
    expect(adminConsole.trustedRoots('ana@acme.example')).toEqual([]);
    expect(adminConsole.trustedRoots('paul@PARTNER.example')).toEqual([root.der]);
  });

  it('answers 409 for a root that is there already', async () => {
    await upload(issuing.pem + root.pem);
    expect((await upload(issuing.pem + root.pem)).status).toBe(409);
  });

  it.each<[string, () => string, RegExp]>([
    [
      'a private key',
      () => root.pem + issuing.pem + readFileSync(join(root.folder, 'key.pem'), 'utf8'),
      /private key/,
    ],
    ['no certificate', () => 'hello', /certificates in PEM and nothing else/],
    ['no root', () => issuing.pem + leaf.pem, /none of its certificates is one/],
    ['no intermediate', () => root.pem, /at least one intermediate/],
    ['two roots', () => issuing.pem + root.pem + pki.authority('second').pem, /exactly one root, it holds 2/],
    [
      'a certificate of another chain',
      () => root.pem + pki.authority('odd', { issuer: pki.authority('odd-root') }).pem,
      /was not issued by a CA of the file/,
    ],
    [
      'a root that is no CA',
      () => pki.authority('no-ca', { extensions: { basicConstraints: 'CA:FALSE' } }).pem,
      /must be a CA/,
    ],
    [
      'a root with an RSA key of 1024 bits',
      () => pki.authority('weak', { rsaBits: 1024 }).pem,
      /2048, 3072 or 4096/,
    ],
    [
      'a root that has expired',
      () =>
        pki.authority('old', {
          notBefore: new Date(Date.now() - 9 * DAY_MS),
          notAfter: new Date(Date.now() - DAY_MS),
        }).pem,
      /expired at/,
    ],
  ])('refuses %s', async (_case, pem, message) => {
    const { status, body } = await upload(pem());
    expect(status).toBe(400);
    expect(body.error?.status).toBe('INVALID_ARGUMENT');
    expect(body.error?.message).toMatch(message);
    expect(adminConsole.roots()).toEqual([]);
  });

  it('refuses an unknown field, an empty list of domains and no file', async () => {
    for (const body of [{ pem: root.pem, trust: true }, { pem: root.pem, domains: [] }, {}]) {
      expect((await control('POST', 'roots', body)).status).toBe(400);
    }
  });

  it('can be undone by fingerprint', async () => {
    const { body } = await upload(issuing.pem + root.pem);
    expect((await control('DELETE', `roots/${body.fingerprint}`)).status).toBe(200);
    expect(adminConsole.trustedRoots('ana@acme.example')).toEqual([]);
    expect((await control('DELETE', `roots/${body.fingerprint}`)).status).toBe(404);
  });
});

describe("switching on Gmail's client-side encryption", () => {
  it('is done for the whole organization in a new tenant', () => {
    const ana = accounts.add('ana@acme.example', { orgUnitPath: '/Staff/Sales' });
    expect(adminConsole.refusal(ana)).toBeUndefined();
  });

  it('goes by the nearest unit, and a setting of the user before all units', async () => {
    const ana = accounts.add('ana@acme.example', { orgUnitPath: '/Staff/Sales/North' });
    await control('POST', 'cse', { orgUnitPath: '/', enabled: false });
    expect(adminConsole.refusal(ana)).toMatch(/not turned on for ana@acme\.example/);
    await control('POST', 'cse', { orgUnitPath: '/staff', enabled: true });
    expect(adminConsole.refusal(ana)).toBeUndefined();
    await control('POST', 'cse', { orgUnitPath: '/Staff/Sales/', enabled: false });
    expect(adminConsole.refusal(ana)).toMatch(/not turned on/);
    await control('POST', 'cse', { user: 'ANA@acme.example', enabled: true });
    expect(adminConsole.refusal(ana)).toBeUndefined();
    await control('POST', 'cse', { user: 'ana@acme.example', enabled: 'inherit' });
    expect(adminConsole.refusal(ana)).toMatch(/not turned on/);
  });

  it('does not reach a unit whose name only begins alike', async () => {
    const ana = accounts.add('ana@acme.example', { orgUnitPath: '/Staffing' });
    await control('POST', 'cse', { orgUnitPath: '/Staff', enabled: false });
    expect(adminConsole.refusal(ana)).toBeUndefined();
  });

  it('takes effect after the delay it was given, by the clock', async () => {
    const ana = accounts.add('ana@acme.example');
    await control('POST', 'cse', { orgUnitPath: '/', enabled: false });
    await control('POST', 'cse', { orgUnitPath: '/Staff', enabled: true, delay: '24h' });
    expect(adminConsole.refusal(ana)).toMatch(/has not taken effect yet/);
    world.clock.advance(23 * 3_600_000);
    await control('POST', 'cse', { orgUnitPath: '/Staff', enabled: true, delay: '24h' }); // does not start anew
    expect(adminConsole.refusal(ana)).toMatch(/has not taken effect yet/);
    world.clock.advance(3_600_000);
    expect(adminConsole.refusal(ana)).toBeUndefined();
  });

  it('follows the account when it is renamed', async () => {
    const ana = accounts.add('ana@acme.example');
    await control('POST', 'cse', { user: 'ana@acme.example', enabled: false });
    const renamed = accounts.update(ana.id, { primaryEmail: 'anna@acme.example' });
    expect(adminConsole.refusal(renamed)).toMatch(/not turned on for anna@acme\.example/);
  });

  it('refuses both targets, neither, an unknown user, and what is no switch or length of time', async () => {
    accounts.add('ana@acme.example');
    for (const [body, status] of [
      [{ orgUnitPath: '/', user: 'ana@acme.example', enabled: true }, 400],
      [{ enabled: true }, 400],
      [{ user: 'nobody@acme.example', enabled: true }, 404],
      [{ orgUnitPath: '/', enabled: 'yes' }, 400],
      [{ orgUnitPath: '/', enabled: true, delay: 'soon' }, 400],
      [{ orgUnitPath: '/', on: true }, 400],
    ] as const) {
      expect((await control('POST', 'cse', body)).status).toBe(status);
    }
  });
});

describe('licences', () => {
  it('are held by everybody until taken away', async () => {
    const ana = accounts.add('ana@acme.example');
    expect(adminConsole.refusal(ana)).toBeUndefined();
    await control('POST', 'licence', { user: 'ana@acme.example', licensed: false });
    expect(adminConsole.refusal(ana)).toMatch(/has no licence/);
    await control('POST', 'licence', { user: 'ana@acme.example', licensed: true });
    expect(adminConsole.refusal(ana)).toBeUndefined();
    expect((await control('POST', 'licence', { user: 'ana@acme.example', licensed: 1 })).status).toBe(400);
  });
});

describe('key services', () => {
  it('are assigned by unit, and earlier ones stay registered', async () => {
    const ana = accounts.add('ana@acme.example', { orgUnitPath: '/Staff' });
    expect(adminConsole.keyServiceOf(ana)).toBeUndefined();
    await control('POST', 'key-service', { url: 'https://kacls.acme.example/v1/' });
    expect(adminConsole.keyServiceOf(ana)).toBe('https://kacls.acme.example/v1');
    await control('POST', 'key-service', { url: 'https://kacls2.acme.example', orgUnitPath: '/Staff' });
    expect(adminConsole.keyServiceOf(ana)).toBe('https://kacls2.acme.example');
    expect(adminConsole.keyServices()).toEqual([
      'https://kacls.acme.example/v1',
      'https://kacls2.acme.example',
    ]);
  });

  it('are refused when they are no base address', async () => {
    for (const url of ['kacls', 'ftp://kacls.acme.example', 'https://kacls.acme.example/?x=1', 7]) {
      expect((await control('POST', 'key-service', { url })).status).toBe(400);
    }
  });
});
