/** Keys for other mail clients, by the command that an admin would type. */
import { randomBytes } from 'node:crypto';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Artefacts, Check } from './artefacts.ts';
import type { CompanyClient } from './company-client.ts';
import type { Console } from './console.ts';
import { sealwright } from './sealwright.ts';

const FORMS = [
  {
    name: '',
    device: 'MacBook',
    flags: [],
    kind: 'PKCS#12',
    cipher: 'AES-256-CBC, Iteration 100000, PRF hmacWithSHA256',
  },
  {
    name: '.legacy',
    device: 'old Outlook',
    flags: ['--legacy'],
    kind: 'PKCS#12 in the legacy form (3DES, SHA-1)',
    cipher: 'pbeWithSHA1And3-KeyTripleDES-CBC, Iteration 100000',
  },
] as const;

/** Makes and exports two keys of one user; answers the certificates' paths, which the checks of the files extract. */
export async function exportForDevices(
  company: CompanyClient,
  artefacts: Artefacts,
  console: Console,
  user: string,
): Promise<readonly string[]> {
  mkdirSync(join(artefacts.folder, 'devices'), { recursive: true });
  for (const { name, device, flags, kind, cipher } of FORMS) {
    const path = `devices/${user}${name}.p12`;
    const password = randomBytes(15).toString('base64url');
    await console.step(`sealwright cert issue ${user} --for-device "${device}"`, () =>
      sealwright(
        [
          'cert',
          'issue',
          user,
          '--for-device',
          device,
          '--out',
          join(artefacts.folder, path),
          '--key-type',
          'rsa2048',
          ...flags,
        ],
        { ...company.commandEnvironment, SEALWRIGHT_PASSWORD: password },
      ),
    );
    const at = Math.floor((await company.now()).getTime() / 1000);
    artefacts.note(path, {
      kind: `a key made for another mail client, with its chain: ${kind}`,
      user,
      password,
      checks: checksOf(path, password, cipher, at),
    });
  }
  return FORMS.map(({ name }) => certificateOf(`devices/${user}${name}.p12`));
}

const certificateOf = (path: string): string => path.replace(/\.p12$/, '.pem');

function checksOf(path: string, password: string, cipher: string, at: number): readonly Check[] {
  const opened = ['openssl', 'pkcs12', '-in', path, '-passin', `pass:${password}`];
  const verify = (purpose: string): Check => ({
    command: [
      ...['openssl', 'verify', '-attime', String(at), '-purpose', purpose, '-CAfile', 'trust/root.pem'],
      ...['-untrusted', 'trust/issuing.pem', certificateOf(path)],
    ],
    shows: `its certificate may be used for ${purpose}`,
    expectedExit: 0,
  });
  return [
    {
      command: [...opened, '-info', '-noout'],
      shows: 'it opens with its password, and says how it is encrypted',
      expectedExit: 0,
      expectedOutput: cipher,
    },
    {
      command: ['openssl', 'pkcs12', '-in', path, '-passin', 'pass:another', '-noout'],
      shows: 'it does not open with another password',
      expectedExit: 'refused',
      expectedOutput: 'invalid password',
    },
    {
      command: [...opened, '-nokeys', '-clcerts', '-out', certificateOf(path)],
      shows: 'the certificate in it is tied to the key',
      expectedExit: 0,
    },
    verify('smimesign'),
    verify('smimeencrypt'),
  ];
}

/** Whether a device's certificate is refused after its user left. */
export const deviceIsRevoked = (certificate: string, crl: string, at: Date): Check => ({
  command: [
    ...['openssl', 'verify', '-attime', String(Math.floor(at.getTime() / 1000)), '-crl_check_all'],
    ...['-CRLfile', 'crl/root.crl', '-CRLfile', crl, '-CAfile', 'trust/root.pem'],
    ...['-untrusted', 'trust/issuing.pem', certificate],
  ],
  shows: 'the device’s certificate is refused now, with its user’s others',
  expectedExit: 'refused',
  expectedOutput: 'certificate revoked',
});
