/** `npm start` from outside: a process, its one line, its exit codes. npm itself only puts `exec` before this command. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, afterEach, describe, expect, it } from 'vitest';
import { COMPANY, PORT_OFFSETS, SAMPLE_USERS } from '../../local/company.ts';
import { parseStartFlags, UsageError } from '../../local/flags.ts';
import { freePortBase } from '../../local/ports.ts';
import type { ReadyLine } from '../../local/system.ts';
import { addressOf, eventually, StoryCompany } from './story.ts';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const START_MS = 120_000;

interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

class Start {
  readonly process: ChildProcess;
  readonly ended: Promise<Ended>;
  stdout = '';
  stderr = '';

  constructor(args: readonly string[]) {
    this.process = spawn(process.execPath, [join('local', 'main.ts'), ...args], {
      cwd: ROOT,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.process.stdout?.on('data', (chunk: Buffer) => {
      this.stdout += chunk.toString();
    });
    this.process.stderr?.on('data', (chunk: Buffer) => {
      this.stderr += chunk.toString();
    });
    this.ended = once(this.process, 'close').then(([code]) => ({
      code: code as number | null,
      stdout: this.stdout,
      stderr: this.stderr,
    }));
  }

  async ready(): Promise<ReadyLine> {
    return await eventually(
      'the ready line',
      async () => {
        if (this.process.exitCode !== null) throw new Error(`It ended instead: ${this.stderr}`);
        return this.stdout.endsWith('\n') ? (JSON.parse(this.stdout) as ReadyLine) : undefined;
      },
      START_MS,
    );
  }

  async end(signal: NodeJS.Signals): Promise<Ended> {
    this.process.kill(signal);
    return await this.ended;
  }
}

describe('npm start', () => {
  const folder = mkdtempSync(join(tmpdir(), 'sealwright-start-'));
  const running: Start[] = [];
  const start = (...args: string[]): Start => {
    const started = new Start(args);
    running.push(started);
    return started;
  };

  afterEach(async () => {
    for (const { process: child, ended } of running.splice(0)) {
      if (child.exitCode === null && child.signalCode === null) child.kill('SIGKILL');
      await ended;
    }
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  const expectAnswers = async (ready: ReadyLine): Promise<void> => {
    expect((await fetch(new URL('_emulator/', ready.google))).status).toBe(200);
    expect((await fetch(new URL('admin/directory/v1/users', ready.google))).status).toBe(401);
    const authorization = `Bearer ${ready.adminToken}`;
    expect((await fetch(new URL('v1/users', ready.admin), { headers: { authorization } })).status).toBe(200);
    expect((await fetch(new URL('v1/users', ready.admin))).status).toBe(401);
    expect((await fetch(new URL('status', ready.keyService))).status).toBe(200);
    expect((await fetch(ready.directoryWatch, { method: 'POST' })).status).toBe(404);
    expect((await fetch(new URL('nothing.crl', ready.crl))).status).toBe(404);
  };

  it(
    'prints one line once everything answers, starts killed functions again, and ends with 0 on SIGTERM, its ports free',
    async () => {
      const portBase = await freePortBase();
      const started = start('--empty', '--port-base', String(portBase), '--state', join(folder, 'one'));
      const ready = await started.ready();
      const at = (name: keyof typeof PORT_OFFSETS) => `http://127.0.0.1:${portBase + PORT_OFFSETS[name]}/`;
      expect(ready).toMatchObject({
        ready: true,
        google: at('google'),
        admin: at('admin'),
        keyService: at('keyService'),
        crl: at('pki'),
        directoryWatch: at('directoryWatch'),
        pids: { emulator: started.process.pid },
      });
      const keyFile = JSON.parse(readFileSync(ready.serviceAccount, 'utf8')) as Record<string, string>;
      expect(keyFile).toMatchObject({ type: 'service_account', token_uri: `${at('google')}token` });
      await expectAnswers(ready);
      const clock = (await (await fetch(new URL('_emulator/clock', ready.google))).json()) as {
        offsetMs: number;
      };
      expect(clock.offsetMs).toBe(0);

      process.kill(ready.pids.functions, 'SIGKILL');
      await eventually('the functions again', async () => {
        const { status } = await fetch(new URL('status', ready.keyService));
        return status === 200 ? true : undefined;
      });
      await expectAnswers(ready);

      const ended = await started.end('SIGTERM');
      expect(ended.code, ended.stderr).toBe(0);
      expect(ended.stdout.trimEnd().split('\n')).toHaveLength(1);
      expect(ended.stderr).toMatch(/functions ended and were started again/);
      for (const offset of Object.values(PORT_OFFSETS)) await expectFree(portBase + offset);
    },
    START_MS * 2,
  );

  it(
    'continues from its folder, creates the sample company, keeps a second system out, and ends with 0 on SIGINT',
    async () => {
      const state = join(folder, 'one');
      const portBase = await freePortBase();
      const started = start('--port-base', String(portBase), '--state', state);
      const ready = await started.ready();
      const company = new StoryCompany({ ready, crlUrl: ready.crl });
      for (const name of ['ben', 'clara']) await company.waitForState(addressOf(name), 'ready', START_MS);
      await company.drain();
      // Dmitri is no staff: no rule covers him, so the ledger knows nothing of him.
      expect(await company.user(addressOf('dmitri'))).toBeUndefined();
      const { data } = await (await company.directory()).users.get({ userKey: addressOf('dmitri') });
      expect(data.orgUnitPath).toBe('/Contractors');

      const other = await freePortBase();
      const second = await start('--port-base', String(other), '--state', state).ended;
      expectRefusal(
        second,
        new RegExp(`^The state folder ${state} is in use by process ${started.process.pid}\\b`),
      );
      await expectAnswers(ready);

      const ended = await started.end('SIGINT');
      expect(ended.code, ended.stderr).toBe(0);
    },
    START_MS * 2,
  );

  it(
    'creates the sample company once: who was deleted stays so, and a unit that was removed is no matter',
    async () => {
      const state = join(folder, 'one');
      const first = start('--port-base', String(await freePortBase()), '--state', state);
      const ready = await first.ready();
      const directory = await new StoryCompany({ ready, crlUrl: ready.crl }).directory();
      for (const name of ['ben', 'clara']) await directory.users.delete({ userKey: addressOf(name) });
      for (const orgUnitPath of new Set(SAMPLE_USERS.map((user) => user.orgUnitPath)))
        if (orgUnitPath.startsWith('/Staff/'))
          await directory.orgunits.delete({ customerId: 'my_customer', orgUnitPath: orgUnitPath.slice(1) });
      expect((await first.end('SIGTERM')).code).toBe(0);

      const next = start('--port-base', String(await freePortBase()), '--state', state);
      const again = await next.ready();
      const company = await new StoryCompany({ ready: again, crlUrl: again.crl }).directory();
      const { data } = await company.users.list({ customer: 'my_customer' });
      const living = (data.users ?? []).map(({ primaryEmail }) => primaryEmail).toSorted();
      expect(living).toEqual([addressOf('dmitri'), COMPANY.superAdmin].toSorted());
      expect((await next.end('SIGTERM')).code).toBe(0);
    },
    START_MS * 2,
  );

  it(
    'leaves no functions behind when it is killed itself, and the next start takes over its folder',
    async () => {
      const state = join(folder, 'killed');
      const started = start('--empty', '--port-base', String(await freePortBase()), '--state', state);
      const { pids } = await started.ready();
      await started.end('SIGKILL');
      await eventually('the end of the functions', async () => (isAlive(pids.functions) ? undefined : true));

      // The next one is told to end while it still starts.
      const next = start('--empty', '--port-base', String(await freePortBase()), '--state', state);
      await eventually('the first words', async () => (next.stderr === '' ? undefined : true), START_MS);
      const ended = await next.end('SIGTERM');
      expect(ended.code, ended.stderr).toBe(0);
      expect(ended.stdout).toBe('');
    },
    START_MS * 2,
  );

  describe('ends with exit code 2 and one sentence', () => {
    it.each([
      ['of Google’s APIs', PORT_OFFSETS.google],
      ['of a function', PORT_OFFSETS.admin],
      ['of the CRLs', PORT_OFFSETS.pki],
    ])('when the port %s is taken', async (_, offset) => {
      const portBase = await freePortBase();
      const blocker = createServer();
      await new Promise<void>((resolve) => blocker.listen(portBase + offset, '127.0.0.1', resolve));
      try {
        const state = join(folder, `taken${offset}`);
        const ended = await start('--port-base', String(portBase), '--state', state).ended;
        expectRefusal(ended, new RegExp(`^Port ${portBase + offset} .*--port-base`));
      } finally {
        blocker.close();
      }
    });

    it('for a flag that it does not have', async () => {
      expectRefusal(await start('--frobnicate').ended, /^Unknown option '--frobnicate'; usage: npm start/);
    });

    it('when the state folder is a file', async () => {
      const file = join(folder, 'file');
      writeFileSync(file, '');
      const ended = await start('--port-base', String(await freePortBase()), '--state', file).ended;
      expectRefusal(ended, /^The state folder .*file cannot be written/);
    });

    it('when the state in the folder is damaged', async () => {
      const state = join(folder, 'damaged');
      mkdirSync(state);
      writeFileSync(join(state, 'emulator.json'), '{"directory":');
      const ended = await start('--port-base', String(await freePortBase()), '--state', state).ended;
      expectRefusal(ended, /^The emulator's state file .* is not JSON/);
    });
  });
});

describe('the flags of npm start', () => {
  it.each([
    [['--frobnicate'], /^Unknown option '--frobnicate'; usage/],
    [['--state'], /^Option '--state <value>' argument missing; usage/],
    [['--empty=no'], /^Option '--empty' does not take an argument; usage/],
    [['company'], /^Unexpected argument 'company'/],
    [['--port-base', 'many'], /^--port-base must be a whole number/],
    [['--port-base', '1023'], /^--port-base must be a whole number/],
    [['--port-base', '65530'], /^--port-base must be a whole number/],
    [['--database', 'mysql://localhost'], /^--database must be an address/],
  ])('refuse %j in one line', (args, sentence) => {
    expect(() => parseStartFlags(args)).toThrow(UsageError);
    expect(() => parseStartFlags(args)).toThrow(sentence);
    expect(() => parseStartFlags(args)).not.toThrow('\n');
  });

  it('have defaults, and the state folder becomes absolute', () => {
    expect(parseStartFlags([])).toEqual({
      portBase: 8600,
      stateDir: join(process.cwd(), '.sealwright'),
      empty: false,
      databaseUrl: undefined,
    });
    expect(parseStartFlags(['--state', 'here', '--empty', '--port-base', '1024'])).toMatchObject({
      portBase: 1024,
      stateDir: join(process.cwd(), 'here'),
      empty: true,
    });
  });
});

function expectRefusal(ended: Ended, sentence: RegExp): void {
  expect(ended.code, ended.stderr).toBe(2);
  expect(ended.stdout).toBe('');
  const said = ended.stderr.split('\n').filter((line) => line !== '' && !line.startsWith('…'));
  expect(said, ended.stderr).toHaveLength(1);
  expect(said[0]).toMatch(sentence);
}

async function expectFree(port: number): Promise<void> {
  const server = createServer();
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, '127.0.0.1', resolve);
  });
  await new Promise((resolve) => server.close(resolve));
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
