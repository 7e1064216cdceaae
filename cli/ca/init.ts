import type { Command } from '../command.ts';
import { KEY_FLAGS } from './key-flags.ts';
import type { InitSurroundings } from './make-authority.ts';

export const caInit = (surroundings: InitSurroundings = {}): Command => ({
  name: 'ca init',
  summary: 'makes the CA: root key offline, issuing key into Secret Manager',
  operands: [],
  flags: {
    country: { kind: 'text', placeholder: 'DE', help: 'country of the company, two capital letters' },
    organization: { kind: 'text', placeholder: 'NAME', help: 'name of the company, printed into the CAs' },
    'pki-url': {
      kind: 'text',
      placeholder: 'URL',
      help: 'public address of CRL and CA certificates, plain http: http://pki.acme.example/',
    },
    'policy-oid': {
      kind: 'text',
      placeholder: 'OID',
      help: "certificate policy, under the company's enterprise number",
    },
    offline: { kind: 'text', placeholder: 'DIR', help: 'folder for the encrypted root key; carry it away' },
    'passphrase-file': {
      kind: 'text',
      placeholder: 'FILE',
      help: 'file with the passphrase of the root key (or SEALWRIGHT_ROOT_PASSPHRASE, or asked for)',
    },
    ...KEY_FLAGS,
    'reserved-policy-oid': {
      kind: 'text',
      placeholder: 'OID',
      help: 'a policy of the CA/Browser Forum beside it, only for a CA that is audited against their requirements',
    },
  },
  notes: [
    'In the environment: SEALWRIGHT_PROJECT, SEALWRIGHT_DATABASE_URL, SEALWRIGHT_BUCKET. It acts with Application Default Credentials ("gcloud auth application-default login"), which need roles/secretmanager.secretVersionAdder on the secret, roles/storage.objectAdmin on the bucket and roles/pubsub.publisher on the topic crl-requests.',
    'With --kms-key no issuing key is made: the key in Cloud KMS signs, and these credentials need roles/cloudkms.publicKeyViewer on it.',
    'A new ledger gets its tables. A ledger that has an active issuer is left alone and the command ends with 1.',
    'DIR gets root.key.pem (PKCS#8, PBES2: PBKDF2-HMAC-SHA256 with 600,000 iterations, AES-256-CBC) and trust/root.pem, root.crl, issuing.pem and admin-console.pem. Existing files are never overwritten.',
  ],
  // Loaded only here: no other command should pay for what makes certificates.
  async run(call) {
    const { makeAuthority } = await import('./make-authority.ts');
    return await makeAuthority(call, surroundings);
  },
});
