/**
 * Mail through the whole system: every form that Gmail writes, from before and after everything that changes a key, old mail
 * of another system with the key it was encrypted to, and a change of key service. The emulator's Gmail client calls the key
 * services as Gmail does, with freshly minted tokens.
 */
import { spawnSync } from 'node:child_process';
import { generateKeyPairSync, randomBytes, X509Certificate } from 'node:crypto';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { composeBase } from '../../functions/compose/parts/base.ts';
import { type RunningKeyServer, startKeyServer } from '../../functions/key-server/serve.ts';
import { ACCOUNTS, COMPANY, SECRETS } from '../../local/company.ts';
import { delegatedCredentials } from '../../shared/adapters/google/delegated-credentials.ts';
import { parseSettings } from '../../shared/config/settings.ts';
import { sealwright } from '../cli/sealwright.ts';
import { keepStandardOutput } from '../functions/support/standard-output.ts';
import { OLD_PASSWORD, oldKey } from '../support/old-key.ts';
import { addressOf, beginStory, eventually, newRevision, only, type Story } from './story.ts';

const [ana, ben, sam] = ['ana', 'ben', 'sam'].map(addressOf) as [string, string, string];
const PIA = 'pia@partner.example';

let story: Story;
let folder: string;
const at = (...parts: readonly string[]) => join(folder, ...parts);

/** What is kept of a message, to be opened again later. */
interface Kept {
  readonly id: string;
  readonly text: string;
  readonly to: readonly string[];
}
const archive: Kept[] = [];

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'sealwright-mail-'));
  story = await beginStory({ policy: withSplitKeys });
  // Where Google's libraries look for the metadata server.
  process.env['GCE_METADATA_HOST'] = new URL(story.system.ready.google).host;
  await Promise.all([
    story.company.hire('ana'),
    story.company.hire('ben'),
    story.company.hire('sam', '/Contractors'),
  ]);
  for (const user of [ana, ben, sam]) await story.company.waitForState(user, 'ready');
  await story.company.drain();
}, 120_000);

afterAll(async () => {
  delete process.env['GCE_METADATA_HOST'];
  await newService?.stop();
  newLog?.restore();
  await story.end();
  rmSync(folder, { recursive: true, force: true });
});

/** Staff have one key, contractors two; all so short-lived that a renewal comes before anything else runs out. */
function withSplitKeys(sample: string): string {
  const [, rule = ''] = sample.split('rules:\n');
  const split = rule
    .replace('name: staff', 'name: contractors')
    .replace('orgUnit: /Staff', 'orgUnit: /Contractors')
    .replace('profile: dual-use', 'profile: split');
  return `${sample}${split}`.replaceAll('validity: 365d', 'validity: 90d');
}

/** As a deployment of a changed policy: the functions start anew with it. */
async function editPolicy(edit: (text: string) => string): Promise<void> {
  const file = join(story.stateDir, 'policy.yaml');
  writeFileSync(file, edit(readFileSync(file, 'utf8')));
  await newRevision(story.system);
}

const written = async (mail: Readonly<Record<string, unknown>>, to = [ana, ben, sam]): Promise<Kept> => {
  const text = `see you ${randomBytes(6).toString('hex')}`;
  return { id: await story.company.sendMail({ to, text, ...mail }), text, to };
};
/** The same, to be opened again later. */
const kept = async (...mail: Parameters<typeof written>): Promise<Kept> => {
  const message = await written(...mail);
  archive.push(message);
  return message;
};
const opensForAll = async ({ id, text, to }: Kept): Promise<void> => {
  for (const user of to)
    expect([user, await story.company.openMail(user, id)]).toMatchObject([user, { text, problems: [] }]);
};
const whole = (person: string) => ({ from: person, sign: true, encrypt: true });

/** Which private-key calls the key services took, by method and status. */
const keyCalls = async (method: string) =>
  (await story.company.calls()).filter((call) => call.method === `kacls.${method}` && call.status === 200)
    .length;

