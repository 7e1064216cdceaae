/**
 * Every setting of every function: one schema over the environment, read once at start, frozen. This file is the only
 * reader of the environment. A function needs only some of them and says which; a missing one stops the start with a
 * sentence that names it. New settings work when absent, so that code can be deployed before configuration.
 */
import { z } from 'zod';
import { invalidInput } from '../errors.ts';

const list = z
  .string()
  .default('')
  .transform((text) =>
    text
      .split(',')
      .map((entry) => entry.trim())
      .filter((entry) => entry !== ''),
  );

const addresses = list.transform((entries) => entries.map((entry) => entry.toLowerCase()));

const json = (absent: string) =>
  z
    .string()
    .default(absent)
    .transform((text, context) => {
      try {
        return JSON.parse(text) as unknown;
      } catch {
        context.addIssue({ code: 'custom', message: 'is no JSON' });
        return z.NEVER;
      }
    });

/** As `json`, and nothing where the setting is absent or empty, which is how Terraform says that. */
const optionalJson = z
  .string()
  .optional()
  .transform((text, context) => {
    if (text === undefined || text.trim() === '') return undefined;
    try {
      return JSON.parse(text) as unknown;
    } catch {
      context.addIssue({ code: 'custom', message: 'is no JSON' });
      return z.NEVER;
    }
  });

/** Counts and seconds; `burst` calls at once after a pause. */
const rateLimit = optionalJson.pipe(
  z.strictObject({ burst: z.number().min(1), perSecond: z.number().positive() }).optional(),
);

const authenticationIssuers = json('[]').pipe(
  z.array(z.strictObject({ issuer: z.string(), jwksUrl: z.url(), audiences: z.array(z.string()).min(1) })),
);

