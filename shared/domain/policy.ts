/** A validated policy; `shared/config/policy.ts` parses it from YAML. Durations are milliseconds. */
export interface PolicyRule {
  readonly name: string;
  /** Absolute path; covers the unit and everything below it. Compared without regard to case, segment by segment. */
  readonly orgUnit: string;
  readonly modulusBits: 2048 | 3072 | 4096;
  readonly validityDays: number;
  /** How long before notAfter a leaf is renewed. */
  readonly renewBeforeMs: number;
  /** Base address of the key service that wraps this rule's keys. */
  readonly keyServiceUrl: string;
  readonly includeAliases: boolean;
  readonly grace: {
    /** From leaving scope to revocation. */
    readonly leaveMs: number;
    /** From suspension to revocation. */
    readonly suspendMs: number;
    /** From re-key to revocation of the replaced leaf. */
    readonly supersededMs: number;
  };
}

export interface Policy {
  readonly rules: readonly PolicyRule[];
  /** Grace periods for users that no rule covers any more (they left the rule that had other values). */
  readonly defaults: Pick<PolicyRule, 'grace'>;
  readonly guard: {
    readonly minimumPerHour: number;
    readonly shareOfCovered: number;
    readonly maximumPerHour: number;
  };
}
