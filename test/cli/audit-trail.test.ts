import { randomBytes } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { keepCheckpoints } from '../../shared/authority/checkpoint.ts';
import { createAuthority } from '../../shared/pki/authority.ts';
import { EXAMPLE_POLICY_OID } from '../../shared/pki/oids.ts';
import { derToPem } from '../../shared/pki/pem.ts';
import { reconcile } from '../../shared/reconcile/run.ts';
import { type Served, serveHandler } from '../functions/support/served.ts';
import { adminOver } from '../support/admin.ts';
import { asReplica } from '../support/fakes/database-copy.ts';
import { createWorld, DAY_MS, makeMaterials, type World } from '../support/fakes/world.ts';
import { sealwright, TOKEN } from './sealwright.ts';

let world: World;
let served: Served;
let environment: Record<string, string>;
let folder: string;

const file = (name: string, content: string) => {
  const path = join(folder, name);
  writeFileSync(path, content);
  return path;
};

const run = (...words: readonly string[]) => sealwright(words, environment);
/** The live trail, by the clock of this world. */
const verify = (...words: readonly string[]) =>
  run('audit', 'verify', '--at', world.clock.now().toISOString(), ...words);

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'sealwright-audit-'));
  world = await createWorld(await makeMaterials());
  const admin = adminOver(world);
  served = await serveHandler(admin, world.log);
  environment = { SEALWRIGHT_ADMIN_URL: served.url, SEALWRIGHT_ADMIN_TOKEN: TOKEN };
  const look = (event: string) =>
    reconcile(world.deps, '1', {
      source: 'watch',
      eventId: 'e1',
      event,
      at: new Date(world.clock.now().getTime() - 2_000),
    });
  world.directory.put({ userId: '1', primaryEmail: 'ben@acme.example' });
  await look('add');
  await keepCheckpoints(world.checkpointDeps);
  world.clock.advance(DAY_MS);
  world.directory.remove('1');
  await look('delete');
  world.clock.advance(30_000);
  await world.publishCrl();
  await keepCheckpoints(world.checkpointDeps);
});
afterAll(async () => {
  await served.close();
  await world.close();
  rmSync(folder, { recursive: true });
});

describe('sealwright audit verify', () => {
  it('checks every entry and every checkpoint up to the root, and says so', async () => {
    const root = file('root.pem', derToPem('CERTIFICATE', world.authority.root.certificateDer));
    const { exit, stdout } = await verify('--root', root);
    expect(exit).toBe(0);
    expect(stdout).toContain('Nothing was changed, removed or inserted.');
    expect(stdout).toMatch(/Checkpoints +2 hold; the last is number 2 /);
    expect(stdout).toContain('signers that lead to the root given');
    expect(stdout).toMatch(/Figures +of 1 revocation follow from the entries\n/);
  });

  it('says when nobody vouches for the signers, and refuses a root that is none', async () => {
    expect((await verify()).stdout).toContain('nobody vouches for: give --root');
    const leaf = file('issuing.pem', derToPem('CERTIFICATE', world.issuer.certificateDer));
    const refused = await verify('--root', leaf);
    expect([refused.exit, refused.stderr]).toEqual([2, expect.stringContaining('is no root')]);
  });

  it('refuses signers under another root', async () => {
    const strangers = await createAuthority({
      country: 'DE',
      organization: 'Strangers',
      rootName: 'Strangers Root',
      issuingName: 'Strangers Issuing CA',
      rootCrlUrl: 'http://pki.strangers.example/root.crl',
      rootUrl: 'http://pki.strangers.example/root.cer',
      policyOids: { own: EXAMPLE_POLICY_OID },
      now: world.clock.now(),
      random: randomBytes,
      curve: 'P-256',
    });
    const root = file('stranger.pem', derToPem('CERTIFICATE', strangers.root.certificateDer));
    const { exit, stdout } = await verify('--root', root);
    expect(exit).toBe(1);
    expect(stdout).toContain('Checkpoint 2: its signer does not lead to the root given.');
  });

  it('ends with 1 and names what was changed, for people and for programs', async () => {
    const restore = await world.save();
    await asReplica(world.database, `UPDATE audit SET reason = 'nothing' WHERE step = 'revoke-leaf'`);
    const { exit, stdout } = await verify();
    expect(exit).toBe(1);
    expect(stdout).toMatch(
      /1 finding:\n {2}User 1: entry \d+ \(revoke-leaf, place \d+\) is not what was written/,
    );
    expect(JSON.parse((await verify('--json')).stdout)).toMatchObject({
      intact: false,
      findings: [{ kind: 'changed', chain: '1' }],
    });
    await restore();
  });

  it('finds the last entry of a chain changed and sealed anew, and the end of one cut off, by the ledger’s own account', async () => {
    const restore = await world.save();
    const last = 'id = (SELECT max(id) FROM audit)';
    await asReplica(
      world.database,
      `UPDATE audit SET reason = 'nothing' WHERE ${last};
       UPDATE audit SET sha256_hex = encode(sha256(convert_to(audit_text(audit), 'UTF8')), 'hex') WHERE ${last};
       DELETE FROM audit WHERE id = (SELECT max(id) FROM audit WHERE user_id = '1');`,
    );
    const { exit, stdout } = await verify();
    expect(exit).toBe(1);
    expect(stdout).toMatch(
      /The common chain: entry \d+ \(.+\) is another than the one that the ledger says it wrote last\./,
    );
    expect(stdout).toMatch(/User 1: the end of the chain is missing; the ledger has written \d+ entries\./);
    await restore();
  });
});

