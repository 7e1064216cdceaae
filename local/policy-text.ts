/** The policy of the sample company. The key service's address depends on the port, so the file is written at start. */
export const policyText = (
  keyServiceUrl: string,
  keySize: 2048 | 3072 | 4096 = 3072,
): string => `# Who gets a certificate, and how. See docs/policy.md.
version: 1
rules:
  - name: staff
    orgUnit: /Staff
    keyService: ${keyServiceUrl}
    keySize: ${keySize}
    profile: dual-use
    validity: 365d
    renewBefore: 30d
    grace:
      leave: 24h
      suspended: 30d
      superseded: 72h
`;