describe('mail inside the company', { timeout: 120_000 }, () => {
  const forms = [
    { smime: '3.2', cipher: 'aes-128-cbc', keyTransport: 'pkcs1', signature: 'clear' },
    { smime: '3.2', cipher: 'aes-256-cbc', keyTransport: 'oaep', signature: 'opaque' },
    { smime: '4.0', cipher: 'aes-128-gcm', keyTransport: 'oaep', signature: 'clear' },
    { smime: '4.0', cipher: 'aes-256-gcm', keyTransport: 'pkcs1', signature: 'opaque' },
  ];

  it.each(forms.flatMap((form) => [ana, sam].map((from) => ({ ...form, from }))))(
    'from $from, $cipher, $keyTransport, signed $signature, opens for everybody, split keys or not',
    async (form) => {
      const before = await keyCalls('privatekeydecrypt');
      const message = await (form.from === ana ? kept : written)({ ...form, sign: true, encrypt: true });
      await opensForAll(message);
      expect((await keyCalls('privatekeydecrypt')) - before).toBe(3);
      const { unrevoked } = await story.company.holdings(form.from);
      const signing = only(unrevoked.filter(({ purpose }) => purpose !== 'encryption'));
      expect(await story.company.openMail(ben, message.id)).toMatchObject({
        signed: { valid: true, signer: form.from, serial: signing.serial },
      });
    },
  );

  it.each([ana, sam])(
    'from %s, signed alone, is judged by everybody and opened with no key',
    async (from) => {
      const before = await keyCalls('privatekeydecrypt');
      for (const signature of ['clear', 'opaque']) {
        const message = await written({ from, sign: true, encrypt: false, signature });
        await opensForAll(message);
        expect(await story.company.openMail(ben, message.id)).toMatchObject({
          signed: { valid: true, signer: from },
          encrypted: null,
        });
      }
      expect(await keyCalls('privatekeydecrypt')).toBe(before);
    },
  );

  it('signs with one key and is encrypted to with another where the rule splits them', async () => {
    const { unrevoked, pairs, identities } = await story.company.holdings(sam);
    const of = (purpose: string) => only(unrevoked.filter((certificate) => certificate.purpose === purpose));
    expect(pairs.map(({ enablementState }) => enablementState)).toEqual(['enabled', 'enabled']);
    expect(new Set(unrevoked.map(({ certificate }) => spkiOf(certificate))).size).toBe(2);
    expect(only(identities)).toEqual({
      emailAddress: sam,
      signAndEncryptKeyPairs: {
        signingKeyPairId: of('signing').keypairId,
        encryptionKeyPairId: of('encryption').keypairId,
      },
    });
    const { id } = await written(whole(sam));
    expect(await story.company.openMail(sam, id)).toMatchObject({
      signed: { valid: true, serial: of('signing').serial },
      encrypted: { keyPairId: of('encryption').keypairId },
    });
  });
});

describe('mail with somebody outside', { timeout: 120_000 }, () => {
  it('goes out in a form that other software opens, and opens when it comes in', async () => {
    const pia = oldKey({
      address: PIA,
      from: new Date(Date.now() - 86_400_000),
      until: new Date(Date.now() + 86_400_000),
    });
    const files = { 'pia.pem': pia.certificatePem, 'pia.key': pemOf(pia.pkcs8Der) };
    for (const [name, text] of Object.entries(files)) writeFileSync(at(name), text);
    await post('_emulator/mail/contacts', { address: PIA, pem: pia.certificatePem });
    for (const [from, form] of [
      [ana, {}],
      [sam, { smime: '4.0', keyTransport: 'oaep' }],
    ] as const) {
      const { id, text } = await kept({ ...whole(from), ...form, to: [PIA, ben] }, [ben]);
      const raw = await story.company.rawMail(ben, id);
      const opened = openssl(['cms', '-decrypt', '-recip', at('pia.pem'), '-inkey', at('pia.key')], raw);
      expect(openssl(['cms', '-verify', '-noverify'], opened).toString()).toContain(text);
    }
    for (const cipher of ['-aes256', '-aes-256-gcm']) {
      const text = `from outside ${cipher}`;
      const sealed = encryptedTo(await certificateOf(ben), text, [cipher], ben);
      const { id } = await post(`_emulator/mail/${ben}`, sealed);
      archive.push({ id: String(id), text, to: [ben] });
      expect(await story.company.openMail(ben, String(id))).toMatchObject({ text, problems: [] });
    }
  });
});

