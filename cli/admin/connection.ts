/** Which admin API to talk to, and as whom. */
import { readFileSync } from 'node:fs';
import type { Call, Flag } from '../command.ts';
import { UsageError } from '../failure.ts';

export const CONNECTION_FLAGS = {
  'admin-url': {
    kind: 'text',
    placeholder: 'URL',
    help: 'address of the admin function (or SEALWRIGHT_ADMIN_URL)',
  },
  'token-file': {
    kind: 'text',
    placeholder: 'FILE',
    help: 'file with your ID token, read again for each request (or SEALWRIGHT_ADMIN_TOKEN)',
  },
} as const satisfies Readonly<Record<string, Flag>>;

/**
 * gcloud names its own client as audience for a person's token and takes `--audiences` for service accounts alone:
 * https://cloud.google.com/sdk/gcloud/reference/auth/print-identity-token
 */
export const HOW_TO_GET_A_TOKEN =
  'Get a token with "gcloud auth print-identity-token" (its audience, 32555940559.apps.googleusercontent.com, must be one of SEALWRIGHT_ADMIN_AUDIENCES), or as a service account with "gcloud auth print-identity-token --impersonate-service-account=ACCOUNT --include-email --audiences=ADMIN_URL".';

export const CONNECTION_NOTE = `The admin API checks your ID token. ${HOW_TO_GET_A_TOKEN} Put it into SEALWRIGHT_ADMIN_TOKEN, or into a file for --token-file.`;

export interface Connection {
  /** Ends in a slash. */
  readonly baseUrl: string;
  /** Read anew each time: a long wait outlives a token, and the file may be refreshed meanwhile. */
  token(): string;
}

/** Throws `UsageError` for what is missing or cannot be right. Never echoes a token. */
export function connectionOf(call: Pick<Call, 'text' | 'environment'>): Connection {
  const address = call.text('admin-url') ?? call.environment['SEALWRIGHT_ADMIN_URL'] ?? '';
  const file = call.text('token-file');
  const given = call.environment['SEALWRIGHT_ADMIN_TOKEN'] ?? '';
  const baseUrl = checkAddress(address);
  if (file === undefined && given === '') {
    throw new UsageError(`No ID token was given. ${HOW_TO_GET_A_TOKEN}`);
  }
  const token =
    file === undefined
      ? () => checkToken(given, 'SEALWRIGHT_ADMIN_TOKEN')
      : () => checkToken(readToken(file), file);
  // A file that is missing is said at once, not in the middle.
  token();
  return { baseUrl, token };
}

function checkAddress(address: string): string {
  if (address === '') {
    throw new UsageError(
      'The address of the admin API is missing: give --admin-url URL or set SEALWRIGHT_ADMIN_URL.',
    );
  }
  const url = URL.canParse(address) ? new URL(address) : undefined;
  if (url === undefined || !['http:', 'https:'].includes(url.protocol)) {
    throw new UsageError(`"${address}" is no address; write one such as https://admin.acme.example/.`);
  }
  if (url.username !== '' || url.password !== '' || url.search !== '' || url.hash !== '') {
    throw new UsageError('The address of the admin API has no user name, query or fragment.');
  }
  if (url.protocol === 'http:' && !isLoopback(url.hostname)) {
    throw new UsageError(
      `Your token would travel unencrypted to ${url.host}; use https (plain http is for this machine only).`,
    );
  }
  return url.href.endsWith('/') ? url.href : `${url.href}/`;
}

const isLoopback = (host: string): boolean => /^(localhost|127(\.\d{1,3}){3}|\[::1\])$/.test(host);

function readToken(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    throw new UsageError(`The token file ${file} cannot be read (${code ?? 'unknown reason'}).`, {
      cause: error,
    });
  }
}

function checkToken(text: string, source: string): string {
  const token = text.trim();
  if (/^[\w-]+\.[\w-]+\.[\w-]+$/.test(token)) return token;
  throw new UsageError(
    `What ${source} holds is no ID token (three base64url parts with dots between). ${HOW_TO_GET_A_TOKEN}`,
  );
}
