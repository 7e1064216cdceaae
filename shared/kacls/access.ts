/**
 * What a gate is. Each endpoint is composed with one and is reached only through it:
 *
 * | gate               | who comes                                          | brings                                       |
 * |--------------------|----------------------------------------------------|----------------------------------------------|
 * | `forUser`          | a person at one of Google's clients                | a token of their identity provider, one of Google |
 * | `forMigration`     | Google, while a customer changes the key service   | a token of Google                            |
 * | `forAdmin`         | a person on a list, for one privileged endpoint    | a token of an identity provider for admins   |
 * | `forAdminOrKeyService` | the same, or another key service on a list     | that, or a token the other service signed    |
 * | `forWrapCaller`    | a service account of ours on a list                | an ID token of Google                        |
 * | `forAnybody`       | everybody                                          | nothing                                      |
 *
 * A gate throws `unauthenticated` for what is wrong with the authentication token, `forbidden` for everything about
 * the authorization token and about what the two say together (both permanent), and `too-many-requests` (retryable)
 * as soon as the caller is known and has used up their rate.
 */
import { permanent } from '../errors.ts';
import type { Note } from './audit.ts';
import type { KeyServiceContext } from './context.ts';
import type { RequestBody } from './fields.ts';
import type { AuthenticationIssuer } from './settings.ts';
import { type Claims, refuse, type TokenField, type TrustedIssuer } from './tokens.ts';

export interface KeyServiceRequest {
  readonly body: RequestBody;
  /** Adds facts to the audit line; only what has been verified goes in. */
  readonly note: Note;
}

export type Operation<Caller> = (
  request: KeyServiceRequest,
  caller: Caller,
  context: KeyServiceContext,
) => Promise<Readonly<Record<string, unknown>>>;

export type GatedOperation = (
  request: KeyServiceRequest,
  context: KeyServiceContext,
) => Promise<Readonly<Record<string, unknown>>>;

export function forAnybody(
  operation: (context: KeyServiceContext) => Promise<Readonly<Record<string, unknown>>>,
): GatedOperation {
  return (_request, context) => operation(context);
}

export const trusted = ({ issuer, jwksUrl, audiences }: AuthenticationIssuer): TrustedIssuer => ({
  issuer,
  audiences,
  keys: jwksUrl,
});

/** A claim that must be a non-empty string. Throws as a token that cannot be accepted does. */
export function textClaim(claims: Claims, field: TokenField, name: string): string {
  const value = claims[name];
  if (typeof value === 'string' && value !== '') return value;
  throw refuse(field, `The ${field} token needs the claim "${name}", a non-empty string.`);
}

export const forbidden = (message: string) => permanent('forbidden', message);
