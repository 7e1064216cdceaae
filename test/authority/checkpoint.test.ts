import { X509Certificate } from 'node:crypto';
import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { TrailChecker, type TrailOutside, type TrustSigner } from '../../shared/audit/trail-checker.ts';
import { keepCheckpoints } from '../../shared/authority/checkpoint.ts';
import { derToPem } from '../../shared/pki/pem.ts';
import { openssl, opensslInstalled } from '../pki/openssl.ts';
import { asReplica } from '../support/fakes/database-copy.ts';
import { createWorld, DAY_MS, type Materials, makeMaterials, type World } from '../support/fakes/world.ts';

let materials: Materials;
let world: World;

beforeAll(async () => {
  materials = await makeMaterials();
});
beforeEach(async () => {
  world = await createWorld(materials);
});
afterEach(() => world.close());

const note = async (...userIds: readonly string[]) => {
  for (const userId of userIds) {
    await world.ledger.audit({
      userId,
      cause: { source: 'watch', eventId: 'e', event: 'add' },
      step: 'issue-leaf',
      reason: 'New.',
      outcome: 'done',
    });
  }
};

/** Whoever the issuer of this world certified. */
const byOurIssuer: TrustSigner = (signer) =>
  new X509Certificate(signer.certificateDer).verify(
    new X509Certificate(world.issuer.certificateDer).publicKey,
  )
    ? undefined
    : 'a stranger signed it';

async function verify(trust: TrustSigner = byOurIssuer, outside: TrailOutside = {}) {
  const checker = new TrailChecker(await world.ledger.checkpoints({ limit: 100 }), trust, outside);
  const entries = await world.ledger.auditTrail({ limit: 1_000 });
  const findings = [...entries.flatMap((entry) => checker.take(entry)), ...checker.end()];
  return { findings: findings.map(({ kind }) => kind), report: checker.report() };
}

const asSuperuser = (sql: string) => asReplica(world.database, sql);

describe('a checkpoint of the audit trail', () => {
  it('is signed once a day over all chains, and the trail holds against it', async () => {
    // Beside the chain that tells of the CRL.
    await note('1', '2', '1');
    await keepCheckpoints(world.checkpointDeps);
    await note('3');
    await keepCheckpoints(world.checkpointDeps);
    expect((await verify()).report).toMatchObject({ checkpoints: 1, last: { number: 1n, chains: 3 } });
    world.clock.advance(DAY_MS);
    await keepCheckpoints(world.checkpointDeps);
    await note('1');
    const { findings, report } = await verify();
    expect(findings).toEqual([]);
    expect(report).toMatchObject({ checkpoints: 2, entries: 6, uncovered: 1 });
    expect(report.last?.chains).toBe(4);
  });

  it('that was begun and not signed is finished by the next run, and is a finding until then', async () => {
    await note('1');
    const away = { ...world.checkpointDeps.signing, signCheckpoint: () => Promise.reject(new Error('cut')) };
    await expect(keepCheckpoints({ ...world.checkpointDeps, signing: away })).rejects.toThrow('cut');
    expect((await verify()).findings).toEqual(['checkpoint-unsigned']);
    await keepCheckpoints(world.checkpointDeps);
    expect(await verify()).toMatchObject({ findings: [], report: { checkpoints: 1 } });
  });

  it('is not signed over a trail that says something else than its statement', async () => {
    await note('1', '2');
    const signing = {
      ...world.checkpointDeps.signing,
      signCheckpoint: async (number: bigint) => {
        await asSuperuser(`DELETE FROM audit WHERE user_id = '2'`);
        return await world.signing.signCheckpoint(number);
      },
    };
    await expect(keepCheckpoints({ ...world.checkpointDeps, signing })).rejects.toThrow(
      /statement of checkpoint 1 does not say what the audit trail says \(chains, heads\); nothing was signed/,
    );
  });

  it('signs nothing that was never recorded', async () => {
    await expect(world.signing.signCheckpoint(7n)).rejects.toThrow('holds no checkpoint 7');
  });

  it('is made with a key that goes into Secret Manager and is read by the signing side alone', async () => {
    await note('1');
    await keepCheckpoints(world.checkpointDeps);
    const [signer] = await world.ledger.auditSigners();
    expect(signer?.keySecretVersion).toMatch(/secrets\/audit-signer-key\/versions\/1$/);
    world.clock.advance(340 * DAY_MS);
    await keepCheckpoints(world.checkpointDeps);
    expect((await world.ledger.auditSigners()).map(({ profile }) => profile)).toEqual([
      'audit-signer/1',
      'audit-signer/1',
    ]);
  });

  // Skipped, by name, where OpenSSL is not installed.
  it.skipIf(!opensslInstalled)('is verified by OpenSSL up to the root', async () => {
    await note('1');
    await keepCheckpoints(world.checkpointDeps);
    const [checkpoint] = await world.ledger.checkpoints({ limit: 1 });
    const { status, output, text } = openssl(
      [
        ...['cms', '-verify', '-inform', 'DER', '-in', 'checkpoint.p7s', '-binary', '-purpose', 'any'],
        ...['-CAfile', 'root.pem', '-attime', `${Math.floor(world.clock.now().getTime() / 1000)}`],
      ],
      {
        'checkpoint.p7s': checkpoint?.signedDer ?? '',
        'root.pem': derToPem('CERTIFICATE', world.authority.root.certificateDer),
      },
    );
    expect(status, text).toBe(0);
    expect(output.toString()).toBe(checkpoint?.statement);
  });
});

