import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { explainUser } from '../../functions/admin/explain.ts';
import { googleDirectory } from '../../shared/adapters/directory/google-directory.ts';
import { googleError, ScriptedServer } from '../adapters/scripted-server.ts';
import { failureOf, TestBearer, testRetry } from '../adapters/world.ts';

describe('an admin who asks for somebody whom the ledger does not know', () => {
  const server = new ScriptedServer();
  beforeAll(() => server.start());
  afterAll(() => server.stop());

  const explain = (name: string) =>
    explainUser(
      {
        directory: googleDirectory({
          bearer: new TestBearer(),
          endpoints: { rootUrl: server.rootUrl },
          retry: testRetry().settings,
        }),
        ledger: { userIdOfAddress: async () => undefined, readUser: async () => undefined } as never,
      } as never,
      name,
    );

  it.each(['ana', 'ana smith@acme.example', '@acme.example', '0'.repeat(22), '../users', 'a@b'])(
    'is told that nobody is called "%s", and Google is not asked',
    async (name) => {
      server.play(() => googleError(500, 'backendError', 'asked'));
      expect(await failureOf(explain(name))).toMatchObject({ code: 'not-found' });
      expect(server.asked).toEqual([]);
    },
  );

  it.each(['nobody@acme.example', '161803398874989484821'])(
    'is told the same of %s where Google takes that for no key of a user (400)',
    async (name) => {
      server.play(() => googleError(400, 'invalid', 'Type not supported: userKey'));
      expect(await failureOf(explain(name))).toMatchObject({ code: 'not-found' });
      expect(server.asked).toHaveLength(1);
    },
  );

  it('is told what failed where Google refuses another question, or this one for another reason', async () => {
    server.play(({ path }) =>
      path.endsWith('/users')
        ? googleError(400, 'invalid', 'Invalid Input')
        : googleError(404, 'notFound', 'Resource Not Found: userKey'),
    );
    expect(await failureOf(explain('nobody@acme.example'))).toMatchObject({ code: 'directory-refused' });
    server.play(() => googleError(403, 'forbidden', 'Not Authorized to access this resource/api'));
    expect(await failureOf(explain('nobody@acme.example'))).toMatchObject({ code: 'directory-refused' });
  });
});