const schema = z.object({
  /** Google Cloud project id. */
  SEALWRIGHT_PROJECT: z.string().optional(),
  /** Path of the policy file. Wrong: the function does not start. */
  SEALWRIGHT_POLICY_FILE: z.string().optional(),
  /** `postgres://…` of the ledger. */
  SEALWRIGHT_DATABASE_URL: z.string().optional(),
  /** Root address of an emulator with a trailing slash; absent in production, where Google's own addresses are used. */
  SEALWRIGHT_GOOGLE_ROOT_URL: z.url().optional(),
  /** Holds the emulator's clock offset in milliseconds; absent in production. */
  SEALWRIGHT_CLOCK_OFFSET_FILE: z.string().optional(),
  /** The service account this function runs as, where several share a process; absent: the attached one. */
  SEALWRIGHT_SERVICE_ACCOUNT: z.string().optional(),
  /**
   * Whose Google credentials: `metadata-server` (default), as in the cloud, or `application-default`, Google's search
   * on an admin's own machine. Wrong: no tokens.
   */
  SEALWRIGHT_CREDENTIALS: z.enum(['metadata-server', 'application-default']).default('metadata-server'),
  /** `true` where Cloud Run's IAM verifies callers and strips their signatures. Wrong `true`: anybody may forge a caller. */
  SEALWRIGHT_BEHIND_IAM: z.enum(['true', 'false']).default('false'),
  /** Audience of the tokens that callers of this function carry; normally its own address. */
  SEALWRIGHT_AUDIENCE: z.string().optional(),
  /** Service accounts that may call this function, comma-separated. */
  SEALWRIGHT_CALLERS: addresses,
  /** Address of the function `sign`. */
  SEALWRIGHT_SIGN_URL: z.url().optional(),
  /** The service account with domain-wide delegation, scope gmail.settings.basic only. */
  SEALWRIGHT_GMAIL_ACCOUNT: z.string().optional(),
  /** The service account with the custom read-only admin role in the directory. */
  SEALWRIGHT_DIRECTORY_ACCOUNT: z.string().optional(),
  /**
   * Address of an admin whom the directory's account acts for when it reads the Reports API, by domain-wide delegation. Absent or empty: it
   * reads as itself, by the privilege Reports of its own admin role.
   */
  SEALWRIGHT_REPORTS_ADMIN: z
    .union([z.literal(''), z.email()])
    .optional()
    .transform((address) => address || undefined),
  /** Number of the organization whose audit log the sink exports. Absent: entries of any organization are followed. */
  SEALWRIGHT_ORGANIZATION: z.string().regex(/^\d+$/).optional(),
  /** Public address of `directory-watch`. */
  SEALWRIGHT_WATCH_URL: z.url().optional(),
  /** Bucket behind the public CRL address. */
  SEALWRIGHT_BUCKET: z.string().optional(),
  /** Full name of the secret that takes the keys of OCSP signers. Absent: no answers are signed. */
  SEALWRIGHT_OCSP_KEY_SECRET: z.string().optional(),
  /** Full name of the secret that takes the keys of audit signers. Absent: the audit trail gets no signed checkpoints. */
  SEALWRIGHT_AUDIT_KEY_SECRET: z.string().optional(),
  /** Forward proxy for fetching our own public addresses over plain HTTP. Absent: straight to them. */
  SEALWRIGHT_PUBLIC_HTTP_PROXY: z.url().optional(),
  /** Admins of this service, comma-separated addresses. Empty: nobody is. */
  SEALWRIGHT_ADMINS: addresses,
  /** Audiences an admin's ID token may carry, comma-separated. */
  SEALWRIGHT_ADMIN_AUDIENCES: list,
  /** How long a lease lasts without a heartbeat, seconds. Default 60. Shorter: a dead worker is replaced sooner. */
  SEALWRIGHT_LEASE_SECONDS: z.coerce.number().min(3).max(600).default(60),
  /** A sweep of everybody begins this many hours after the one before began. Default 6. Longer: lost events are repaired later. */
  SEALWRIGHT_SWEEP_INTERVAL_HOURS: z.coerce.number().min(0.1).max(168).default(6),
  /**
   * How long one invocation of the sweep reads, seconds. Default 480. More than the function's own time limit: its last
   * pages are read twice.
   */
  SEALWRIGHT_SWEEP_BUDGET_SECONDS: z.coerce.number().min(1).max(3_000).default(480),
  /** Gmail's view of a ready user is looked at after this many days at the latest. Default 7. */
  SEALWRIGHT_LOOK_BY_AGE_DAYS: z.coerce.number().min(1).max(365).default(7),
  /** Hints of `due` and of a rollout let out in a minute, together. Default 400, two thirds of the directory's quota (docs/scale.md). */
  SEALWRIGHT_HINTS_PER_MINUTE: z.coerce.number().int().min(1).max(100_000).default(400),
  /**
   * Calls to the Directory API that all instances make together in a minute. Default 2400, Google's own limit for one account
   * in one project. More: Google refuses some of them.
   */
  SEALWRIGHT_DIRECTORY_PER_MINUTE: z.coerce.number().int().min(60).max(1_000_000).default(2_400),
  /** Gmail's quota units that all instances spend together in a minute. Default 1200000, Google's limit for a project. */
  SEALWRIGHT_GMAIL_UNITS_PER_MINUTE: z.coerce.number().int().min(6_000).max(100_000_000).default(1_200_000),
  /** Folder with keys made elsewhere (docs/key-service.md). Absent: no rule may say `keySource: supplied` or `smart-card`. */
  SEALWRIGHT_KEY_FOLDER: z.string().optional(),
  /** The key service's registered address. For `due`: absent, nothing is wrapped again after a rotation. */
  SEALWRIGHT_KEY_SERVICE_URL: z.url().optional(),
  /** What wrapped keys are bound to; changing it makes all of them unreadable. */
  SEALWRIGHT_KEY_SERVICE_TENANT: z.string().optional(),
  /** Primary Workspace domain. */
  SEALWRIGHT_KEY_SERVICE_DOMAIN: z.string().optional(),
  /** JSON list of `{"issuer","jwksUrl","audiences":[…]}`. */
  SEALWRIGHT_KEY_SERVICE_IDENTITY_PROVIDERS: authenticationIssuers,
  /** Service accounts that may have keys wrapped, comma-separated. */
  SEALWRIGHT_KEY_SERVICE_WRAP_CALLERS: addresses,
  /** Service accounts that may have wrapped keys wrapped again after a rotation, besides those; comma-separated. */
  SEALWRIGHT_KEY_SERVICE_REWRAP_CALLERS: addresses,
  /** Full names of key-encryption key versions, in Secret Manager or Cloud KMS, newest first, comma-separated. */
  SEALWRIGHT_KEY_SERVICE_KEYS: list,
  /**
   * Full names of the versions of the key that signs the service's own tokens, newest first. Absent: certs, delegate and
   * rewrap are not served.
   */
  SEALWRIGHT_KEY_SERVICE_TOKEN_KEYS: list,
  /** Google applications served, comma-separated: drive, meet, calendar, gmail, gmail-sta. Absent or empty: all. */
  SEALWRIGHT_KEY_SERVICE_APPLICATIONS: z
    .string()
    .optional()
    .transform((text) => (text?.trim() ? text.split(',').map((entry) => entry.trim()) : undefined))
    .pipe(z.array(z.enum(['drive', 'meet', 'calendar', 'gmail', 'gmail-sta'])).optional()),
  /** JSON list as the identity providers': issuers whose tokens make somebody a key service admin. */
  SEALWRIGHT_KEY_SERVICE_ADMIN_PROVIDERS: authenticationIssuers,
  /** JSON `{"privilegedunwrap":["a@…"],…}`: who may use which privileged operation. Absent: nobody, none is served. */
  SEALWRIGHT_KEY_SERVICE_ADMINS: json('{}').pipe(
    z.strictObject({
      privilegedwrap: z.array(z.string()).optional(),
      privilegedunwrap: z.array(z.string()).optional(),
      privilegedprivatekeydecrypt: z.array(z.string()).optional(),
    }),
  ),
  /** Base addresses of key services that this one may fetch from when it takes over (rewrap). */
  SEALWRIGHT_KEY_SERVICE_MIGRATION_SOURCES: list,
  /** Base addresses of key services that may fetch from this one. */
  SEALWRIGHT_KEY_SERVICE_MIGRATION_TARGETS: list,
  /** `true`: people without a Google account are served. */
  SEALWRIGHT_KEY_SERVICE_GUESTS: z.enum(['true', 'false']).default('false'),
  /**
   * JSON list of `{"id","domains":[…],"emails":[…],"blockedEmails":[…],"claims":{"NAME":[…]}}`, all but the id optional: who
   * may use keys wrapped with that `perimeter_id`. Absent or empty: a perimeter means nothing beyond being the same at
   * wrap and use. Where there are some, one that is not named admits nobody.
   */
  SEALWRIGHT_KEY_SERVICE_PERIMETERS: optionalJson.pipe(
    z
      .array(
        z.strictObject({
          id: z.string(),
          domains: z.array(z.string()).optional(),
          emails: z.array(z.string()).optional(),
          blockedEmails: z.array(z.string()).optional(),
          claims: z.record(z.string(), z.array(z.string())).optional(),
        }),
      )
      .optional(),
  ),
  /** JSON `{"burst":300,"perSecond":10}`, which is the default: calls of one person at one instance. */
  SEALWRIGHT_KEY_SERVICE_USER_RATE_LIMIT: rateLimit,
  /** JSON `{"burst":1000,"perSecond":100}`, which is the default: calls of one admin, account or other key service at one instance. */
  SEALWRIGHT_KEY_SERVICE_PRIVILEGED_RATE_LIMIT: rateLimit,
  /** `true`: `SHA1withRSA` is served. Only for a peer that takes nothing else. */
  SEALWRIGHT_KEY_SERVICE_SHA1_SIGNING: z.enum(['true', 'false']).default('false'),
  /**
   * Hash of MGF1 in OAEP: `same` as the one the algorithm names (default), or `sha1`, as Java's default parameters have it.
   * Wrong: mail encrypted with OAEP does not open.
   */
  SEALWRIGHT_KEY_SERVICE_OAEP_MGF1: z.enum(['same', 'sha1']).default('same'),
  /** Where `keys feed` is read by a key service without a ledger: path or https address. Absent: the ledger is asked. */
  SEALWRIGHT_KEY_SERVICE_FEED: z.string().optional(),
  /** Public key of the feed, PEM; several may stand in one file. */
  SEALWRIGHT_KEY_SERVICE_FEED_KEY_FILE: z.string().optional(),
  /** Holds the value of the `Authorization` header with which the feed is fetched, where it takes one. */
  SEALWRIGHT_KEY_SERVICE_FEED_AUTHORIZATION_FILE: z.string().optional(),
  /** Folder in which verified feeds are kept; must outlive the container. */
  SEALWRIGHT_KEY_SERVICE_STATE: z.string().optional(),
  /** PEM chain and key, where TLS ends at the key service's own process. Absent: TLS ends in front of it. */
  SEALWRIGHT_TLS_CERTIFICATE_FILE: z.string().optional(),
  SEALWRIGHT_TLS_KEY_FILE: z.string().optional(),
  /** For the key service as a container. Default 8080. */
  PORT: z.coerce.number().int().min(0).max(65_535).default(8080),
  /** The revision's name, set by Cloud Run; shown by the key service's status. */
  K_REVISION: z.string().default('local'),
});

export type Settings = Readonly<z.output<typeof schema>>;

/** Throws `settings-invalid` naming every setting that does not fit. Values are not echoed: some are addresses of secrets. */
export function parseSettings(environment: Readonly<Record<string, string | undefined>>): Settings {
  const parsed = schema.safeParse(environment);
  if (parsed.success) return Object.freeze(parsed.data);
  const list = parsed.error.issues.map((issue) => `${issue.path.join('.')} ${issue.message}`);
  throw invalidInput('settings-invalid', `The settings do not fit: ${list.join('; ')}.`);
}

/** The setting, or a sentence saying that this function cannot start without it. */
export function need<K extends keyof Settings>(settings: Settings, name: K): NonNullable<Settings[K]> {
  const value = settings[name];
  if (value === undefined || value === '' || (Array.isArray(value) && value.length === 0)) {
    throw invalidInput(
      'settings-invalid',
      `The setting ${name} is missing; this function cannot start without it.`,
    );
  }
  return value as NonNullable<Settings[K]>;
}
