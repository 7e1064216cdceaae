/** Old encrypted mail and its keys into Gmail, over HTTP against the emulator, and what becomes of it when something fails between. */

import { X509Certificate } from 'node:crypto';
import { appendFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { Call } from '../../cli/command.ts';
import { mailImport } from '../../cli/mail/import.ts';
import { messagesIn } from '../../cli/mail/messages.ts';
import { googleMailInsertion, INSERT_SCOPES } from '../../shared/adapters/gmail/mail-insertion.ts';
import { googleEndpoints } from '../../shared/adapters/google/endpoints.ts';
import { retrySettings } from '../../shared/adapters/google/retry.ts';
import { importIdOf } from '../../shared/domain/imported-certificate.ts';
import { retryable } from '../../shared/errors.ts';
import type { KeyService } from '../../shared/ports/key-service.ts';
import type { MailInsertion } from '../../shared/ports/mail-insertion.ts';
import { openssl } from '../emulator/gmail/pki.ts';
import { MailTenant, type MailUser } from '../emulator/mail-client/mail-tenant.ts';
import { OLD_PASSWORD, type OldKey, oldKey } from '../support/old-key.ts';
import { type FakeAdmin, startFakeAdmin } from './fake-admin.ts';
import { TOKEN } from './sealwright.ts';

let world: MailTenant;
let ana: MailUser;
let folder: string;
let journal: string;
let gmail: MailInsertion;
let admin: FakeAdmin;
let former: OldKey;

beforeAll(async () => {
  world = await MailTenant.open();
  ana = await world.join('ana@acme.example');
  former = oldKey();
  admin = await startFakeAdmin();
  folder = mkdtempSync(join(tmpdir(), 'sealwright-mail-'));
  const { root, clock } = world.tenant.world;
  gmail = googleMailInsertion({
    credentials: {
      forUser: (email) => ({ accessToken: async () => tokenOf(email), forget: () => undefined }),
    },
    endpoints: googleEndpoints(root),
    retry: retrySettings(clock, { attempts: 1 }),
  });
});
beforeEach(() => {
  admin.reset();
  admin.answer(`GET /v1/imported-keys?user=${encodeURIComponent(ana.email)}`, { body: migration([]) });
  journal = join(folder, `${Math.random()}.jsonl`);
});
afterAll(async () => {
  rmSync(folder, { recursive: true });
  await admin.close();
  await world.close();
});

const migration = (imports: readonly object[]) => ({
  user: ana.email,
  userId: '42',
  keyService: 'https://kacls.acme.example/v1',
  certificates: [{ certificate: new X509Certificate(readFileSync(ana.leaf.path)).raw.toString('base64') }],
  imports,
});
const view = (state: string, more: object = {}) => ({
  id: importIdOf(former.certificateDer),
  ...{ state, certificateSha256: '00', addresses: [], keyProof: 'proven' },
  ...{ notBefore: '2020-01-01T00:00:00.000Z', notAfter: '2022-01-01T00:00:00.000Z' },
  ...more,
});
/** What the key service was given, as it was then: the command overwrites its keys. */
const wrapped: { readonly userId: string; readonly key: string }[] = [];
const keyService: KeyService = {
  wrapPrivateKey: async ({ userId, privateKeyDer }) => {
    wrapped.push({ userId, key: Buffer.from(privateKeyDer).toString('base64') });
    return { wrappedKey: 'b3BhcXVl', proof: 'proven' };
  },
};
const tokenOf = (email: string): string =>
  world.tenant.world.tokenOf({
    kind: 'user',
    email,
    scopes: [...INSERT_SCOPES],
    serviceAccount: 'migration@acme-sealwright.iam.gserviceaccount.com',
  });
const old = (text: string, to = ana.leaf.path, date = 'Mon, 02 Nov 2026 10:00:00 +0000'): string =>
  `Date: ${date}\nMessage-ID: <${text.length}.${Math.random()}@old.example>\n${openssl(
    ['cms', '-encrypt', '-aes256', '-from', 'paul@partner.example', '-to', ana.email, '-subject', text, to],
    Buffer.from(`Content-Type: text/plain\n\n${text}\n`),
  ).toString('latin1')}`;
const file = (name: string, content: string): string => {
  const path = join(folder, name);
  writeFileSync(path, content, 'latin1');
  return path;
};
const boxSize = async (): Promise<number> =>
  (await world.control('GET', `/${ana.email}`)).body.messages?.length ?? 0;

interface Done {
  readonly exitCode: number;
  readonly text: string;
  readonly fates: readonly string[];
  readonly told: readonly string[];
  readonly keys: readonly { readonly fate: string; readonly detail?: string }[];
}
async function run(
  files: readonly string[],
  options: { flags?: readonly string[]; with?: MailInsertion; keys?: readonly string[] } = {},
): Promise<Done> {
  const told: string[] = [];
  const texts: Record<string, string> = { user: ana.email, 'service-account': 'migration@x', journal };
  const call: Call = {
    text: (flag) => texts[flag],
    texts: (flag) => (flag === 'key' ? (options.keys ?? []) : []),
    isSet: (flag) => (options.flags ?? []).includes(flag),
    operands: files,
    environment: {
      ...{ SEALWRIGHT_ADMIN_URL: admin.url, SEALWRIGHT_ADMIN_TOKEN: TOKEN },
      SEALWRIGHT_PASSWORD: OLD_PASSWORD,
    },
    terminal: { tell: (line: string) => void told.push(line) } as unknown as Call['terminal'],
  };
  const account = { gmail: options.with ?? gmail, keyService };
  const outcome = await mailImport({ open: async () => account }).run(call);
  const { messages, keys } = outcome.document as Record<string, readonly { fate: string; detail?: string }[]>;
  return {
    ...{ exitCode: outcome.exitCode, text: outcome.text ?? '', told, keys: keys ?? [] },
    fates: (messages ?? []).map(({ fate }) => fate),
  };
}

describe('sealwright mail import', () => {
  it('inserts an .eml unchanged, dated by its own Date, and Gmail opens it', async () => {
    const path = file('one.eml', old('from long ago'));
    expect(await run([path])).toMatchObject({ exitCode: 0, fates: ['inserted'] });
    const { messages } = (await world.control('GET', `/${ana.email}`)).body;
    const newest = messages?.at(-1) as { id: string; arrivedAt?: string };
    expect(newest.arrivedAt).toBe('2026-11-02T10:00:00.000Z');
    const { bytes } = await world.raw(ana.email, newest.id);
    expect(bytes).toEqual(messagesIn(readFileSync(path))[0]);
    expect(await world.opened(ana.email, newest.id)).toMatchObject({ text: 'from long ago', problems: [] });
  });

  it('takes an mbox apart, leaves out what is not encrypted, and inserts nothing twice', async () => {
    const plain = `From: paul@partner.example\nTo: ${ana.email}\nSubject: plain\n\n>From the start\nhello\n`;
    const line = 'From paul@partner.example Mon Nov  2 10:00:00 2026\n';
    const path = file('old.mbox', `${line}${old('first')}\n${line}${plain}\n${line}${old('second')}\n`);
    const before = await boxSize();
    expect(await run([path], { flags: ['dry-run'] })).toMatchObject({
      fates: ['inserted', 'not encrypted', 'inserted'],
    });
    expect(await boxSize()).toBe(before);
    expect(await run([path])).toMatchObject({
      exitCode: 0,
      fates: ['inserted', 'not encrypted', 'inserted'],
    });
    expect((await run([path])).fates).toEqual(['there already', 'not encrypted', 'there already']);
    expect(await boxSize()).toBe(before + 2);
  });

  it('goes on after a crash, and does not send again what may be there', async () => {
    const path = file(
      'crash.mbox',
      ['a', 'b', 'c'].map((text) => `From x Mon Nov  2 10:00:00 2026\n${old(text)}\n`).join(''),
    );
    let calls = 0;
    const dying: MailInsertion = {
      insertMessage: async (mailbox, message) => {
        calls += 1;
        const id = await gmail.insertMessage(mailbox, message);
        if (calls === 2) throw new Error('the process died');
        return id;
      },
    };
    const before = await boxSize();
    await expect(run([path], { with: dying })).rejects.toThrow('the process died');
    appendFileSync(journal, '{"sha256":"cut by the cr');
    expect(await run([path])).toMatchObject({ exitCode: 4, fates: ['there already', 'unknown', 'inserted'] });
    expect(await boxSize()).toBe(before + 3);
    expect((await run([path], { flags: ['retry-unknown'] })).fates).toEqual([
      'there already',
      'inserted',
      'there already',
    ]);
  });

  it('says what was refused, and of what the outcome is not known', async () => {
    const path = file('refused.eml', old('refused'));
    world.tenant.accounts.update(ana.accountId, { suspended: true });
    expect(await run([path])).toMatchObject({
      exitCode: 4,
      fates: ['refused'],
      text: expect.stringMatching(/not enabled/),
    });
    world.tenant.accounts.update(ana.accountId, { suspended: false });
    const away: MailInsertion = {
      insertMessage: () => Promise.reject(retryable('gmail-unavailable', 'No answer came.')),
    };
    expect(await run([path], { with: away })).toMatchObject({ exitCode: 4, fates: ['unknown'] });
    expect((await run([path])).fates).toEqual(['unknown']);
  });

  it('refuses a journal that is something else', async () => {
    writeFileSync(journal, 'shopping list\n');
    await expect(run([file('x.eml', old('x'))])).rejects.toThrow(/is no journal/);
  });
});

describe('sealwright mail import, with keys of before,', () => {
  const p12 = (name: string, bytes: Buffer): string => {
    const path = join(folder, name);
    writeFileSync(path, bytes);
    return path;
  };
  const formerMail = (text: string): string => {
    const path = file('former.pem', former.certificatePem);
    return old(text, path);
  };
  const pem = (label: string, der: Uint8Array): string =>
    `-----BEGIN ${label}-----\n${Buffer.from(der)
      .toString('base64')
      .replace(/.{64}(?=.)/g, '$&\n')}\n-----END ${label}-----\n`;
  const posts = () => admin.asked.filter(({ method }) => method === 'POST');

  it('wraps each for its user, tells the admin API certificate and wrapped form, and waits until Gmail has it', async () => {
    admin.answer('POST /v1/imported-keys', { body: view('waiting', { reason: 'Gmail is away.' }) });
    admin.answer(`GET /v1/imported-keys/${importIdOf(former.certificateDer)}`, { body: view('uploaded') });
    for (const bytes of [former.pkcs12, former.legacyPkcs12]) {
      wrapped.length = 0;
      const done = await run([], { keys: [p12('former.p12', bytes)] });
      expect(done).toMatchObject({ exitCode: 0, keys: [{ fate: 'imported' }] });
      expect(wrapped).toEqual([{ userId: '42', key: Buffer.from(former.pkcs8Der).toString('base64') }]);
    }
    expect(posts()[0]?.body).toEqual({
      user: ana.email,
      chain: [former.certificateDer, former.caDer].map((der) => Buffer.from(der).toString('base64')),
      keyService: 'https://kacls.acme.example/v1',
      wrappedKey: 'b3BhcXVl',
    });
    const sent = JSON.stringify(admin.asked);
    expect(sent).not.toContain(Buffer.from(former.pkcs8Der).toString('base64').slice(100, 160));
  });

  it('asks for nothing that is there already, and in a dry run for nothing at all', async () => {
    const keys = [p12('former.p12', former.pkcs12)];
    const before = { body: migration([view('uploaded')]) };
    admin.answer(`GET /v1/imported-keys?user=${encodeURIComponent(ana.email)}`, before);
    wrapped.length = 0;
    expect((await run([], { keys })).keys).toMatchObject([{ fate: 'there already' }]);
    admin.answer(`GET /v1/imported-keys?user=${encodeURIComponent(ana.email)}`, { body: migration([]) });
    const path = file('for-former.eml', formerMail('for the former key'));
    expect(await run([path], { keys, flags: ['dry-run'] })).toMatchObject({
      keys: [{ fate: 'would be imported' }],
      fates: ['inserted'],
    });
    expect([wrapped, posts()]).toEqual([[], []]);
  });

  it('says before anything is inserted what no key opens, and leaves it out unless it is told otherwise', async () => {
    const path = file(
      'shut.mbox',
      `From x Mon Nov  2 10:00:00 2026\n${formerMail('shut')}\nFrom x Mon Nov  2 10:00:00 2026\n${old('open')}\n`,
    );
    const before = await boxSize();
    const done = await run([path]);
    expect(done).toMatchObject({ exitCode: 4, fates: ['will not open', 'inserted'] });
    expect(done.told[0]).toMatch(
      /^1 message will not open \(left out\): no key for serial [0-9a-f]+ of "Old CA"\.$/,
    );
    expect(await boxSize()).toBe(before + 1);
    expect((await run([path], { flags: ['also-without-key'] })).fates).toEqual(['inserted', 'there already']);
  });

  it('refuses a weak key and goes on with the others, and names a file that does not open', async () => {
    const weak = oldKey({ key: ['-algorithm', 'RSA', '-pkeyopt', 'rsa_keygen_bits:1024'] });
    admin.answer('POST /v1/imported-keys', { body: view('uploaded') });
    const keys = [p12('weak.p12', weak.pkcs12), p12('former.p12', former.pkcs12)];
    const done = await run([], { keys });
    expect(done).toMatchObject({
      exitCode: 4,
      keys: [{ fate: 'refused', detail: expect.stringMatching(/1024 bits/) }, { fate: 'imported' }],
    });
    await expect(run([], { keys: [p12('torn.p12', former.pkcs12.subarray(0, 900))] })).rejects.toThrow(
      /torn\.p12: .*(damaged|cannot)/,
    );
  });

  it('sends of the certificates beside a key only those above its own', async () => {
    admin.answer('POST /v1/imported-keys', { body: view('uploaded') });
    const bystander = oldKey();
    const key = file('former.key', pem('PRIVATE KEY', former.pkcs8Der));
    const beside = [bystander.caDer, bystander.certificateDer, former.caDer].map((der) =>
      pem('CERTIFICATE', der),
    );
    openssl([
      ...['pkcs12', '-export', '-inkey', key, '-in', file('leaf.pem', former.certificatePem)],
      ...['-certfile', file('beside.pem', beside.join(''))],
      ...['-passout', `pass:${OLD_PASSWORD}`, '-out', join(folder, 'crowded.p12')],
    ]);
    await run([], { keys: [join(folder, 'crowded.p12')] });
    expect(posts().at(-1)?.body).toMatchObject({
      chain: [former.certificateDer, former.caDer].map((der) => Buffer.from(der).toString('base64')),
    });
  });

  it('shows what the admin API refuses about one key', async () => {
    admin.answer('POST /v1/imported-keys', {
      status: 409,
      body: {
        error: {
          code: 409,
          status: 'ALREADY_EXISTS',
          message: 'This key is one of user 7.',
          details: [{ reason: 'conflict' }],
        },
      },
    });
    expect(await run([], { keys: [p12('former.p12', former.pkcs12)] })).toMatchObject({
      exitCode: 4,
      keys: [{ fate: 'refused', detail: expect.stringContaining('user 7') }],
    });
  });
});
