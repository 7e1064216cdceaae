/** Invoking a function's handler in this process, as Cloud Run does behind its IAM. */
import type { CallerRule } from '../../functions/wire/caller.ts';
import type { HttpHandler } from '../../functions/wire/http.ts';
import { permanent } from '../../shared/errors.ts';
import type { IdTokenVerifier } from '../../shared/ports/id-tokens.ts';

const AUDIENCE = 'https://function.acme.example/';
const CALLER = 'caller@acme.iam.gserviceaccount.com';

/** Behind Cloud Run the signature is gone from a token, and only its claims are read. */
export const tokenOf = ({ audience = AUDIENCE, email = CALLER } = {}): string =>
  [{ alg: 'RS256' }, { aud: audience, email, email_verified: true }, 'stripped']
    .map((part) => Buffer.from(JSON.stringify(part)).toString('base64url'))
    .join('.');

const TOKEN = tokenOf();

/** What each private function is made with. */
export const BEHIND_IAM: { readonly callers: CallerRule; readonly idTokens: IdTokenVerifier } = {
  callers: { behindIam: true, audience: AUDIENCE, emails: [CALLER] },
  idTokens: {
    verify: async () => {
      throw permanent('unauthenticated', 'Nobody verifies tokens here.');
    },
  },
};

/** One invocation. */
export const call = async (
  handler: HttpHandler,
  path = '/',
  body: object | '' = '',
  headers: Readonly<Record<string, string>> = {},
) =>
  handler({
    method: 'POST',
    path,
    query: new URLSearchParams(),
    headers: { authorization: `Bearer ${TOKEN}`, ...headers },
    body: Buffer.from(body === '' ? '' : JSON.stringify(body)),
  });

export const pushOf = (messageId: string, data: object): object => ({
  message: { messageId, data: Buffer.from(JSON.stringify(data)).toString('base64') },
});
