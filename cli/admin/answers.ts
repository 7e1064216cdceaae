/**
 * What the admin API answers, as far as this command line reads it. Fields it does not know are kept, so that `--json`
 * shows what a newer API says. Instants are ISO 8601 texts.
 */
import { z } from 'zod';

export const userStates = ['ready', 'pending', 'blocked', 'leaving', 'out'] as const;

const userSummary = z.looseObject({
  userId: z.string(),
  user: z.string(),
  state: z.string(),
  reason: z.string(),
  since: z.string(),
  nextAction: z.string().optional(),
  nextActionAt: z.string().optional(),
  /** What an admin should know and what changes nothing by itself. */
  notices: z.array(z.looseObject({ kind: z.string(), message: z.string(), since: z.string() })).optional(),
});

export type UserSummary = z.output<typeof userSummary>;

export const userPage = z.looseObject({ users: z.array(userSummary), next: z.string().optional() });

const certificate = z.looseObject({
  serial: z.string(),
  state: z.string(),
  /** `key-service` or `device`: who has the private key. */
  holder: z.string().optional(),
  /** What the admin calls the device. */
  device: z.string().optional(),
  deviceId: z.string().optional(),
  addresses: z.array(z.string()),
  notBefore: z.string(),
  notAfter: z.string(),
  issuer: z.string(),
  revocation: z.looseObject({ reason: z.string(), revokedAt: z.string() }).optional(),
  retirement: z.looseObject({ reason: z.string(), dueAt: z.string() }).optional(),
  /** DER, base64. */
  certificate: z.string().optional(),
  keyProof: z.string().optional(),
  /** What Gmail was told of the card that has the key. */
  smartCard: z.string().optional(),
  keypairId: z.string().optional(),
  purpose: z.string().optional(),
  keypairDisabled: z.looseObject({ at: z.string(), because: z.string() }).optional(),
});

export type CertificateView = z.output<typeof certificate>;

/** A certificate of old mail whose key was imported. */
export const importedKey = z.looseObject({
  id: z.string(),
  state: z.enum(['waiting', 'uploaded', 'refused']),
  /** Why it was refused, or what its user waits for. */
  reason: z.string().optional(),
  certificateSha256: z.string(),
  addresses: z.array(z.string()),
  notBefore: z.string(),
  notAfter: z.string(),
  keyProof: z.string(),
  keypairId: z.string().optional(),
  keypairDisabled: z.looseObject({ at: z.string(), because: z.string() }).optional(),
});

export type ImportedKeyView = z.output<typeof importedKey>;

export const userView = userSummary.extend({
  certificates: z.array(certificate),
  imported: z.array(importedKey).optional(),
  /** Keys whose wrapped form is gone for ever. */
  erasedKeys: z
    .array(
      z.looseObject({
        spkiSha256: z.string(),
        erasedAt: z.string(),
        requestedBy: z.string(),
        confirmedBy: z.string(),
      }),
    )
    .optional(),
  openWishes: z.array(
    z.looseObject({
      jobId: z.string(),
      reason: z.string(),
      requestedBy: z.string(),
      requestedAt: z.string(),
    }),
  ),
});

export type UserView = z.output<typeof userView>;

const wrappedKeyCount = z.looseObject({
  keyServiceUrl: z.string(),
  kekId: z.string().optional(),
  keys: z.number(),
  rewrappedUnder: z.record(z.string(), z.number()),
  unproven: z.number(),
  unreadable: z.number(),
});

export type WrappedKeyCount = z.output<typeof wrappedKeyCount>;

export const wrappedKeyCounts = z.looseObject({
  wrappedKeys: z.array(wrappedKeyCount),
  cardKeys: z.number().default(0),
  importedKeys: z.number().default(0),
});

const keyProofFailure = z.looseObject({ keyId: z.string(), user: z.string(), reason: z.string() });

export type KeyProofFailure = z.output<typeof keyProofFailure>;