describe('sealwright audit verify, of a trail that was set back,', () => {
  const setBack = `DELETE FROM audit WHERE id > (SELECT last_entry_id FROM audit_checkpoints WHERE number = 1);
     DELETE FROM audit_checkpoints WHERE number = 2;
     DELETE FROM audit_chains;
     INSERT INTO audit_chains (chain, place, sha256_hex)
       SELECT DISTINCT ON (coalesce(user_id, '')) coalesce(user_id, ''), place, sha256_hex FROM audit
        ORDER BY coalesce(user_id, ''), place DESC;`;
  const checkpoint = () => {
    const { fields } = world.log.of('audit-checkpoint-signed').at(-1) ?? {};
    return `${String(fields?.['number'])}:${String(fields?.['statementSha256Hex'])}`;
  };

  it('ends with 1 once its last checkpoint is two days old, and at once with the checkpoint that was logged', async () => {
    expect((await verify('--checkpoint', checkpoint())).exit).toBe(0);
    const restore = await world.save();
    await asReplica(world.database, setBack);
    expect((await verify()).exit).toBe(0);
    const missing = await verify('--checkpoint', checkpoint());
    expect([missing.exit, missing.stdout]).toEqual([
      1,
      expect.stringContaining('Checkpoint 2 was made and is not here'),
    ]);
    const later = new Date(world.clock.now().getTime() + 2 * DAY_MS).toISOString();
    const old = await run('audit', 'verify', '--at', later);
    expect([old.exit, old.stdout]).toEqual([1, expect.stringContaining('or the trail was set back')]);
    const copy = file('set-back.jsonl', (await run('audit', 'export')).stdout);
    await restore();
    const ofCopy = (...words: readonly string[]) => sealwright(['audit', 'verify', '--file', copy, ...words]);
    expect((await ofCopy()).exit).toBe(0);
    expect((await ofCopy('--at', later)).exit).toBe(1);
    expect((await ofCopy('--checkpoint', checkpoint())).exit).toBe(1);
  });

  it.each([
    ['--checkpoint', '2', 'is not NUMBER:SHA256'],
    ['--at', 'yesterday', 'is no instant'],
  ])('refuses %s %s', async (flag, value, said) => {
    const refused = await run('audit', 'verify', flag, value);
    expect([refused.exit, refused.stderr]).toEqual([2, expect.stringContaining(said)]);
  });
});

