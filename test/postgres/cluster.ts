/**
 * A private PostgreSQL for the length of a test run, made with the machine's own programs: reachable only through a Unix
 * socket in its own folder, without fsync, and gone afterwards.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { chownSync, existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';

export interface Cluster {
  readonly connectionString: string;
  /** Stops the server and removes its folder. May be called twice. */
  remove(): void;
}

const folders = (parent: string, below: string): readonly string[] =>
  existsSync(parent) ? readdirSync(parent).map((version) => join(parent, version, below)) : [];

/** The folder with `initdb`, `pg_ctl` and `postgres`: on the PATH or where Debian, Red Hat and Homebrew put them. */
export const findPrograms = (path = process.env.PATH ?? ''): string | undefined => {
  const installed = [
    ...folders('/usr/lib/postgresql', 'bin'),
    ...folders('/opt/homebrew/opt', 'bin').filter((folder) => folder.includes('postgresql')),
    ...folders('/usr/local/opt', 'bin').filter((folder) => folder.includes('postgresql')),
    ...folders('/usr', 'bin').filter((folder) => folder.includes('pgsql')),
  ].sort((one, other) => other.localeCompare(one, 'en', { numeric: true }));
  return [...path.split(delimiter), ...installed].find((folder) =>
    ['initdb', 'pg_ctl'].every((program) => folder !== '' && existsSync(join(folder, program))),
  );
};

interface Account {
  readonly uid: number;
  readonly gid: number;
}

/** PostgreSQL refuses to run as root: then it runs as `postgres`, or else as `nobody`. */
const accountFor = (name: string): Account | undefined => {
  const number = (flag: string) => {
    const { status, stdout } = spawnSync('id', [flag, name], { encoding: 'utf8' });
    return status === 0 ? Number(stdout) : undefined;
  };
  const uid = number('-u');
  const gid = number('-g');
  return uid === undefined || gid === undefined ? undefined : { uid, gid };
};

const serverAccount = (): Account | undefined => {
  if (process.getuid?.() !== 0) return undefined;
  const account = accountFor('postgres') ?? accountFor('nobody');
  if (account === undefined) {
    throw new Error(
      'PostgreSQL does not run as root and there is neither a user postgres nor nobody: run the tests as another user',
    );
  }
  return account;
};

/** What makes a server survive a crash of the machine; this one is thrown away with everything in it. */
const NOTHING_TO_LOSE = ['fsync=off', 'full_page_writes=off'];

/** Makes and starts a cluster with the programs in `programs`. `more`: settings, such as `jit=off`. */
export const startCluster = (programs: string, more: readonly string[] = []): Cluster => {
  const account = serverAccount();
  // Short, because the path of a Unix socket may have about 100 bytes.
  const folder = mkdtempSync(join(tmpdir(), 'sealwright-pg-'));
  const data = join(folder, 'data');
  const run = (program: string, parameters: readonly string[]) =>
    execFileSync(join(programs, program), parameters, {
      ...account,
      cwd: folder,
      stdio: ['ignore', 'ignore', 'pipe'],
    });
  const remove = () => {
    if (!existsSync(folder)) return;
    try {
      if (existsSync(join(data, 'postmaster.pid')))
        run('pg_ctl', ['-D', data, '-m', 'immediate', '-w', 'stop']);
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  };
  try {
    if (account !== undefined) chownSync(folder, account.uid, account.gid);
    run('initdb', ['-D', data, '-U', 'sealwright', '-A', 'trust', '-E', 'UTF8', '--no-locale', '--no-sync']);
    const settings = [`listen_addresses=`, 'max_connections=150', ...NOTHING_TO_LOSE, ...more].map(
      (one) => `-c ${one}`,
    );
    const options = [`-k ${folder}`, ...settings].join(' ');
    run('pg_ctl', ['-D', data, '-w', '-l', join(folder, 'log'), '-o', options, 'start']);
  } catch (error) {
    remove();
    throw error;
  }
  return {
    connectionString: `postgresql://sealwright@localhost/postgres?host=${encodeURIComponent(folder)}`,
    remove,
  };
};