export const keyProofPage = z.looseObject({
  proven: z.number(),
  failed: z.array(keyProofFailure),
  next: z.string().optional(),
});

export const addressPage = z.looseObject({
  people: z.array(z.looseObject({ userId: z.string(), addresses: z.array(z.string()) })),
  next: z.string().optional(),
});

export const explanation = z.looseObject({
  user: z.string(),
  userId: z.string(),
  chapters: z.array(z.looseObject({ title: z.string(), sentences: z.array(z.string()) })),
});

export type ExplanationView = z.output<typeof explanation>;

export const rekeyAccepted = z.looseObject({
  job: z.string(),
  observed: z.number().default(0),
  revokedOnly: z.number().default(0),
});

export const rekeyForecast = z.looseObject({
  dryRun: z.literal(true),
  total: z.number(),
  observed: z.number().default(0),
  revokedOnly: z.number().default(0),
  users: z.array(z.looseObject({ user: z.string(), step: z.string(), reason: z.string() })),
});

export const jobView = z.looseObject({
  state: z.enum(['running', 'done', 'failed', 'paused', 'cancelled']),
  total: z.number(),
  done: z.number(),
  failed: z.number(),
  users: z.array(z.looseObject({ user: z.string(), state: z.string(), detail: z.string() })),
});

export type JobView = z.output<typeof jobView>;

const auditEntry = z.looseObject({
  id: z.string(),
  at: z.string(),
  userId: z.string().optional(),
  cause: z.looseObject({
    source: z.string(),
    eventId: z.string(),
    event: z.string(),
    actor: z.string().optional(),
  }),
  step: z.string(),
  reason: z.string(),
  outcome: z.string(),
});

export type AuditEntryView = z.output<typeof auditEntry>;

export const auditPage = z.looseObject({
  entries: z.array(auditEntry),
  /** By user id, where they were asked for. */
  addresses: z.record(z.string(), z.string()).default({}),
  next: z.string().optional(),
});

export type AuditPage = z.output<typeof auditPage>;

const finding = z.looseObject({
  rule: z.string(),
  severity: z.enum(['error', 'warning']),
  sentence: z.string(),
  found: z.string(),
  source: z.string(),
  fix: z.string(),
});

export type FindingView = z.output<typeof finding>;

const lintedCertificate = z.looseObject({
  user: z.string().optional(),
  serial: z.string(),
  role: z.string(),
  profile: z.string().optional(),
  revoked: z.boolean(),
  findings: z.array(finding),
});

export type LintedCertificate = z.output<typeof lintedCertificate>;

const lintedIssuer = z.looseObject({
  issuer: z.string(),
  findings: z.array(finding),
  certificates: z.array(
    z.looseObject({ role: z.string(), subject: z.string(), serial: z.string(), findings: z.array(finding) }),
  ),
});

export type LintedIssuer = z.output<typeof lintedIssuer>;

export const lintPage = z.looseObject({
  certificates: z.array(lintedCertificate),
  issuers: z.array(lintedIssuer).optional(),
  next: z.string().optional(),
});

export type LintPage = z.output<typeof lintPage>;

/** DER, base64, as all certificates of the API. */
const chain = { certificate: z.base64(), chain: z.array(z.base64()) };

export const certificateChain = z.looseObject({ serial: z.string(), ...chain });

export type CertificateChain = z.output<typeof certificateChain>;

export const deviceView = z.looseObject({
  id: z.string(),
  user: z.string(),
  device: z.string(),
  state: z.enum(['waiting', 'issued', 'revoked', 'withdrawn', 'expired']),
  reason: z.string().optional(),
  serial: z.string().optional(),
  notAfter: z.string().optional(),
  certificate: chain.certificate.optional(),
  chain: chain.chain.optional(),
});

export type DeviceView = z.output<typeof deviceView>;

/** Google's shape of an error; `details[0].reason` is the product's own code. */
export const errorAnswer = z.object({
  error: z.object({
    message: z.string(),
    details: z.array(z.looseObject({ reason: z.string().optional() })).optional(),
  }),
});
