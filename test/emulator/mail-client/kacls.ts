/** A key service for tests: the wrapped key is the PKCS#8 itself, and tokens are only looked at. */
import {
  constants,
  createHash,
  createPrivateKey,
  createPublicKey,
  privateDecrypt,
  privateEncrypt,
} from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';

/** DER of DigestInfo up to the SHA-256 digest, RFC 8017 section 9.2 note 1. */
const SHA256_DIGEST_INFO = Buffer.from('3031300d060960864801650304020105000420', 'hex');

/** One call as the key service got it. */
export interface KaclsCall {
  readonly operation: string;
  readonly body: Readonly<Record<string, string>>;
}

/** What the test's token minter puts into `authorization`: the claims themselves, unsigned. */
export interface TestAuthorization {
  readonly email: string;
  readonly role: string;
  readonly keyPairId: string;
  readonly spkiHashBase64: string;
  readonly kaclsUrl: string;
  readonly messageId: string;
}

export class TestKacls {
  readonly calls: KaclsCall[] = [];
  /** Answered instead of the operation, as long as it is set. */
  refusal: { readonly status: number; readonly body: string } | undefined;

  readonly handle = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const chunks: Buffer[] = [];
    for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk);
    const operation = (request.url ?? '').replace('/v1/', '');
    const body = JSON.parse(Buffer.concat(chunks).toString()) as Record<string, string>;
    this.calls.push({ operation, body });
    const { status, answer } =
      this.refusal === undefined
        ? perform(operation, body)
        : { status: this.refusal.status, answer: this.refusal.body };
    response.writeHead(status, { 'content-type': 'application/json' }).end(answer);
  };
}

export const authorizationOf = (call: KaclsCall | undefined): TestAuthorization =>
  JSON.parse(call?.body['authorization'] ?? '{}') as TestAuthorization;

function perform(operation: string, body: Record<string, string>): { status: number; answer: string } {
  const key = createPrivateKey({
    key: Buffer.from(body['wrapped_private_key'] ?? '', 'base64'),
    format: 'der',
    type: 'pkcs8',
  });
  const spki = createPublicKey(key).export({ type: 'spki', format: 'der' });
  const claims = JSON.parse(body['authorization'] ?? '{}') as TestAuthorization;
  const bytes = (field: string): Buffer => Buffer.from(body[field] ?? '', 'base64');
  if (claims.spkiHashBase64 !== createHash('sha256').update(spki).digest('base64')) {
    return {
      status: 403,
      answer: JSON.stringify({ code: 403, message: 'spki_hash is of another key.', details: '' }),
    };
  }
  if (operation === 'privatekeysign' && claims.role === 'signer' && body['algorithm'] === 'SHA256withRSA') {
    const padded = Buffer.concat([SHA256_DIGEST_INFO, bytes('digest')]);
    const signature = privateEncrypt({ key, padding: constants.RSA_PKCS1_PADDING }, padded);
    return { status: 200, answer: JSON.stringify({ signature: signature.toString('base64') }) };
  }
  if (operation === 'privatekeydecrypt' && claims.role === 'decrypter') {
    const oaep = /^RSA\/ECB\/OAEPwithSHA-(\d+)andMGF1Padding$/.exec(body['algorithm'] ?? '');
    const padding =
      oaep === null
        ? { padding: constants.RSA_PKCS1_PADDING }
        : { padding: constants.RSA_PKCS1_OAEP_PADDING, oaepHash: `sha${oaep[1]}` };
    const opened = privateDecrypt({ key, ...padding }, bytes('encrypted_data_encryption_key'));
    return { status: 200, answer: JSON.stringify({ data_encryption_key: opened.toString('base64') }) };
  }
  return {
    status: 403,
    answer: JSON.stringify({ code: 403, message: 'The role does not fit.', details: '' }),
  };
}
