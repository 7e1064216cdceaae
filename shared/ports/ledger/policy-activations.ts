/** Which policy was put in force, when and by whom, with the pins of its units and groups. Rows are never changed. */
import type { PolicyPins } from '../../domain/policy-pins.ts';

export interface PolicyActivation {
  /** SHA-256 of the text, lower-case hex. */
  readonly digest: string;
  /** The policy file, byte for byte. */
  readonly text: string;
  readonly pins: PolicyPins;
  /** An admin's address, or the function that met the text first. */
  readonly activatedBy: string;
  /** By a function at its start; a text is activated automatically once at most. */
  readonly automatic: boolean;
}

export interface StoredPolicyActivation extends PolicyActivation {
  readonly activatedAt: Date;
}

export interface PolicyActivations {
  /** Records it; an automatic one whose text was activated automatically before is left as it is. */
  recordPolicyActivation(activation: PolicyActivation): Promise<void>;
  /** The newest one of a text, or the newest of all. */
  latestPolicyActivation(digest?: string): Promise<StoredPolicyActivation | undefined>;
}
