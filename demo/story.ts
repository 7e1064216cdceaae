/**
 * The story, from an empty company to a revoked leaver: Eva and Finn join, write to each other and to somebody
 * outside, Eva is re-keyed, Finn moves out, Eva's account is deleted. Everything is done through the APIs that people
 * and Google would use; nothing reaches into the product.
 */
import 'reflect-metadata';
import { webcrypto } from 'node:crypto';
import { X509Certificate, X509CertificateGenerator } from '@peculiar/x509';
import { COMPANY } from '../local/company.ts';
import { policyText } from '../local/policy-text.ts';
import type { System } from '../local/system.ts';
import type { Artefacts, Check } from './artefacts.ts';
import { exportAudit } from './audit.ts';
import { type Certificate, CompanyClient, type UserView } from './company-client.ts';
import type { Console } from './console.ts';
import { deviceIsRevoked, exportForDevices } from './devices.ts';
import { askStatus, type OcspDesk } from './ocsp.ts';

const EVA = 'eva@acme.example';
const FINN = 'finn@acme.example';
const OUTSIDER = 'partner@outside.example';
const TRUST = ['-CAfile', 'trust/root.pem', '-untrusted', 'trust/issuing.pem'];

export async function tellStory(system: System, artefacts: Artefacts, console: Console): Promise<void> {
  const company = new CompanyClient(system.ready, COMPANY.superAdmin);
  const crlName = new URL(system.crlUrl).pathname.slice(1);
  writeTrust(system, artefacts);
  const desk: OcspDesk = {
    url: system.ready.ocsp,
    issuerCertificateDer: new Uint8Array(new X509Certificate(system.issuingPem).rawData),
    artefacts,
  };

  console.chapter('Two people join');
  const eva = await join(company, console, EVA, 'Eva', 'Lind');
  const finn = await join(company, console, FINN, 'Finn', 'Adeyemi');
  await company.drain();
  const joinedAt = await company.now();
  artefacts.write(
    `crl/${system.issuerId}.before.crl`,
    await company.published(crlName),
    crlAbout('before anybody left', `crl/${system.issuerId}.before.crl`),
  );
  artefacts.write('crl/root.crl', await company.published(new URL(system.rootCrlUrl).pathname.slice(1)), {
    kind: 'CRL of the root, DER',
    checks: [],
  });
  artefacts.write('trust/admin-console.pem', `${pemOf(newest(eva))}${system.issuingPem}${system.rootPem}`, {
    kind: 'the form the Admin console takes: leaf, issuing CA, root',
    checks: [],
  });
  for (const user of [eva, finn]) await writeUser(company, system, artefacts, user, joinedAt);
  await console.step('OCSP says of Eva’s certificate that it is good', () =>
    askStatus(desk, newest(eva), { user: EVA, status: 'good', at: joinedAt }),
  );

  console.chapter('They write to each other, and to somebody outside');
  await writeMail(company, artefacts, console, joinedAt);
  const secret = await console.step('Eva sends Finn a signed and encrypted message', () =>
    company.sendMail({
      from: EVA,
      to: [FINN],
      subject: 'Lunch?',
      text: 'Only you can read this.\n',
      sign: true,
      encrypt: true,
    }),
  );
  const oldMail = await console.step('Finn answers Eva, signed and encrypted', () =>
    company.sendMail({
      from: FINN,
      to: [EVA],
      subject: 'Re: Lunch?',
      text: 'Noon, as always.\n',
      sign: true,
      encrypt: true,
    }),
  );
  await console.step(
    'Finn opens what Eva wrote',
    () => mustOpen(company, FINN, secret, 'Only you can read this.'),
    describeMail,
  );
  await console.step(
    'Eva opens what Finn wrote',
    () => mustOpen(company, EVA, oldMail, 'Noon, as always.'),
    describeMail,
  );

  console.chapter('An admin re-keys Eva over HTTP');
  const plan = await company.rekey({ users: [EVA], reason: 'superseded', dryRun: true });
  artefacts.write('plans/rekey.json', `${JSON.stringify(plan, null, 2)}\n`, {
    kind: 'dry run of the re-key',
    user: EVA,
    checks: [],
  });
  const forecast = await console.step(
    'what if the policy covered /Staff/Engineering alone? Planned for everybody, nothing is done',
    () => company.whatIf(narrowerPolicy(system.ready.keyService)),
    ({ changes }) => JSON.stringify(changes),
  );
  artefacts.write('plans/what-if.json', `${JSON.stringify(forecast, null, 2)}\n`, {
    kind: 'what a policy that covers /Staff/Engineering alone would do',
    checks: [],
  });
  await console.step('the re-key job runs to its end', () => rekey(company));
  const rekeyed = await company.waitFor(
    EVA,
    'a second key pair',
    (view) => view.state === 'ready' && live(view).length === 2,
  );
  console.line(
    `Eva now signs with serial ${short(newest(rekeyed))}; ${short(oldest(rekeyed))} is revoked after an overlap of 72 h.`,
  );
  await console.step(
    'her old mail still opens, with her old key',
    () => mustOpen(company, EVA, oldMail, 'Noon, as always.'),
    describeMail,
  );

  console.chapter('Eva gets certificates for two other mail clients');
  const devices = await exportForDevices(company, artefacts, console, EVA);

  console.chapter('Finn moves out of the unit, Eva’s account is deleted');
  await company.moveUser(FINN, '/Contractors');
  await company.waitForState(FINN, 'leaving');
  console.line('Finn moved to /Contractors; his grace period is 24 h.');
  await console.step('the clock moves on by 25 hours', () => company.moveClock('25h'));
  const gone = await company.waitForState(FINN, 'out');
  console.line(`Finn's certificate ${short(newest(gone))} is revoked: ${newest(gone).revocation?.reason}.`);
  const deletedMs = performance.now();
  await company.deleteUser(EVA);
  const evaGone = await console.step('Eva’s certificates are revoked', () =>
    company.waitForState(EVA, 'out'),
  );
  console.line(
    `from deletion to revocation: ${((performance.now() - deletedMs) / 1000).toFixed(1)} s; reason ${newest(evaGone).revocation?.reason}.`,
  );
  await console.step(
    'the CRL lists them',
    () => waitForCrl(company, crlName, [...gone.certificates, ...evaGone.certificates]),
    (ms) => `${(ms / 1000).toFixed(1)} s after asking`,
  );
  await company.drain();

  const endedAt = await company.now();
  await console.step('OCSP says of Finn’s certificate that it is revoked', () =>
    askStatus(desk, newest(finn), { user: FINN, status: 'revoked', at: endedAt }),
  );
  const afterName = `crl/${system.issuerId}.crl`;
  artefacts.write(afterName, await company.published(crlName), {
    kind: 'CRL after the leavers, DER',
    checks: [
      ...crlAbout('', afterName).checks,
      ...[finn, eva].map((user) => revokedCheck(user, afterName, endedAt)),
      ...devices.map((certificate) => deviceIsRevoked(certificate, afterName, endedAt)),
    ],
  });
  artefacts.write('ledger.json', `${JSON.stringify(await company.ledger(), null, 2)}\n`, {
    kind: 'export of the ledger: users and audit trail',
    checks: [],
  });
  console.chapter('An auditor takes the audit trail away');
  await exportAudit(company, artefacts, console);
  artefacts.writeManifest({ company: COMPANY.domain, joinedAt, endedAt });
}

