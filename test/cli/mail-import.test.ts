/** Old encrypted mail into Gmail, over HTTP against the emulator, and what becomes of it when something fails between. */
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
import { retryable } from '../../shared/errors.ts';
import type { MailInsertion } from '../../shared/ports/mail-insertion.ts';
import { openssl } from '../emulator/gmail/pki.ts';
import { MailTenant, type MailUser } from '../emulator/mail-client/mail-tenant.ts';

let world: MailTenant;
let ana: MailUser;
let folder: string;
let journal: string;
let gmail: MailInsertion;

beforeAll(async () => {
  world = await MailTenant.open();
  ana = await world.join('ana@acme.example');
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
  journal = join(folder, `${Math.random()}.jsonl`);
});
afterAll(async () => {
  rmSync(folder, { recursive: true });
  await world.close();
});

const tokenOf = (email: string): string =>
  world.tenant.world.tokenOf({
    kind: 'user',
    email,
    scopes: [...INSERT_SCOPES],
    serviceAccount: 'migration@acme-sealwright.iam.gserviceaccount.com',
  });
const old = (text: string, date = 'Mon, 02 Nov 2026 10:00:00 +0000'): string =>
  `Date: ${date}\nMessage-ID: <${text.length}.${Math.random()}@old.example>\n${openssl(
    [
      'cms',
      '-encrypt',
      '-aes256',
      '-from',
      'paul@partner.example',
      '-to',
      ana.email,
      '-subject',
      text,
      ana.leaf.path,
    ],
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
}
async function run(
  files: readonly string[],
  options: { flags?: readonly string[]; with?: MailInsertion } = {},
): Promise<Done> {
  const texts: Record<string, string> = { user: ana.email, 'service-account': 'migration@x', journal };
  const call: Call = {
    text: (flag) => texts[flag],
    texts: () => [],
    isSet: (flag) => (options.flags ?? []).includes(flag),
    operands: files,
    environment: {},
    terminal: { tell: () => undefined } as unknown as Call['terminal'],
  };
  const outcome = await mailImport({ open: async () => options.with ?? gmail }).run(call);
  const { messages } = outcome.document as { messages: readonly { fate: string }[] };
  return { exitCode: outcome.exitCode, text: outcome.text ?? '', fates: messages.map(({ fate }) => fate) };
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
