/**
 * The sample company's cloud project, as `terraform/` would make it: accounts and their grants, topics and
 * subscriptions, secrets and their readers, the bucket, the functions' fronts, the schedule.
 */
import { join } from 'node:path';
import { kaclsMethod } from '../emulator/cloud-run/index.ts';
import type { EmulatorOptions } from '../emulator/emulator.ts';
import type { GivenSubscription } from '../emulator/pubsub/index.ts';
import { pubsubServiceAgent } from '../emulator/pubsub/index.ts';
import { FUNCTION_NAMES, type FunctionName } from '../shared/domain/function-names.ts';
import { ACCOUNTS, COMPANY, loopbackUrl, PORT_OFFSETS, TOPICS } from './company.ts';
import { functionUrl } from './environment.ts';

const GMAIL_SCOPE = 'https://www.googleapis.com/auth/gmail.settings.basic';
const INSERT_SCOPE = 'https://www.googleapis.com/auth/gmail.insert';
/** What the key file of the ready line may do for any user of the domain. */
const TOOL_SCOPES = [
  GMAIL_SCOPE,
  'https://www.googleapis.com/auth/gmail.settings.sharing',
  'https://www.googleapis.com/auth/gmail.readonly',
  'https://www.googleapis.com/auth/admin.directory.user',
  'https://www.googleapis.com/auth/admin.directory.user.readonly',
  'https://www.googleapis.com/auth/admin.directory.user.alias',
  'https://www.googleapis.com/auth/admin.directory.orgunit',
  'https://www.googleapis.com/auth/admin.directory.group',
  'https://www.googleapis.com/auth/admin.reports.audit.readonly',
];

const member = (email: string) => `serviceAccount:${email}`;

export interface DeploymentOptions {
  readonly portBase: number;
  readonly stateDir: string;
  readonly clockFile: string;
  readonly sockets: Readonly<Record<FunctionName, string>>;
  readonly mailboxDelayMs?: number | undefined;
}

/** Who may invoke a private function; `public` ones are open to the internet and check callers themselves. */
const INVOKERS: Readonly<Record<FunctionName, readonly string[] | 'public'>> = {
  'directory-watch': 'public',
  'key-service': 'public',
  ocsp: 'public',
  // Behind IAM in the cloud; here it takes the admin's own token alone, which it verifies whole.
  admin: 'public',
  'directory-event': [ACCOUNTS.push],
  due: [ACCOUNTS.scheduler],
  sweep: [ACCOUNTS.scheduler],
  sign: [ACCOUNTS.directoryEvent, ACCOUNTS.publishCrl],
  'publish-crl': [ACCOUNTS.push, ACCOUNTS.scheduler],
};

