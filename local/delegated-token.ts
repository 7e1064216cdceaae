import { readFileSync } from 'node:fs';
import { importPKCS8, SignJWT } from 'jose';
import type { ReadyLine } from './system.ts';

/**
 * An access token that acts as `subject`, through the key file of the ready line: what an admin's own tool does with
 * a service account and domain-wide delegation. Valid for an hour of the emulator's clock.
 */
export async function delegatedToken(
  ready: Pick<ReadyLine, 'google' | 'serviceAccount'>,
  subject: string,
  scopes: readonly string[],
): Promise<string> {
  const file = JSON.parse(readFileSync(ready.serviceAccount, 'utf8')) as Record<string, string>;
  const { now } = (await (await fetch(new URL('_emulator/clock', ready.google))).json()) as { now: string };
  const seconds = Math.floor(Date.parse(now) / 1000);
  const assertion = await new SignJWT({ scope: scopes.join(' ') })
    .setProtectedHeader({ alg: 'RS256', typ: 'JWT', kid: file['private_key_id'] ?? '' })
    .setIssuer(file['client_email'] ?? '')
    .setSubject(subject)
    .setAudience(file['token_uri'] ?? '')
    .setIssuedAt(seconds)
    .setExpirationTime(seconds + 600)
    .sign(await importPKCS8(file['private_key'] ?? '', 'RS256'));
  const response = await fetch(file['token_uri'] ?? '', {
    method: 'POST',
    body: new URLSearchParams({ grant_type: 'urn:ietf:params:oauth:grant-type:jwt-bearer', assertion }),
  });
  const answer = (await response.json()) as { access_token?: string; error_description?: string };
  if (answer.access_token === undefined) {
    throw new Error(
      `No token to act as ${subject} (HTTP ${response.status}): ${answer.error_description ?? 'no reason given'}`,
    );
  }
  return answer.access_token;
}
