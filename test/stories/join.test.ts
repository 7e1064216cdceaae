/** A user is created in a covered unit and nothing else is done by anybody; then the system is stopped and started again. */
import { generateKeyPairSync, X509Certificate } from 'node:crypto';
import { cpSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PGlite } from '@electric-sql/pglite';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { UserView } from '../../demo/company-client.ts';
import { type PublishedCrl, verifyChain } from './openssl.ts';
import { plainKeysIn, plainKeysUnder } from './plain-keys.ts';
import { addressOf, beginStory, type LedgerExport, only, type Story } from './story.ts';

const EVA = addressOf('eva');
const FINN = addressOf('finn');
const GONE = addressOf('gone');
const HALFWAY = addressOf('halfway');

describe('a system on a folder of its own', { timeout: 120_000 }, () => {
  const stateDir = mkdtempSync(join(tmpdir(), 'sealwright-join-'));
  let story: Story;
  let mail: string;

  beforeAll(async () => {
    story = await beginStory({ stateDir, keySize: 3072 });
  }, 120_000);

  afterAll(async () => {
    await story.end();
    rmSync(stateDir, { recursive: true, force: true });
  });

  describe('makes a user who is created in a covered unit ready, so that the user', () => {
    let view: UserView;

    beforeAll(async () => {
      const readyMs: number[] = [];
      for (const name of ['eva', 'finn', 'gone']) {
        const startedMs = performance.now();
        const ready = await story.company.hireReady(name);
        readyMs.push(Math.round(performance.now() - startedMs));
        if (name === 'eva') view = ready;
      }
      await story.company.drain();
      const [, median] = readyMs.toSorted((left, right) => left - right);
      console.info(`from users.insert to ready: ${readyMs.join(', ')} ms; median ${median} ms`);
    }, 120_000);

    it('is seen by both event sources, the watch channel and the audit log', async () => {
      const taken = async (method: string) =>
        (await story.company.callsOf(method)).filter((call) => call.status === 204);
      expect((await taken('functions.directory-watch')).length).toBeGreaterThanOrEqual(3);
      const delivered = await taken('functions.directory-event');
      expect(delivered.length).toBeGreaterThanOrEqual(6);
      expect(new Set(delivered.map((call) => call.caller))).toEqual(
        new Set(['sealwright-push@acme-sealwright.iam.gserviceaccount.com']),
      );
      const looks = readFileSync(story.system.logFile, 'utf8')
        .split('\n')
        .filter((line) => line.includes('"look-started"') && line.includes(view.userId))
        .map((line) => JSON.parse(line) as { source: string });
      expect(new Set(looks.map((look) => look.source))).toEqual(new Set(['watch', 'audit']));
    });

    it('has exactly one key pair, one identity that uses it and one certificate, the same at Gmail and in the ledger', async () => {
      const { pairs, identities, unrevoked } = await story.company.holdings(EVA);
      expect(view.certificates).toHaveLength(1);
      const pair = only(pairs);
      const certificate = only(unrevoked);
      expect(pair).toMatchObject({ keyPairId: certificate.keypairId, enablementState: 'enabled' });
      expect(only(identities)).toEqual({ emailAddress: EVA, primaryKeyPairId: pair.keyPairId });
      expect(new X509Certificate(pair.pem).raw.toString('base64')).toBe(certificate.certificate);
      expect(certificate.keyProof).toBe('proven');
    });

    it('has a certificate for that address and nothing else, over RSA-3072', () => {
      const leaf = leafOf(view);
      expect(leaf.subjectAltName).toBe(`email:${EVA}`);
      expect(leaf.publicKey.asymmetricKeyDetails?.modulusLength).toBe(3072);
      expect(leaf.serialNumber.toLowerCase()).toBe(only(view.certificates).serial);
    });

    it.each(['smimesign', 'smimeencrypt'] as const)(
      'has a chain that OpenSSL accepts for %s, with every CRL checked',
      async (purpose) => {
        const { company, system } = story;
        const crls = await Promise.all(
          [system.crlUrl, system.rootCrlUrl].map((url) => company.published(new URL(url).pathname.slice(1))),
        );
        const chain = { ...system, leafPem: leafOf(view).toString(), crls, at: await company.now() };
        expect(verifyChain(chain, purpose)).toBe('leaf.pem: OK');
      },
    );

    it('can send signed and encrypted mail at once, which a colleague reads', async () => {
      mail = await story.company.sendMail({ from: EVA, to: [FINN], subject: 'Hi', text: 'Lunch?' });
      const opened = await story.company.openMail(FINN, mail);
      expect(opened).toMatchObject({ text: 'Lunch?', signed: { valid: true, signer: EVA }, problems: [] });
      expect(opened.encrypted).toBeTruthy();
    });
  });

  describe('stopped and started again', () => {
    let before: LedgerExport;
    let crlBefore: PublishedCrl;
    let nowBefore: Date;
    let said: string;
    let rows: string;

    beforeAll(async () => {
      const { company } = story;
      await company.deleteUser(GONE);
      await company.crlThat('a CRL of one', ({ revoked }) => revoked.size === 1);
      await company.moveClock('3h');
      before = await company.ledgerExport();
      crlBefore = await company.crl();
      nowBefore = await company.now();
      said = JSON.stringify([before, await company.calls(), await company.pairs(EVA)]);
      // Created and not waited for: whatever is half done when it stops is finished after the start.
      await company.hire('halfway');
      await story.end();
      rows = await dump(join(stateDir, 'ledger'));
      story = await beginStory({ stateDir, keySize: 3072 });
    }, 120_000);

    it('has left no private key in plain form in the log, the call log, an admin answer or the ledger', () => {
      expect(said).toContain(before.users[0]?.userId);
      expect(plainKeysIn(Buffer.from(said))).toEqual([]);
      expect(plainKeysIn(readFileSync(story.system.logFile))).toEqual([]);
      expect(plainKeysUnder(join(stateDir, 'ledger'))).toEqual([]);
      // Large values are compressed in the files, so the rows were read as well.
      expect(rows).toContain(before.users[0]?.userId);
      expect(plainKeysIn(Buffer.from(rows))).toEqual([]);
    });

    it('goes on with the clock where it was', async () => {
      const aheadMs = (await story.company.now()).getTime() - nowBefore.getTime();
      expect(aheadMs).toBeGreaterThanOrEqual(0);
      expect(aheadMs).toBeLessThan(3_600_000);
    });

    it('finishes the join that was under way, once', async () => {
      await story.company.waitForState(HALFWAY, 'ready');
      const { unrevoked, pairs, identities } = await story.company.holdings(HALFWAY);
      expect(only(pairs).keyPairId).toBe(only(unrevoked).keypairId);
      expect(only(identities).primaryKeyPairId).toBe(only(pairs).keyPairId);
    });

    it('has the same users with the same certificates, and issues nobody a second one', async () => {
      await story.company.drain();
      const after = await story.company.ledgerExport();
      const held = ({ users }: LedgerExport) =>
        users
          .filter(({ user }) => user !== HALFWAY)
          .map(({ user, state, certificates }) => ({ user, state, certificates }));
      expect(held(after)).toEqual(held(before));
      expect(
        held(after)
          .map(({ user }) => user)
          .toSorted(),
      ).toEqual([EVA, FINN, GONE]);
    });

    it('opens old mail and sends new', async () => {
      const { company } = story;
      expect(await company.openMail(FINN, mail)).toMatchObject({ text: 'Lunch?', problems: [] });
      const fresh = await company.sendMail({ from: FINN, to: [EVA], text: 'after the restart' });
      expect(await company.openMail(EVA, fresh)).toMatchObject({ text: 'after the restart', problems: [] });
    });

    it('publishes CRLs with growing numbers that still list who had left', async () => {
      const { company } = story;
      await company.moveClock('7h');
      const crl = await company.crlThat('a later CRL', ({ number }) => number > crlBefore.number);
      expect([...crl.revoked.keys()]).toEqual([...crlBefore.revoked.keys()]);
    });

    it('serves a joiner and a leaver as before', async () => {
      const { company } = story;
      const joined = await company.hireReady('later');
      await company.deleteUser(FINN);
      const serial = only((await company.user(FINN))?.certificates ?? []).serial;
      await company.crlThat('a CRL with both', ({ revoked }) => revoked.has(serial) && revoked.size === 2);
      expect(only(joined.certificates).revocation).toBeUndefined();
    });
  });
});

