import { type AdminDeps, createAdmin } from '../../functions/admin.ts';
import type { HttpHandler } from '../../functions/wire/http.ts';
import { permanent } from '../../shared/errors.ts';
import type { World } from './fakes/world.ts';
import { inForce } from './policy.ts';

/** Who calls when nobody else is named. */
const ADMIN = 'admin@acme.example';

/**
 * The admin function over the fake world, with the policy of the fake world in force. Every token is the one admin's; with
 * `tokens`, each is that of the admin it is mapped to, and any other has expired.
 */
export function adminOver(
  world: World,
  { tokens, ...others }: Partial<AdminDeps> & { readonly tokens?: Readonly<Record<string, string>> } = {},
): HttpHandler {
  return createAdmin({
    ...world,
    policies: inForce(world.deps.policy),
    hintsPerMinute: 400,
    admins: tokens === undefined ? [ADMIN] : Object.values(tokens),
    audiences: ['https://admin.acme.example'],
    idTokens: {
      verify: async (token) => {
        const email = tokens === undefined ? ADMIN : tokens[token];
        if (email === undefined)
          throw permanent('unauthenticated', 'The token has expired; get a fresh one.');
        return { email, subject: email, hostedDomain: 'acme.example' };
      },
    },
    ...others,
  });
}