describe('mail from before', { timeout: 120_000 }, () => {
  it('a re-key opens, split keys or not', async () => {
    const { job } = await story.company.rekey({ users: [ana, sam], reason: 'superseded' });
    expect(await story.company.jobEnd(String(job))).toMatchObject({ state: 'done', done: 2 });
    await story.company.drain();
    const { unrevoked, identities } = await story.company.holdings(sam);
    const newest = unrevoked.filter(({ retirement }) => retirement === undefined);
    expect(newest.map(({ purpose }) => purpose).toSorted()).toEqual(['encryption', 'signing']);
    expect(Object.values(only(identities).signAndEncryptKeyPairs ?? {}).toSorted()).toEqual(
      newest.map(({ keypairId }) => keypairId).toSorted(),
    );
    for (const from of [ana, sam]) await opensForAll(await kept(whole(from)));
    for (const message of archive.slice(0, 2)) await opensForAll(message); // all of them after the renewal
  });

  it('another system opens with its own key, imported from a PKCS#12 file, and nothing else of that key is done', async () => {
    const former = oldKey({ address: 'ana@corporate.example' });
    writeFileSync(at('former.p12'), former.pkcs12);
    writeFileSync(at('former.pem'), former.certificatePem);
    writeFileSync(at('lost.pem'), oldKey({ address: 'ana@corporate.example' }).certificatePem);
    writeFileSync(at('old.eml'), encryptedTo(at('former.pem'), 'from long ago', ['-aes256'], ana));
    writeFileSync(at('lost.eml'), encryptedTo(at('lost.pem'), 'whose key is lost', ['-aes256'], ana));
    const before = await story.company.holdings(ana);
    const run = async (who = {}) =>
      sealwright(
        [
          ...['mail', 'import', '--json', '--user', ana, '--service-account', ACCOUNTS.migration],
          ...['--key', at('former.p12'), '--journal', at('ana.jsonl'), at('old.eml'), at('lost.eml')],
        ],
        { ...(await adminOf(story)), ...migratorOf(story), SEALWRIGHT_PASSWORD: OLD_PASSWORD, ...who },
      );
    const stranger = await run({ SEALWRIGHT_SERVICE_ACCOUNT: ACCOUNTS.due });
    expect([stranger.exit, stranger.stdout]).toEqual([1, expect.stringContaining('OpenIdTokenCreator')]);
    const first = await run();
    expect(first.stderr).toMatch(/^1 message will not open \(left out\): no key for serial/);
    const { keys, messages } = JSON.parse(first.stdout) as Record<string, readonly { fate: string }[]>;
    expect([first.exit, keys, messages]).toMatchObject([
      4,
      [{ fate: 'imported', addresses: ['ana@corporate.example'] }],
      [{ fate: 'inserted' }, { fate: 'will not open' }],
    ]);
    const again = JSON.parse((await run()).stdout);
    expect([again.keys[0].fate, again.messages[0].fate]).toEqual(['there already', 'there already']);

    const box = (await getJson(`_emulator/mail/${ana}`))['messages'] as { id: string; arrivedAt: string }[];
    const { id } = only(box.filter(({ arrivedAt }) => arrivedAt === '2019-05-06T07:08:09.000Z'));
    archive.push({ id, text: 'from long ago', to: [ana] });
    expect(await story.company.openMail(ana, id)).toMatchObject({ text: 'from long ago', problems: [] });
    await story.company.drain();
    const after = await story.company.holdings(ana);
    expect(after.view.state).toBe('ready');
    expect(after.identities).toEqual(before.identities);
    expect(after.unrevoked).toEqual(before.unrevoked);
    expect(after.pairs).toHaveLength(before.pairs.length + 1);
    const { audit } = await story.company.ledgerExport();
    expect(audit.filter(({ step }) => step === 'import-keypair').map(({ outcome }) => outcome)).toEqual([
      'done',
    ]);
    const written = readFileSync(story.system.logFile, 'latin1') + JSON.stringify(audit) + first.stdout;
    expect(written).not.toContain(Buffer.from(former.pkcs8Der).toString('base64').slice(400, 460));
  });

  it('cannot be read by who puts it there: the account of the migration inserts and does nothing else', async () => {
    const base = composeBase(parseSettings(migratorOf(story)));
    const acting = (scope: string) =>
      delegatedCredentials({
        ...{ signerEmail: ACCOUNTS.migration, scopes: [`https://www.googleapis.com/auth/gmail.${scope}`] },
        ...base,
      })
        .forUser(ana)
        .accessToken();
    expect(await acting('insert')).not.toBe('');
    for (const scope of ['readonly', 'settings.basic'])
      await expect(acting(scope)).rejects.toMatchObject({ failure: { reasons: ['unauthorized_client'] } });
  });

  it('a renewal opens', async () => {
    await story.company.moveClock('75d');
    for (const user of [ana, sam])
      await eventually(`a renewed certificate of ${user}`, async () => {
        const { unrevoked } = await story.company.holdings(user);
        const now = (await story.company.now()).getTime();
        return unrevoked.some(({ notAfter }) => Date.parse(notAfter) - now > 80 * 86_400_000) || undefined;
      });
    await story.company.drain();
    for (const from of [ana, sam]) await opensForAll(await kept(whole(from)));
    for (const message of archive) await opensForAll(message);
  });
});