describe('sealwright audit export', () => {
  it('prints what audit verify checks without the ledger, also after it was changed', async () => {
    const { stdout } = await run('audit', 'export');
    const lines = stdout.trim().split('\n');
    const kinds = lines.map((line) => (JSON.parse(line) as { kind: string }).kind);
    expect(kinds.filter((kind) => kind === 'checkpoint')).toHaveLength(2);
    expect(kinds.at(-1)).toBe('checkpoint');
    const trail = file('trail.jsonl', stdout);
    expect((await sealwright(['audit', 'verify', '--file', trail])).exit).toBe(0);
    const forged = file(
      'forged.jsonl',
      readFileSync(trail, 'utf8').replace('"outcome":"done"', '"outcome":"failed"'),
    );
    expect((await sealwright(['audit', 'verify', '--file', forged])).exit).toBe(1);
    const cut = file('cut.jsonl', `${lines.slice(0, 2).join('\n')}\n${lines.slice(3).join('\n')}\n`);
    expect((await sealwright(['audit', 'verify', '--file', cut])).exit).toBe(1);
  });

  describe('is found changed, though it is beside what is hashed, where', () => {
    const revokedIn = (lines: readonly string[]) =>
      lines.findIndex((line) => line.includes('"step":"revoke-leaf"'));
    type Line = Record<string, unknown> & { revocation: Record<string, unknown> };

    const verifyWith = async (change: (revoked: Line) => void) => {
      const lines = (await run('audit', 'export')).stdout.trim().split('\n');
      const at = revokedIn(lines);
      const revoked = JSON.parse(lines[at] ?? '') as Line;
      change(revoked);
      lines[at] = JSON.stringify(revoked);
      const copy = file('figures.jsonl', `${lines.join('\n')}\n`);
      return await sealwright(['audit', 'verify', '--file', copy]);
    };

    it.each<[string, (revoked: Line) => void, string]>([
      [
        'the seconds to the CRL are fewer',
        ({ revocation }) => {
          revocation['secondsFromEventToCrl'] = 3;
        },
        'secondsFromEventToCrl beside it is not what follows from the entries',
      ],
      [
        'the CRL was published earlier, with seconds to match',
        ({ revocation }) => {
          const earlier = new Date(Date.parse(String(revocation['crlPublishedAt'])) - 20_000);
          revocation['crlPublishedAt'] = earlier.toISOString();
          revocation['secondsFromEventToCrl'] = 12;
        },
        'CRL 2 of issuing-1 was published at ',
      ],
      [
        'it names a CRL from before the revocation',
        ({ revocation }) => {
          revocation['crlNumber'] = '1';
        },
        'CRL 1 of issuing-1 was published at ',
      ],
      [
        'it names a CRL that never was',
        ({ revocation }) => {
          revocation['crlNumber'] = '7';
        },
        'CRL 7 of issuing-1 was never published',
      ],
      [
        'it names another issuer',
        ({ revocation }) => {
          revocation['issuerId'] = 'issuing-9';
        },
        'CRL 2 of issuing-9 was never published',
      ],
      [
        'it names another serial',
        ({ revocation }) => {
          revocation['serialHex'] = '0101';
        },
        'serialHex beside it is not what follows from the entries',
      ],
      [
        'somebody else knew the time of the event',
        ({ revocation }) => {
          revocation['eventTimeFrom'] = 'directory';
          revocation['secondsFromEvent'] = 1;
        },
        'secondsFromEvent, eventTimeFrom beside it are not what follows from the entries',
      ],
      [
        'it is taken out',
        (revoked) => {
          Reflect.deleteProperty(revoked, 'revocation');
        },
        'its figures are missing',
      ],
    ])('%s', async (_what, change, says) => {
      const { exit, stdout } = await verifyWith(change);
      expect([exit, stdout]).toEqual([1, expect.stringContaining(says)]);
      expect(stdout).toMatch(/1 finding:\n {2}User 1: of entry \d+ \(revoke-leaf, place \d+\) /);
      expect(stdout).toContain('of 0 revocations follow from the entries');
    });
  });

  it('of one user has no publications, and verify says whose CRL it could not compare', async () => {
    const copy = file('one-user.jsonl', (await run('audit', 'export', '--user', '1')).stdout);
    const { exit, stdout } = await sealwright(['audit', 'verify', '--file', copy]);
    expect(exit).toBe(0);
    expect(stdout).toContain('the CRL of 1 more has no entry of the same instant here');
  });

  it('gives the leaver the first CRL that lists them and the seconds from the event to it', async () => {
    const { stdout } = await run('audit', 'export', '--user', 'ben@acme.example');
    const entries = stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as Record<string, unknown>);
    const revoked = entries.filter(({ step }) => step === 'revoke-leaf');
    const published = await world.ledger.latestPublishedCrl(world.issuer.issuerId);
    expect(revoked).toMatchObject([
      {
        cause: { event: 'delete', at: expect.any(String) },
        revocation: {
          crlNumber: String(published?.crlNumber),
          secondsFromEvent: 2,
          secondsFromEventToCrl: 32,
        },
      },
    ]);
  });

  it('prints a table for spreadsheets, a row an entry, in which nothing is a formula', async () => {
    await world.ledger.audit({
      userId: '1',
      cause: { source: 'admin', eventId: 'x', event: 'note', actor: '=HYPERLINK("http://evil.example")' },
      step: 'hint-ignored',
      reason: 'Said "no",\nand left.',
      outcome: 'ignored',
    });
    const { stdout } = await run('audit', 'export', '--format', 'csv', '--user', '1');
    expect(stdout.split('\n')[0]).toMatch(/^entry,at,user_id,.*first_crl_number/);
    expect(stdout).toContain(`"'=HYPERLINK(""http://evil.example"")"`);
    expect(stdout).toContain('"Said ""no"",\nand left."');
  });

  it('refuses a form it does not know, a file that is none, and a file that is not there', async () => {
    expect((await run('audit', 'export', '--format', 'pdf')).exit).toBe(2);
    const rubbish = file('rubbish.jsonl', '{"kind":"entry"}\n');
    const refused = await sealwright(['audit', 'verify', '--file', rubbish]);
    expect([refused.exit, refused.stderr]).toEqual([
      2,
      expect.stringContaining('rubbish.jsonl:1 is neither'),
    ]);
    expect((await sealwright(['audit', 'verify', '--file', join(folder, 'absent')])).stderr).toContain(
      'ENOENT',
    );
  });
});
