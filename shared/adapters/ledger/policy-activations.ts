import type { PolicyPins } from '../../domain/policy-pins.ts';
import type { Clock } from '../../ports/clock.ts';
import type { PolicyActivations } from '../../ports/ledger/policy-activations.ts';
import type { Database } from './database.ts';

interface ActivationRow {
  readonly digest: string;
  readonly policy_text: string;
  readonly pins: PolicyPins;
  readonly activated_by: string;
  readonly automatic: boolean;
  readonly activated_at: Date;
}

export const policyActivations = (database: Database, clock: Clock): PolicyActivations => ({
  recordPolicyActivation: async ({ digest, text, pins, activatedBy, automatic }) => {
    await database.query(
      `INSERT INTO policy_activations (digest, policy_text, pins, activated_by, automatic, activated_at)
       VALUES ($1, $2, $3, $4, $5, $6)
       ON CONFLICT (digest) WHERE automatic DO NOTHING`,
      [digest, text, JSON.stringify(pins), activatedBy, automatic, clock.now()],
    );
  },

  latestPolicyActivation: async (digest) => {
    const [row] = await database.query<ActivationRow>(
      `SELECT digest, policy_text, pins, activated_by, automatic, activated_at FROM policy_activations
       WHERE $1::text IS NULL OR digest = $1 ORDER BY id DESC LIMIT 1`,
      [digest ?? null],
    );
    if (row === undefined) return undefined;
    return {
      digest: row.digest,
      text: row.policy_text,
      pins: row.pins,
      activatedBy: row.activated_by,
      automatic: row.automatic,
      activatedAt: row.activated_at,
    };
  },
});