let newService: RunningKeyServer | undefined;
let newLog: ReturnType<typeof keepStandardOutput> | undefined;

describe('a change of key service, between two that run side by side,', { timeout: 180_000 }, () => {
  const oldUrl = () => story.system.ready.keyService.replace(/\/$/, '');
  let newUrl: string;
  /** Asks for the move, lets the schedule come round, and answers how the job ended. */
  const moved = async (): Promise<Readonly<Record<string, unknown>>> => {
    const { stdout } = await sealwright(
      ['keys', 'move', '--json', '--from', oldUrl(), '--to', newUrl],
      await adminOf(story),
    );
    await story.company.moveClock('2m');
    return await story.company.jobEnd(String(JSON.parse(stdout).job));
  };
  /** Nobody reaches the old one any more. */
  const switchOldOff = () =>
    story.company.faults({
      calls: ['privatekeydecrypt', 'privatekeysign'].map((name) => ({
        method: `kacls.${name}`,
        status: 503,
      })),
    });

  beforeAll(async () => {
    newUrl = await openNewService();
    await editPolicy((text) => text.replaceAll(oldUrl(), newUrl));
    for (const user of [ana, ben, sam]) await story.company.nudge(user);
    await story.company.moveClock('2m');
    for (const user of [ana, ben, sam])
      await eventually(`a pair of ${user} under the new key service`, async () => {
        const { pairs, identities } = await story.company.holdings(user);
        const underNew = pairs.filter((pair) => JSON.stringify(pair.privateKeyMetadata).includes(newUrl));
        return underNew.some(({ keyPairId }) => JSON.stringify(identities).includes(keyPairId)) || undefined;
      });
    await story.company.drain();
  }, 120_000);

  it('writes new mail under the new one, and reads what is older at the old one as long as that is there', async () => {
    for (const from of [ana, sam]) await opensForAll(await kept(whole(from)));
    for (const message of archive.slice(0, 2)) await opensForAll(message);
    await switchOldOff();
    const oldest = await story.company.openMail(ana, archive[0]?.id ?? '');
    expect(oldest.text).not.toBe(archive[0]?.text);
    await story.company.noFaults();
  });

  it('says that the old one must stay where Gmail refuses a certificate it has', async () => {
    await post('_emulator/gmail/options', { sameLeafAgain: 'refuse' });
    expect(await moved()).toMatchObject({ state: 'failed', failed: 3 });
    const { stdout } = await sealwright(['keys', 'epochs', '--service', oldUrl()], await adminOf(story));
    expect(stdout).toContain('Gmail does not take the same certificate twice. The old key service must stay');
  });

  it('has every pair wrapped again by the new one where Gmail takes them, so that the old one may go', async () => {
    await post('_emulator/gmail/options', { sameLeafAgain: 'accept' });
    expect(await moved()).toMatchObject({ state: 'done', done: 3, failed: 0 });
    const { stdout } = await sealwright(['keys', 'epochs', '--service', oldUrl()], await adminOf(story));
    expect(stdout).toContain(`Nothing is tied to ${oldUrl()} any more.`);
    for (const user of [ana, ben, sam])
      for (const pair of await story.company.pairs(user))
        if (JSON.stringify(pair.privateKeyMetadata).includes(oldUrl()))
          await story.company.gmail(user, 'POST', `keypairs/${pair.keyPairId}:disable`);
    await switchOldOff();
    const used = () => newLog?.text().split('"event":"private-key-used"').length ?? 0;
    const before = used();
    for (const message of archive) await opensForAll(message);
    expect(used()).toBeGreaterThan(before);
  });

  /** As a process of its own would run, fed with the address history, under a key-encryption key of its own. */
  async function openNewService(): Promise<string> {
    newLog = keepStandardOutput();
    const { port } = await freePort();
    const url = `http://127.0.0.1:${port}`;
    const { privateKey, publicKey } = generateKeyPairSync('ed25519');
    writeFileSync(at('feed.key'), privateKey.export({ type: 'pkcs8', format: 'pem' }));
    writeFileSync(at('feed.pub'), publicKey.export({ type: 'spki', format: 'pem' }));
    mkdirSync(at('secrets', 'new-service-key'), { recursive: true });
    writeFileSync(at('secrets', 'new-service-key', '1'), randomBytes(32));
    const fed = await sealwright(
      ['keys', 'feed', '--key', at('feed.key'), '--tenant', COMPANY.tenantId, '--out', at('feed.jws')],
      await adminOf(story),
    );
    expect(fed.exit).toBe(0);
    newService = await startKeyServer({
      SEALWRIGHT_KEY_SERVICE_URL: url,
      SEALWRIGHT_KEY_SERVICE_TENANT: COMPANY.tenantId,
      SEALWRIGHT_KEY_SERVICE_DOMAIN: COMPANY.domain,
      // Its own first, then that of the old service, which opens what is taken over.
      SEALWRIGHT_KEY_SERVICE_KEYS: `file:${at('secrets', 'new-service-key', '1')},projects/${COMPANY.project}/secrets/${SECRETS.keyEncryptionKey}/versions/1`,
      SEALWRIGHT_KEY_SERVICE_WRAP_CALLERS: ACCOUNTS.directoryEvent,
      SEALWRIGHT_KEY_SERVICE_REWRAP_CALLERS: ACCOUNTS.admin,
      SEALWRIGHT_KEY_SERVICE_IDENTITY_PROVIDERS: JSON.stringify([
        {
          issuer: COMPANY.identityProvider.issuer,
          jwksUrl: new URL('_idp/jwks', story.system.ready.google).href,
          audiences: [COMPANY.identityProvider.clientId],
        },
      ]),
      SEALWRIGHT_KEY_SERVICE_FEED: at('feed.jws'),
      SEALWRIGHT_KEY_SERVICE_FEED_KEY_FILE: at('feed.pub'),
      SEALWRIGHT_KEY_SERVICE_STATE: at('state'),
      SEALWRIGHT_GOOGLE_ROOT_URL: story.system.ready.google,
      SEALWRIGHT_CLOCK_OFFSET_FILE: join(story.stateDir, 'clock-offset'),
      SEALWRIGHT_SERVICE_ACCOUNT: ACCOUNTS.keyService,
      PORT: String(port),
    });
    await post('_emulator/admin-console/key-service', { url });
    return url;
  }
});

