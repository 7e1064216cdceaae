/** One way in which a certificate chain falls short. */
export interface Problem {
  /** Stable name of the rule, such as `leaf-crl-distribution-points`. */
  readonly id: string;
  readonly sentence: string;
}
