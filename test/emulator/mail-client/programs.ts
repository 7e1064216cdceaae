/** Mail programs that are not ours, as one person outside the domain uses them: OpenSSL, NSS and GnuPG. */
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Authority, Leaf } from '../gmail/pki.ts';

const PASSWORD = 'correct horse';

/** Works on CMS in DER or BER. Each verb throws with the program's own words when the program refuses. */
export interface MailProgram {
  decrypt(cms: Buffer): Buffer;
  /** Answers the content that was signed, given apart or carried inside. */
  verify(cms: Buffer, detached?: Buffer): Buffer;
  sign(content: Buffer, form: 'detached' | 'opaque'): Buffer;
  encrypt(content: Buffer, to: readonly string[]): Buffer;
}

export interface ProgramUser {
  readonly address: string;
  readonly leaf: Leaf;
  /** Root first. */
  readonly authorities: readonly Authority[];
  /** Whom they can encrypt to. */
  readonly contacts: Readonly<Record<string, Leaf>>;
}

/** A folder with the user's key and everybody's certificates as files. */
export class Desk {
  readonly folder = mkdtempSync(join(tmpdir(), 'mail-'));
  readonly user: ProgramUser;

  constructor(user: ProgramUser) {
    this.user = user;
    const { leaf, authorities } = user;
    this.write('chain.pem', authorities.map(({ pem }) => pem).join(''));
    const export12 = ['pkcs12', '-export', '-in', leaf.path, '-inkey', leaf.keyPath, '-name', 'own'];
    const rest = ['-certfile', this.path('chain.pem'), '-passout', `pass:${PASSWORD}`];
    this.run('openssl', [...export12, ...rest, '-out', 'modern.p12']);
    this.run('openssl', [...export12, ...rest, '-legacy', '-out', 'legacy.p12']);
  }

  close(): void {
    spawnSync('gpgconf', ['--homedir', this.path('gnupg'), '--kill', 'all']);
    rmSync(this.folder, { recursive: true, force: true });
  }

  path(name: string): string {
    return join(this.folder, name);
  }

  write(name: string, content: Buffer | string): string {
    writeFileSync(this.path(name), content);
    return this.path(name);
  }

  read(name: string): Buffer {
    return readFileSync(this.path(name));
  }

  /** Throws with what the program wrote when it does not end with 0, or where told, does not write `success`. */
  run(command: string, words: readonly string[], input = '', success?: string): void {
    const { status, stdout, stderr } = spawnSync(command, words, {
      cwd: this.folder,
      input,
      timeout: 20_000,
      env: { ...process.env, LC_ALL: 'C.UTF-8' },
    });
    const text = `${stdout}\n${stderr}`;
    const fine = success === undefined ? status === 0 : text.includes(success);
    if (!fine) throw new Error(`${command} ended with ${status}: ${text}`);
  }

  /** Runs the command over `content` in the file "in" and answers its file "out". */
  through(content: Buffer, command: string, words: readonly string[], input = '', success?: string): Buffer {
    rmSync(this.path('out'), { force: true });
    this.write('in', content);
    this.run(command, words, input, success);
    return this.read('out');
  }
}

export function opensslProgram(desk: Desk): MailProgram {
  const { leaf, authorities, contacts } = desk.user;
  const own = ['-inkey', leaf.keyPath];
  const io = ['-in', 'in', '-out', 'out', '-binary'];
  const trust = ['-CAfile', authorities[0]?.path ?? '', '-purpose', 'smimesign'];
  return {
    decrypt: (cms) =>
      desk.through(cms, 'openssl', ['cms', '-decrypt', '-inform', 'DER', '-recip', leaf.path, ...own, ...io]),
    verify(cms, detached) {
      const content = detached === undefined ? [] : ['-content', desk.write('content', detached)];
      return desk.through(cms, 'openssl', ['cms', '-verify', '-inform', 'DER', ...trust, ...content, ...io]);
    },
    sign(content, form) {
      const certificates = ['-signer', leaf.path, '-certfile', desk.path('chain.pem')];
      const opaque = form === 'opaque' ? ['-nodetach'] : [];
      const words = ['cms', '-sign', '-outform', 'DER', ...certificates, ...own, ...opaque, ...io];
      return desk.through(content, 'openssl', words);
    },
    encrypt(content, to) {
      const recipients = to.map((address) => contacts[address]?.path ?? address);
      const words = ['cms', '-encrypt', '-aes256', '-outform', 'DER', ...io, ...recipients];
      return desk.through(content, 'openssl', words);
    },
  };
}