const spkiOf = (certificate = ''): string =>
  new X509Certificate(Buffer.from(certificate, 'base64')).publicKey
    .export({ type: 'spki', format: 'der' })
    .toString('base64');

async function certificateOf(user: string): Promise<string> {
  const { unrevoked } = await story.company.holdings(user);
  const path = at(`${user}.pem`);
  const { certificate = '' } = only(unrevoked);
  writeFileSync(path, new X509Certificate(Buffer.from(certificate, 'base64')).toString());
  return path;
}

function openssl(args: readonly string[], input: Buffer): Buffer {
  const { status, stdout, stderr } = spawnSync('openssl', args, { input, maxBuffer: 2 ** 24 });
  if (status !== 0) throw new Error(`openssl ${args.join(' ')}: ${stderr.toString()}`);
  return stdout;
}

const encryptedTo = (certificate: string, text: string, cipher: readonly string[], to: string): Buffer =>
  Buffer.concat([
    Buffer.from(
      'Date: Mon, 06 May 2019 07:08:09 +0000\nMessage-ID: <' +
        randomBytes(8).toString('hex') +
        '@old.example>\n',
    ),
    openssl(
      ['cms', '-encrypt', ...cipher, '-from', PIA, '-to', to, '-subject', 'old', certificate],
      Buffer.from(`Content-Type: text/plain\n\n${text}\n`),
    ),
  ]);

