/**
 * Puts a message into a mailbox as it is, for migrations. Throws as `Gmail` does; an error whose `details.httpStatus` is 400 to
 * 499 says that nothing was inserted, with any other that is not known.
 */
export interface MailInsertion {
  /** RFC 5322 with CR LF line ends, at most 150 MiB; dated by its own Date header. Answers Gmail's message id. */
  insertMessage(mailbox: string, message: Uint8Array): Promise<string>;
}
