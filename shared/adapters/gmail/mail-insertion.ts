/**
 * Inserting messages of a migration, as the user whose mailbox it is.
 * https://developers.google.com/workspace/gmail/api/reference/rest/v1/users.messages/insert
 */
import { gmail } from 'googleapis/build/src/apis/gmail/index.js';
import { retryable } from '../../errors.ts';
import type { MailInsertion } from '../../ports/mail-insertion.ts';
import { callGoogle } from '../google/call.ts';
import { GoogleCallError } from '../google/call-error.ts';
import { restRoot } from '../google/endpoints.ts';
import { withToken } from '../google/rest-options.ts';
import { gmailFailure } from './failure.ts';
import type { GoogleGmailOptions } from './google-gmail.ts';

/** The only scope it needs: it can put messages in and read nothing. */
export const INSERT_SCOPES = ['https://www.googleapis.com/auth/gmail.insert'] as const;

export function googleMailInsertion({ credentials, endpoints, retry }: GoogleGmailOptions): MailInsertion {
  const { messages } = gmail({ version: 'v1', retry: false, ...restRoot(endpoints) }).users;
  return {
    async insertMessage(mailbox, message) {
      const method = 'gmail.users.messages.insert';
      try {
        const { data } = await callGoogle(
          // Gmail would insert it twice: repeated only after an answer that says it did nothing.
          { method, repeatable: 'without-effect', retry },
          credentials.forUser(mailbox),
          (token) =>
            messages.insert(
              {
                userId: 'me',
                internalDateSource: 'dateHeader',
                fields: 'id',
                media: { mimeType: 'message/rfc822', body: Buffer.from(message) },
              },
              // Google's client takes the root of an upload from the call alone, not from the service.
              { ...withToken(token, retry), ...restRoot(endpoints) },
            ),
        );
        if (data.id) return data.id;
      } catch (error) {
        if (!(error instanceof GoogleCallError)) throw error;
        throw gmailFailure(error, 'Inserting a message', mailbox);
      }
      throw retryable('gmail-unavailable', 'Gmail answered an inserted message without an id.');
    },
  };
}