async function join(
  company: CompanyClient,
  console: Console,
  address: string,
  givenName: string,
  familyName: string,
): Promise<UserView> {
  return await console.step(
    `${givenName} is created in /Staff and becomes ready`,
    async () => {
      await company.createUser(address, givenName, familyName, '/Staff');
      return await company.waitForState(address, 'ready');
    },
    (view) =>
      `serial ${short(newest(view))}, key ${newest(view).keyProof}, Gmail pair ${newest(view).keypairId?.slice(0, 12)}…`,
  );
}

function writeTrust(system: System, artefacts: Artefacts): void {
  const check = (path: string, shows: string): Check => ({
    command: ['openssl', 'verify', '-CAfile', 'trust/root.pem', path],
    shows,
    expectedExit: 0,
  });
  artefacts.write('trust/root.pem', system.rootPem, {
    kind: 'root CA',
    checks: [check('trust/root.pem', 'the root is self-signed and valid')],
  });
  artefacts.write('trust/issuing.pem', system.issuingPem, {
    kind: 'issuing CA',
    checks: [check('trust/issuing.pem', 'the root issued the issuing CA')],
  });
}

async function writeUser(
  company: CompanyClient,
  system: System,
  artefacts: Artefacts,
  view: UserView,
  at: Date,
): Promise<void> {
  const folder = `users/${view.user}`;
  const leafPem = pemOf(newest(view));
  const attime = ['-attime', seconds(at)];
  const purpose = (name: string): Check => ({
    command: ['openssl', 'verify', ...attime, '-purpose', name, ...TRUST, `${folder}/leaf.pem`],
    shows: `${view.user} may use the certificate for ${name}`,
    expectedExit: 0,
  });
  const crls = [
    '-crl_check_all',
    '-CRLfile',
    'crl/root.crl',
    '-CRLfile',
    `crl/${system.issuerId}.before.crl`,
  ];
  artefacts.write(`${folder}/leaf.pem`, leafPem, {
    kind: 'certificate',
    user: view.user,
    checks: [
      purpose('smimesign'),
      purpose('smimeencrypt'),
      {
        command: ['openssl', 'verify', ...attime, ...crls, ...TRUST, `${folder}/leaf.pem`],
        shows: 'no CRL lists it while the user is there',
        expectedExit: 0,
      },
    ],
  });
  artefacts.write(`${folder}/chain.pem`, `${leafPem}${system.issuingPem}${system.rootPem}`, {
    kind: 'chain, leaf first',
    user: view.user,
    checks: [],
  });
  const keypairId = newest(view).keypairId ?? '';
  artefacts.write(`${folder}/uploaded.p7`, await company.uploadedPkcs7(view.user, keypairId), {
    kind: 'PKCS#7 exactly as Gmail got it',
    user: view.user,
    checks: [
      {
        command: ['openssl', 'pkcs7', '-in', `${folder}/uploaded.p7`, '-print_certs', '-noout'],
        shows: 'it holds the whole chain up to the root',
        expectedExit: 0,
        expectedOutput: 'S/MIME Root CA',
      },
    ],
  });
}

