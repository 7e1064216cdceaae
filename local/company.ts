/** The sample company that `npm start` and the demo run: names and numbers, nothing that does anything. */
export const COMPANY = {
  customerId: 'C00sample',
  domain: 'acme.example',
  organization: 'Acme',
  country: 'DE',
  organizationNumber: '123456789012',
  project: 'acme-sealwright',
  projectNumber: '210987654321',
  region: 'europe-west1',
  superAdmin: 'admin@acme.example',
  /** Where the certificates say that CRL and issuers are; the emulator knows which loopback port that is. */
  pkiHost: 'pki.acme.example',
  pkiUrl: 'http://pki.acme.example/',
  bucket: 'acme-pki',
  identityProvider: { issuer: 'https://idp.acme.example', clientId: 'acme-cse' },
  /** Under the arc for examples in documentation (RFC 5612's idea for OIDs); a real CA uses its own. */
  policyOid: '1.3.6.1.4.1.32473.1.1',
  tenantId: 'C00sample',
} as const;

export const ORG_UNITS = ['/Staff', '/Staff/Engineering', '/Contractors'] as const;

/** Who is there at the first start, besides the super admin; none with `--empty`. */
export const SAMPLE_USERS = [
  { primaryEmail: 'ben@acme.example', givenName: 'Ben', familyName: 'Okafor', orgUnitPath: '/Staff' },
  {
    primaryEmail: 'clara@acme.example',
    givenName: 'Clara',
    familyName: 'Novak',
    orgUnitPath: '/Staff/Engineering',
  },
  {
    primaryEmail: 'dmitri@acme.example',
    givenName: 'Dmitri',
    familyName: 'Haas',
    orgUnitPath: '/Contractors',
  },
] as const;

const account = (name: string) => `sealwright-${name}@${COMPANY.project}.iam.gserviceaccount.com`;

/** One service account per function, as Terraform makes them, and those that act for Google's own services. */
export const ACCOUNTS = {
  directoryWatch: account('directory-watch'),
  directoryEvent: account('directory-event'),
  due: account('due'),
  sweep: account('sweep'),
  sign: account('sign'),
  publishCrl: account('publish-crl'),
  admin: account('admin'),
  keyService: account('key-service'),
  ocsp: account('ocsp'),
  /** Domain-wide delegation, gmail.settings.basic only. */
  gmail: account('gmail'),
  /** Custom read-only admin role in the directory. */
  directory: account('directory'),
  /** Pub/Sub push and Cloud Scheduler call the functions as these. */
  push: account('push'),
  scheduler: account('scheduler'),
  /** The admin who sets the CA up. */
  setUp: account('set-up'),
  /** Domain-wide delegation, gmail.insert only: old mail is put into mailboxes as it. Whoever sets up the CA migrates too. */
  migration: account('migration'),
  /** The key file of the ready line: for people's own tools. */
  tools: account('tools'),
} as const;

export const TOPICS = {
  directoryEvents: `projects/${COMPANY.project}/topics/directory-events`,
  crlRequests: `projects/${COMPANY.project}/topics/crl-requests`,
  deadLetters: `projects/${COMPANY.project}/topics/dead-letters`,
} as const;

export const SECRETS = {
  caKey: 'issuing-ca-key',
  ocspKey: 'ocsp-signer-key',
  auditKey: 'audit-signer-key',
  keyEncryptionKey: 'key-encryption-key',
} as const;

/** Ports from the base: `npm start -- --port-base N`. */
export const PORT_OFFSETS = {
  google: 0,
  admin: 1,
  keyService: 2,
  ocsp: 3,
  pki: 4,
  directoryWatch: 5,
  directoryEvent: 6,
  due: 7,
  sign: 8,
  publishCrl: 9,
  sweep: 10,
} as const;

export type PortName = keyof typeof PORT_OFFSETS;

export const loopbackUrl = (portBase: number, name: PortName): string =>
  `http://127.0.0.1:${portBase + PORT_OFFSETS[name]}`;
