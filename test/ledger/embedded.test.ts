import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmdirSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { openEmbedded } from '../../shared/adapters/ledger/embedded.ts';
import { lockFolder } from '../../shared/adapters/ledger/folder-lock.ts';
import { openEmbeddedLedger } from '../../shared/adapters/ledger/open.ts';
import { expectUserPlannedOnce } from '../contract/plans.ts';

const clock = { now: () => new Date('2027-03-01T09:00:00Z') };
const program = fileURLToPath(new URL('./embedded-process.ts', import.meta.url));

describe('an embedded ledger in a folder', () => {
  let root: string;
  let folder: string;

  beforeEach(() => {
    root = mkdtempSync(join(tmpdir(), 'sealwright-ledger-'));
    folder = join(root, 'state', 'ledger');
  });
  afterEach(() => rmSync(root, { recursive: true, force: true }));

  const holderStarts = async () => {
    const child = spawn(process.execPath, [program, folder], { stdio: ['ignore', 'pipe', 'inherit'] });
    const [line] = await once(createInterface({ input: child.stdout }), 'line');
    expect(line).toBe('working');
    return child;
  };

  it('keeps what was written when it is closed and opened again', async () => {
    const first = await openEmbeddedLedger({ clock, folder });
    const lease = await first.acquireLease('user:1', 60_000);
    if (lease === undefined) throw new Error('the lease is held');
    await first.recordSighting(lease, { userId: '1', primaryEmail: 'ada@acme.example', aliases: [] });
    await first.close();
    await first.close();
    const second = await openEmbeddedLedger({ clock, folder });
    expect((await second.readUser('1')).user?.primaryEmail).toBe('ada@acme.example');
    await second.close();
  });

  it('plans once what is asked for at each look', async () => {
    const database = await openEmbedded(folder);
    await expectUserPlannedOnce(database);
    await database.close();
  });

  it('says what is wrong with a lock that cannot be read, and does not wait for it', () => {
    mkdirSync(join(folder, 'lock'), { recursive: true });
    expect(() => lockFolder(folder)).toThrow('EISDIR');
    rmdirSync(join(folder, 'lock'));
  });

  it('is refused, naming the process, to a second one that opens it at the same time', async () => {
    const ledger = await openEmbeddedLedger({ clock, folder });
    await expect(openEmbeddedLedger({ clock, folder })).rejects.toMatchObject({
      kind: 'permanent',
      code: 'settings-invalid',
      message: expect.stringContaining(`in use by process ${process.pid}`),
    });
    const other = promisify(execFile)(process.execPath, [program, folder]);
    await expect(other).rejects.toMatchObject({ stderr: expect.stringContaining('in use by process') });
    await ledger.audit({
      cause: { source: 'due', eventId: 'e', event: 'renewal' },
      step: 'hint-ignored',
      reason: 'Still usable.',
      outcome: 'ignored',
    });
    await ledger.close();
    expect(existsSync(join(folder, 'lock'))).toBe(false);
  });

  it('survives kill -9: what was acknowledged is there, the lock is free, the dead process holds no lease and its user is due', async () => {
    const child = await holderStarts();
    child.kill('SIGKILL');
    await once(child, 'exit');
    expect(existsSync(join(folder, 'lock'))).toBe(true);

    const ledger = await openEmbeddedLedger({ clock, folder });
    expect((await ledger.readUser('1')).user?.primaryEmail).toBe('ada@acme.example');
    expect(await ledger.dueUsers(10)).toMatchObject([{ userId: '1', nextAction: 'resume' }]);
    expect(await ledger.acquireLease('user:1', 60_000)).toMatchObject({ fence: 2n });
    await ledger.close();
  });

  it('takes over a lock whose process number belongs to a process that started later', async () => {
    mkdirSync(folder, { recursive: true });
    writeFileSync(join(folder, 'lock'), `${process.ppid} 1\n`);
    const ledger = await openEmbeddedLedger({ clock, folder });
    expect(readFileSync(join(folder, 'lock'), 'utf8')).toMatch(new RegExp(`^${process.pid} `));
    await ledger.close();
    expect(readdirSync(folder)).toEqual(['data']);
  });

  it('starts over when a first start was cut off while unpacking', async () => {
    mkdirSync(join(folder, 'data.new', 'base'), { recursive: true });
    writeFileSync(join(folder, 'data.new', 'PG_VERSION'), '18\n');
    const ledger = await openEmbeddedLedger({ clock, folder });
    expect(await ledger.users()).toEqual([]);
    await ledger.close();
  });

  it('is refused when newer code has written it, and then left unlocked', async () => {
    const database = await openEmbedded(folder);
    await database.query(
      `INSERT INTO migrations (number, name, sha256_hex) VALUES (9999, '9999-later', 'x')`,
    );
    await database.close();
    await expect(openEmbeddedLedger({ clock, folder })).rejects.toMatchObject({
      code: 'settings-invalid',
      message: expect.stringContaining('migration 9999'),
    });
    expect(existsSync(join(folder, 'lock'))).toBe(false);
  });
});

describe('an embedded database', () => {
  it('answers a large value byte for byte', async () => {
    const database = await openEmbedded();
    const large = Uint8Array.from({ length: 5_000_000 }, (_, index) => (index * 7) % 251);
    await database.query('CREATE TABLE large (value bytea)');
    await database.query('INSERT INTO large VALUES ($1)', [large]);
    const [row] = await database.query<{ value: Uint8Array }>('SELECT value FROM large');
    expect(Buffer.compare(row?.value ?? Buffer.alloc(0), large)).toBe(0);
    await database.close();
  });

  it('rolls a failed transaction back and is usable at once', async () => {
    const database = await openEmbedded();
    await database.query('CREATE TABLE counted (value int8)');
    const failure = database.transaction(async (queries) => {
      await queries.query('INSERT INTO counted VALUES (1)');
      throw new Error('the process changed its mind');
    });
    await expect(failure).rejects.toThrow('changed its mind');
    await database.query('INSERT INTO counted VALUES (9007199254740993)');
    expect(await database.query('SELECT value FROM counted')).toEqual([{ value: 9007199254740993n }]);
    await database.close();
  });

  it('says that it is closed as something that may pass', async () => {
    const database = await openEmbedded();
    await database.close();
    await expect(database.query('SELECT 1')).rejects.toMatchObject({
      kind: 'retryable',
      code: 'ledger-unavailable',
    });
    await expect(database.transaction(async () => 1)).rejects.toMatchObject({ code: 'ledger-unavailable' });
  });
});