async function writeMail(
  company: CompanyClient,
  artefacts: Artefacts,
  console: Console,
  at: Date,
): Promise<void> {
  const partner = await outsideRecipient(at);
  await company.addContact(OUTSIDER, partner.certificatePem);
  artefacts.write('outside/partner.pem', partner.certificatePem, {
    kind: 'certificate of somebody outside',
    user: OUTSIDER,
    checks: [],
  });
  artefacts.write('outside/partner.key.pem', partner.keyPem, {
    kind: 'their own private key, made for this demo',
    user: OUTSIDER,
    checks: [],
  });
  const signed = await console.step('Eva sends the partner a signed message', () =>
    company.sendMail({
      from: EVA,
      to: [OUTSIDER],
      subject: 'Our certificate',
      text: 'Please check my signature.\n',
      sign: true,
      encrypt: false,
    }),
  );
  const verify = (path: string): Check => ({
    command: [
      'openssl',
      'cms',
      '-verify',
      '-in',
      path,
      '-attime',
      seconds(at),
      '-purpose',
      'smimesign',
      '-CAfile',
      'trust/root.pem',
      '-certfile',
      'trust/issuing.pem',
      '-out',
      `${path}.txt`,
    ],
    shows: 'the signature is good, made through the key service',
    expectedExit: 0,
    expectedOutput: 'successful',
  });
  artefacts.write('mail/signed.eml', await company.rawMail(EVA, signed), {
    kind: 'signed message',
    user: EVA,
    checks: [verify('mail/signed.eml')],
  });
  const encrypted = await console.step('Eva sends the partner a signed and encrypted message', () =>
    company.sendMail({
      from: EVA,
      to: [OUTSIDER],
      subject: 'For you alone',
      text: 'The offer is attached in spirit.\n',
      sign: true,
      encrypt: true,
    }),
  );
  artefacts.write('mail/signed-and-encrypted.eml', await company.rawMail(EVA, encrypted), {
    kind: 'signed and encrypted message',
    user: EVA,
    checks: [
      {
        command: [
          'openssl',
          'cms',
          '-decrypt',
          '-in',
          'mail/signed-and-encrypted.eml',
          '-recip',
          'outside/partner.pem',
          '-inkey',
          'outside/partner.key.pem',
          '-out',
          'mail/opened-by-partner.eml',
        ],
        shows: 'the partner opens it with a key of their own and other software',
        expectedExit: 0,
      },
      verify('mail/opened-by-partner.eml'),
    ],
  });
}