export function emulatorOptions(options: DeploymentOptions): EmulatorOptions {
  const { portBase } = options;
  return {
    port: portBase + PORT_OFFSETS.google,
    stateFile: join(options.stateDir, 'emulator.json'),
    clockFile: options.clockFile,
    directory: {
      customerId: COMPANY.customerId,
      domains: [COMPANY.domain],
      organizationNumber: COMPANY.organizationNumber,
      auditTopic: TOPICS.directoryEvents,
      roles: { [ACCOUNTS.directory]: 'read-only-and-reports' },
      mailboxDelayMs: options.mailboxDelayMs ?? 0,
    },
    identity: {
      projectId: COMPANY.project,
      projectNumber: COMPANY.projectNumber,
      region: COMPANY.region,
      domain: COMPANY.domain,
      identityProvider: COMPANY.identityProvider,
      serviceAccounts: serviceAccounts(),
      attached: { accounts: Object.values(ACCOUNTS), default: ACCOUNTS.tools },
    },
    pubsubBindings: [
      ...[ACCOUNTS.directoryWatch, ACCOUNTS.due, ACCOUNTS.sweep, ACCOUNTS.admin].map((email) =>
        publisher(TOPICS.directoryEvents, member(email)),
      ),
      ...[ACCOUNTS.directoryEvent, ACCOUNTS.due, ACCOUNTS.admin, ACCOUNTS.setUp].map((email) =>
        publisher(TOPICS.crlRequests, member(email)),
      ),
      {
        resource: `projects/${COMPANY.project}/subscriptions/dead-letters`,
        role: 'roles/pubsub.subscriber',
        members: [member(ACCOUNTS.admin)],
      },
      publisher(TOPICS.deadLetters, pubsubServiceAgent(COMPANY.projectNumber)),
      {
        resource: `projects/${COMPANY.project}`,
        role: 'roles/pubsub.subscriber',
        members: [pubsubServiceAgent(COMPANY.projectNumber)],
      },
      {
        resource: `projects/${COMPANY.project}`,
        role: 'roles/pubsub.editor',
        members: [member(ACCOUNTS.tools)],
      },
    ],
    secretBindings: [],
    // Whoever sets up the CA may make its key in Cloud KMS; `sign` alone uses it.
    kmsBindings: [
      { role: 'roles/cloudkms.admin', members: [member(ACCOUNTS.setUp)] },
      { role: 'roles/cloudkms.signerVerifier', members: [member(ACCOUNTS.setUp), member(ACCOUNTS.sign)] },
    ],
    buckets: [
      {
        name: COMPANY.bucket,
        publicRead: true,
        objectAdmins: [ACCOUNTS.publishCrl, ACCOUNTS.setUp],
      },
    ],
    publicSite: {
      bucket: COMPANY.bucket,
      port: portBase + PORT_OFFSETS.pki,
      // As the load balancer's rule: everything else is an object of the bucket.
      services: { '/ocsp': loopbackUrl(portBase, 'ocsp') },
    },
    hosts: { [COMPANY.pkiHost]: loopbackUrl(portBase, 'pki') },
    services: FUNCTION_NAMES.map((name) => {
      const invokers = INVOKERS[name];
      const url = functionUrl(portBase, name);
      return {
        name,
        port: Number(new URL(url).port),
        socketPath: options.sockets[name],
        access: invokers === 'public' ? invokers : { invokers, audiences: [url] },
        ...(name === 'key-service' ? { methodOf: kaclsMethod } : {}),
      };
    }),
    jobs: [
      job('due', '* * * * *', functionUrl(portBase, 'due')),
      job('sweep', '* * * * *', functionUrl(portBase, 'sweep')),
      job('publish-crl', '0 */6 * * *', functionUrl(portBase, 'publish-crl')),
    ],
  };
}

/** Subscriptions by full name. */
export function subscriptions(portBase: number): Readonly<Record<string, GivenSubscription>> {
  const push = (name: FunctionName, topic: string): GivenSubscription => ({
    topic,
    ackDeadlineSeconds: 600,
    expirationPolicy: {},
    pushConfig: {
      pushEndpoint: `${functionUrl(portBase, name)}/`,
      oidcToken: { serviceAccountEmail: ACCOUNTS.push, audience: functionUrl(portBase, name) },
    },
    // Shorter than in the cloud, where it is 10 s to 600 s: people wait for this one.
    retryPolicy: { minimumBackoff: '0.5s', maximumBackoff: '10s' },
    deadLetterPolicy: { deadLetterTopic: TOPICS.deadLetters, maxDeliveryAttempts: 100 },
  });
  const name = (id: string) => `projects/${COMPANY.project}/subscriptions/${id}`;
  return {
    [name('directory-events-push')]: push('directory-event', TOPICS.directoryEvents),
    [name('crl-requests-push')]: push('publish-crl', TOPICS.crlRequests),
    [name('dead-letters')]: { topic: TOPICS.deadLetters, expirationPolicy: {}, ackDeadlineSeconds: 60 },
  };
}

function serviceAccounts(): EmulatorOptions['identity']['serviceAccounts'] {
  return Object.values(ACCOUNTS).map((email) => {
    if (email === ACCOUNTS.gmail) {
      return { email, delegatedScopes: [GMAIL_SCOPE], tokenCreators: [ACCOUNTS.directoryEvent] };
    }
    if (email === ACCOUNTS.directory) {
      return {
        email,
        tokenCreators: [ACCOUNTS.directoryEvent, ACCOUNTS.due, ACCOUNTS.sweep, ACCOUNTS.admin],
      };
    }
    if (email === ACCOUNTS.migration) {
      return { email, delegatedScopes: [INSERT_SCOPE], tokenCreators: [ACCOUNTS.setUp] };
    }
    return email === ACCOUNTS.tools ? { email, delegatedScopes: TOOL_SCOPES } : { email };
  });
}

const publisher = (resource: string, who: string) => ({
  resource,
  role: 'roles/pubsub.publisher' as const,
  members: [who],
});

const job = (name: string, schedule: string, url: string): EmulatorOptions['jobs'][number] => ({
  name,
  schedule,
  target: { url: `${url}/`, oidc: { serviceAccountEmail: ACCOUNTS.scheduler, audience: url } },
  retry: { count: 3, minBackoff: '5s' },
});