export function nssProgram(desk: Desk): MailProgram {
  const database = ['-d', 'sql:nss'];
  const { user } = desk;
  const certificates = [...user.authorities, ...Object.values(user.contacts)];
  mkdirSync(desk.path('nss'));
  desk.run('certutil', ['-N', ...database, '--empty-password']);
  for (const [index, { path }] of certificates.entries()) {
    const trust = index === 0 ? ',C,' : ',,';
    desk.run('certutil', ['-A', ...database, '-n', `known ${index}`, '-t', trust, '-i', path]);
  }
  desk.run('pk12util', ['-i', 'modern.p12', ...database, '-W', PASSWORD]);
  const read = (cms: Buffer, more: readonly string[] = []) =>
    desk.through(cms, 'cmsutil', ['-D', ...database, '-i', 'in', '-o', 'out', ...more]);
  return {
    decrypt: (cms) => read(cms),
    verify(cms, detached) {
      if (detached === undefined) return read(cms);
      read(cms, ['-c', desk.write('content', detached)]);
      return detached;
    },
    sign(content, form) {
      const detached = form === 'detached' ? ['-T'] : [];
      const words = ['-S', ...database, '-N', 'own', '-H', 'SHA256', '-G', '-P', ...detached];
      return desk.through(content, 'cmsutil', [...words, '-i', 'in', '-o', 'out']);
    },
    encrypt(content, to) {
      const words = ['-E', ...database, '-r', to.join(','), '-i', 'in', '-o', 'out'];
      return desk.through(content, 'cmsutil', words);
    },
  };
}

export function gpgsmProgram(desk: Desk): MailProgram {
  const { user } = desk;
  mkdirSync(desk.path('gnupg'), { mode: 0o700 });
  const offline = ['--disable-dirmngr', '--disable-crl-checks'];
  const secret = ['--pinentry-mode', 'loopback', '--passphrase-fd', '0'];
  const base = ['--homedir', 'gnupg', '--batch', '--yes', ...offline, ...secret];
  const gpgsm = (...words: readonly string[]) => desk.run('gpgsm', [...base, ...words], PASSWORD);
  desk.write('gnupg/trustlist.txt', `${fingerprint(user.authorities[0]?.der)} S relax\n`);
  gpgsm('--import', 'chain.pem', ...Object.values(user.contacts).map(({ path }) => path));
  gpgsm('--import', 'legacy.p12');
  const through = (content: Buffer, ...words: readonly string[]) =>
    desk.through(content, 'gpgsm', [...base, '--output', 'out', ...words], PASSWORD);
  return {
    // It ends with 2 although it decrypts when a recipient named before ours is somebody else, so its status line counts.
    decrypt: (cms) =>
      desk.through(
        cms,
        'gpgsm',
        [...base, '--output', 'out', '--status-fd', '2', '--decrypt', 'in'],
        PASSWORD,
        'DECRYPTION_OKAY',
      ),
    verify(cms, detached) {
      if (detached === undefined) return through(cms, '--verify', 'in');
      desk.write('in', cms);
      gpgsm('--verify', 'in', desk.write('content', detached));
      return detached;
    },
    sign: (content, form) =>
      through(content, '-u', user.address, form === 'opaque' ? '--sign' : '--detach-sign', 'in'),
    encrypt: (content, to) =>
      through(content, ...to.flatMap((address) => ['-r', address]), '--encrypt', 'in'),
  };
}

function fingerprint(der: Buffer | undefined): string {
  const { stdout } = spawnSync('openssl', ['x509', '-inform', 'DER', '-noout', '-fingerprint', '-sha1'], {
    input: der,
  });
  return /=([0-9A-F:]+)/.exec(stdout.toString())?.[1] ?? '';
}