/** Somebody with other software: a self-signed certificate, as small partners have them. */
async function outsideRecipient(at: Date): Promise<{ certificatePem: string; keyPem: string }> {
  const algorithm = {
    name: 'RSASSA-PKCS1-v1_5',
    hash: 'SHA-256',
    publicExponent: new Uint8Array([1, 0, 1]),
    modulusLength: 2048,
  };
  const keys = await webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify']);
  const certificate = await X509CertificateGenerator.createSelfSigned({
    serialNumber: '01',
    name: `CN=Partner, E=${OUTSIDER}`,
    notBefore: new Date(at.getTime() - 86_400_000),
    notAfter: new Date(at.getTime() + 365 * 86_400_000),
    signingAlgorithm: algorithm,
    keys,
  });
  const pkcs8 = Buffer.from(await webcrypto.subtle.exportKey('pkcs8', keys.privateKey)).toString('base64');
  const keyPem = `-----BEGIN PRIVATE KEY-----\n${pkcs8.match(/.{1,64}/g)?.join('\n')}\n-----END PRIVATE KEY-----\n`;
  return { certificatePem: `${certificate.toString('pem')}\n`, keyPem };
}

async function mustOpen(company: CompanyClient, user: string, id: string, text: string) {
  const opened = await company.openMail(user, id);
  if (
    !opened.text.includes(text) ||
    opened.signed?.valid !== true ||
    !opened.encrypted ||
    opened.problems.length > 0
  ) {
    throw new Error(`The message did not open as it should: ${JSON.stringify(opened)}`);
  }
  return opened;
}

const describeMail = (mail: { text: string }): string => `“${mail.text.trim()}”, signature valid`;

async function rekey(company: CompanyClient): Promise<void> {
  const { job } = await company.rekey({ users: [EVA], reason: 'superseded', dryRun: false });
  for (let look = 0; look < 600; look += 1) {
    const { state, users } = await company.job(String(job));
    if (state === 'done') return;
    if (state === 'failed') throw new Error(`The job failed: ${JSON.stringify(users)}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error('The job did not end within 30 s.');
}

async function waitForCrl(
  company: CompanyClient,
  crlName: string,
  certificates: readonly Certificate[],
): Promise<number> {
  const startedMs = performance.now();
  const { X509Crl } = await import('@peculiar/x509');
  while (performance.now() - startedMs < 30_000) {
    const crl = new X509Crl(new Uint8Array(await company.published(crlName)));
    const listed = new Set(crl.entries.map((entry) => entry.serialNumber.toLowerCase()));
    if (certificates.every(({ serial }) => listed.has(serial))) return performance.now() - startedMs;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  throw new Error('The CRL does not list the leavers within 30 s.');
}

const crlAbout = (when: string, path: string) => ({
  kind: `CRL ${when}, DER`.replace(' ,', ','),
  checks: [
    {
      command: ['openssl', 'crl', '-inform', 'DER', '-in', path, '-CAfile', 'trust/issuing.pem', '-noout'],
      shows: 'the issuing CA signed the CRL',
      expectedExit: 0 as const,
      expectedOutput: 'verify OK',
    },
  ],
});

const revokedCheck = (view: UserView, crl: string, at: Date): Check => ({
  command: [
    'openssl',
    'verify',
    '-attime',
    seconds(at),
    '-crl_check_all',
    '-CRLfile',
    'crl/root.crl',
    '-CRLfile',
    crl,
    ...TRUST,
    `users/${view.user}/leaf.pem`,
  ],
  shows: `the certificate of ${view.user} is refused now`,
  expectedExit: 'refused',
  expectedOutput: 'certificate revoked',
});

function pemOf(certificate: Certificate): string {
  return `${new X509Certificate(certificate.certificate ?? '').toString('pem')}\n`;
}

const live = (view: UserView): readonly Certificate[] =>
  view.certificates.filter((entry) => entry.revocation === undefined);
const byAge = (view: UserView): readonly Certificate[] =>
  view.certificates.toSorted((left, right) => left.notAfter.localeCompare(right.notAfter));
const newest = (view: UserView): Certificate => byAge(view).at(-1) ?? nothing(view);
const oldest = (view: UserView): Certificate => byAge(view)[0] ?? nothing(view);
const short = (certificate: Certificate): string => `${certificate.serial.slice(0, 8)}…`;
const seconds = (instant: Date): string => String(Math.floor(instant.getTime() / 1000));

function nothing(view: UserView): never {
  throw new Error(`${view.user} has no certificate.`);
}

/** As in force, for one department. */
const narrowerPolicy = (keyService: string): string =>
  policyText(keyService.replace(/\/$/, '')).replace('orgUnit: /Staff', 'orgUnit: /Staff/Engineering');
