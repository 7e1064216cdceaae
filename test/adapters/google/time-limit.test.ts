import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { googleDirectory } from '../../../shared/adapters/directory/google-directory.ts';
import { googleGmail } from '../../../shared/adapters/gmail/google-gmail.ts';
import { delegatedCredentials } from '../../../shared/adapters/google/delegated-credentials.ts';
import { pubsubBus } from '../../../shared/adapters/pubsub/pubsub-bus.ts';
import { secretManager } from '../../../shared/adapters/secret-manager/secret-manager.ts';
import { storageBucket } from '../../../shared/adapters/storage/storage-bucket.ts';
import { ScriptedServer } from '../scripted-server.ts';
import { failureOf, TestBearer, testIdentity, testRetry } from '../world.ts';

describe('a Google that takes a request and never answers', () => {
  const server = new ScriptedServer();
  beforeAll(async () => {
    await server.start();
    server.play(() => ({ silent: true }));
  });
  afterAll(() => server.stop());

  const world = () => ({
    retry: testRetry({ attempts: 2, attemptTimeoutMs: 60 }).settings,
    endpoints: { rootUrl: server.rootUrl },
    own: testIdentity(),
    bearer: new TestBearer(),
    projectId: 'acme',
    bucket: 'pki',
  });

  it.each<[string, string, () => Promise<unknown>]>([
    ['the directory', 'directory-unavailable', () => googleDirectory(world()).presence('101')],
    [
      'Gmail',
      'gmail-unavailable',
      () =>
        googleGmail({ ...world(), credentials: { forUser: () => new TestBearer() } }).listKeypairs(
          'ana@acme.example',
        ),
    ],
    ['the bus', 'bus-unavailable', () => pubsubBus(world()).requestCrl('issuing-1')],
    [
      'Secret Manager',
      'secrets-unavailable',
      () => secretManager(world()).read('projects/p/secrets/s/versions/1'),
    ],
    ['the bucket', 'storage-unavailable', () => storageBucket(world()).read('crl')],
    [
      'the token endpoint',
      'directory-unavailable',
      () => {
        const credentials = delegatedCredentials({
          ...world(),
          own: new TestBearer(),
          signerEmail: 's@x',
          scopes: ['a'],
        });
        return googleDirectory({ ...world(), bearer: credentials.forAccount() }).presence('101');
      },
    ],
  ])('is given up on and tried again later: %s → %s', async (_name, code, call) => {
    const error = await failureOf(call());
    expect(error).toMatchObject({ kind: 'retryable', code });
    expect(error.message).toMatch(/gave no answer/);
  });
});