describe('against its checkpoints, a trail', () => {
  const forgeries: readonly (readonly [string, string])[] = [
    ['whose newest entries were removed', `DELETE FROM audit WHERE user_id = '1' AND place > 1`],
    ['of which a whole user was removed', `DELETE FROM audit WHERE user_id = '2'`],
    [
      'made anew with a changed reason',
      `UPDATE audit SET reason = 'made up' WHERE user_id = '1' AND place = 2;
       UPDATE audit SET sha256_hex = encode(sha256(convert_to(audit_text(audit), 'UTF8')), 'hex')
        WHERE user_id = '1' AND place = 2;`,
    ],
    [
      'of which an entry was given to somebody else',
      `UPDATE audit SET user_id = '9' WHERE user_id = '2';
       UPDATE audit SET sha256_hex = encode(sha256(convert_to(audit_text(audit), 'UTF8')), 'hex') WHERE user_id = '9';`,
    ],
  ];
  it.each(forgeries)('%s is found out, though its chains hold', async (_what, sql) => {
    await note('1', '1', '2');
    await keepCheckpoints(world.checkpointDeps);
    await asSuperuser(sql);
    expect((await verify()).findings).toEqual(['checkpoint-differs']);
  });

  it('set back to an earlier checkpoint is found out by its age, and at once by a later one that the log has', async () => {
    await note('1');
    await keepCheckpoints(world.checkpointDeps);
    world.clock.advance(DAY_MS);
    await note('1');
    await keepCheckpoints(world.checkpointDeps);
    const logged = world.log.of('audit-checkpoint-signed').map(({ fields }) => ({
      number: BigInt(String(fields?.['number'])),
      sha256Hex: String(fields?.['statementSha256Hex']),
    }));
    expect(logged.map(({ number }) => number)).toEqual([1n, 2n]);
    const readIn = (ms: number): TrailOutside => ({ readAt: new Date(world.clock.now().getTime() + ms) });
    expect((await verify(byOurIssuer, { ...readIn(2 * DAY_MS), known: logged })).findings).toEqual([]);
    await asSuperuser(`DELETE FROM audit WHERE id > (SELECT last_entry_id FROM audit_checkpoints WHERE number = 1);
                       DELETE FROM audit_checkpoints WHERE number = 2;`);
    expect((await verify(byOurIssuer, readIn(DAY_MS))).findings).toEqual([]);
    expect((await verify(byOurIssuer, readIn(DAY_MS + 1))).findings).toEqual(['checkpoint-old']);
    expect((await verify(byOurIssuer, { known: logged })).findings).toEqual(['checkpoint-missing']);
    await asSuperuser('DELETE FROM audit_checkpoints');
    expect((await verify(byOurIssuer, readIn(DAY_MS + 1))).findings).toEqual(['checkpoint-old']);
  });

  it('made anew with checkpoints of its own is found out by one that was kept', async () => {
    await note('1');
    await keepCheckpoints(world.checkpointDeps);
    const kept = { number: 1n, sha256Hex: '0'.repeat(64) };
    expect((await verify(byOurIssuer, { known: [kept] })).findings).toEqual(['checkpoint-other']);
  });

  it('is found out when a checkpoint is removed, replaced, or signed by a stranger', async () => {
    await note('1');
    await keepCheckpoints(world.checkpointDeps);
    world.clock.advance(DAY_MS);
    await keepCheckpoints(world.checkpointDeps);
    expect((await verify(() => 'a stranger signed it')).findings).toEqual([
      'checkpoint-broken',
      'checkpoint-broken',
    ]);
    await asSuperuser(`UPDATE audit_checkpoints SET signed_der = (SELECT signed_der FROM audit_checkpoints WHERE number = 2)
                        WHERE number = 1`);
    expect((await verify()).findings).toEqual(['checkpoint-broken']);
    await asSuperuser('DELETE FROM audit_checkpoints WHERE number = 1');
    expect((await verify()).findings).toEqual(['checkpoint-broken']);
  });
});