const pemOf = (pkcs8Der: Uint8Array): string =>
  `-----BEGIN PRIVATE KEY-----\n${Buffer.from(pkcs8Der)
    .toString('base64')
    .replace(/.{64}(?=.)/g, '$&\n')}\n-----END PRIVATE KEY-----\n`;

async function getJson(path: string): Promise<Readonly<Record<string, unknown>>> {
  const response = await fetch(new URL(path, story.system.ready.google));
  return (await response.json()) as Readonly<Record<string, unknown>>;
}

async function post(path: string, body: object | Buffer): Promise<Readonly<Record<string, unknown>>> {
  const content = Buffer.isBuffer(body) ? new Uint8Array(body) : JSON.stringify(body);
  const response = await fetch(new URL(path, story.system.ready.google), { method: 'POST', body: content });
  const text = await response.text();
  if (!response.ok) throw new Error(`${path} answered ${response.status}: ${text}`);
  return text === '' ? {} : JSON.parse(text);
}

const freePort = (): Promise<{ port: number }> =>
  new Promise((resolve) => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const { port } = server.address() as AddressInfo;
      server.close(() => resolve({ port }));
    });
  });

/** With a fresh token: those from before the clock moved have run out. */
async function adminOf({ system }: Story) {
  const { admin } = system.ready;
  const { token } = await post('_emulator/idtoken', { email: COMPANY.superAdmin, audience: admin });
  return { SEALWRIGHT_ADMIN_URL: admin, SEALWRIGHT_ADMIN_TOKEN: String(token) };
}

/** An admin's machine with credentials of somebody who may act as the migration's account. */
const migratorOf = ({ system, stateDir }: Story) => ({
  SEALWRIGHT_CREDENTIALS: 'metadata-server',
  SEALWRIGHT_SERVICE_ACCOUNT: ACCOUNTS.setUp,
  SEALWRIGHT_GOOGLE_ROOT_URL: system.ready.google,
  SEALWRIGHT_CLOCK_OFFSET_FILE: join(stateDir, 'clock-offset'),
});