describe('the search for plain keys', () => {
  const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const forms = (['pkcs1', 'pkcs8'] as const).flatMap((type) => {
    const der = privateKey.export({ format: 'der', type });
    const padded = Buffer.concat([Buffer.from('a'), der]);
    const pem = privateKey.export({ format: 'pem', type }).toString();
    return [
      [`${type} in PEM`, pem],
      [`${type} in DER`, Buffer.concat([Buffer.from('before'), der])],
      [`${type} in base64`, der.toString('base64')],
      [`${type} in base64 behind something else`, `x${padded.toString('base64')}`],
      [`${type} in base64url`, der.toString('base64url')],
      [`${type} in hex`, der.toString('hex').toUpperCase()],
      [`${type} PEM in base64`, Buffer.from(pem).toString('base64')],
    ] as const;
  });

  it.each(forms)('finds %s', (_, form) => {
    expect(plainKeysIn(Buffer.from(form))).not.toEqual([]);
  });

  it('does not take a public key for a private one', () => {
    const spki = publicKey.export({ format: 'der', type: 'spki' });
    for (const form of [spki, Buffer.from(spki.toString('base64')), Buffer.from(spki.toString('hex'))])
      expect(plainKeysIn(form)).toEqual([]);
  });
});

const leafOf = (user: UserView): X509Certificate =>
  new X509Certificate(Buffer.from(only(user.certificates).certificate ?? '', 'base64'));

/** Every row of every table of a ledger that nobody has open, as text; read from a copy. */
async function dump(ledger: string): Promise<string> {
  const copy = mkdtempSync(join(tmpdir(), 'sealwright-dump-'));
  cpSync(join(ledger, 'data'), copy, { recursive: true });
  const database = await PGlite.create(copy);
  try {
    const tables = await database.query<{ tablename: string }>(
      `SELECT tablename FROM pg_tables WHERE schemaname = 'public'`,
    );
    const texts: string[] = [];
    for (const { tablename } of tables.rows) {
      const { rows } = await database.query<{ row: string }>(
        `SELECT row::text AS row FROM ${tablename} AS row`,
      );
      texts.push(...rows.map(({ row }) => row));
    }
    return texts.join('\n');
  } finally {
    await database.close();
    rmSync(copy, { recursive: true, force: true });
  }
}
