import { createIdentity, type Identity, type IdentitySettings } from '../../../emulator/identity/index.ts';
import { People, person, type Serving, serve } from './serving.ts';

export const GMAIL_SCOPE = 'https://www.googleapis.com/auth/gmail.settings.basic';
export const DIRECTORY_SCOPE = 'https://www.googleapis.com/auth/admin.directory.user.readonly';
export const CLOUD_PLATFORM = 'https://www.googleapis.com/auth/cloud-platform';

const at = (name: string) => `${name}@acme-sealwright.iam.gserviceaccount.com`;
export const EVENTS = at('sealwright-directory-event');
export const GMAIL = at('sealwright-gmail');
export const OTHER = at('sealwright-sweep');
export const MIDDLE = at('sealwright-middle');

export const settings: IdentitySettings = {
  projectId: 'acme-sealwright',
  projectNumber: '411111111111',
  region: 'europe-west1',
  domain: 'acme.example',
  serviceAccounts: [
    { email: EVENTS },
    { email: OTHER },
    { email: MIDDLE, tokenCreators: [OTHER] },
    { email: GMAIL, delegatedScopes: [GMAIL_SCOPE], tokenCreators: [EVENTS, MIDDLE] },
  ],
  attached: { accounts: [EVENTS, OTHER], default: EVENTS },
  identityProvider: { issuer: 'https://idp.acme.example', clientId: 'gmail-client' },
};

export interface Company extends Serving<Identity> {
  readonly people: People;
}

/** The sample company with Ann (who has an alias), Bob and Cara. */
export async function openCompany(stateFile?: string): Promise<Company> {
  const people = new People(
    person('1001', 'ann@acme.example', { aliases: ['ann.old@acme.example'] }),
    person('1002', 'bob@acme.example'),
    person('1003', 'cara@acme.example'),
  );
  const serving = await serve(
    (context) => createIdentity(context, { accounts: people, settings }),
    stateFile,
  );
  return Object.assign(serving, { people });
}
