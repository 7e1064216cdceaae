import { invalidArgument } from '../core/google-error.ts';
import { WRITTEN_CIPHERS, type WrittenCipher } from './cms-oids.ts';
import type { Draft, SmimeForm } from './compose.ts';

const DRAFT_FIELDS = [
  'from',
  'to',
  'subject',
  'text',
  'sign',
  'encrypt',
  'smime',
  'cipher',
  'keyTransport',
  'signature',
];
const ADDRESS = /^[^\s@<>(),;:"[\]\\]+@[A-Za-z0-9.-]+$/;

/**
 * `sign` and `encrypt` are true unless given: that is what turning on encryption for a message does in Gmail. `smime` is
 * 3.2 (AES-256-CBC) or 4.0 (AES-256-GCM); `cipher`, `keyTransport` and `signature` say otherwise.
 */
export function readDraft(body: Readonly<Record<string, unknown>>): Draft {
  requireKnown(body, DRAFT_FIELDS);
  const { to, subject = '', text = '', sign = true, encrypt = true } = body;
  if (!Array.isArray(to) || to.length === 0)
    throw invalidArgument('to must be a list of at least one address.');
  if (typeof subject !== 'string' || /[\r\n]/.test(subject)) {
    throw invalidArgument('subject must be one line of text.');
  }
  if (typeof text !== 'string') throw invalidArgument('text must be text.');
  if (typeof sign !== 'boolean' || typeof encrypt !== 'boolean') {
    throw invalidArgument('sign and encrypt must be true or false.');
  }
  return {
    from: addressIn(body['from'], 'from'),
    to: [...new Set(to.map((address: unknown, index) => addressIn(address, `to[${index}]`)))],
    subject,
    text,
    sign,
    encrypt,
    form: readForm(body),
  };
}

/** Throws 400 for a field that is not among `known`. */
export function requireKnown(body: Readonly<Record<string, unknown>>, known: readonly string[]): void {
  const unknown = Object.keys(body).find((name) => !known.includes(name));
  if (unknown !== undefined)
    throw invalidArgument(`Unknown field "${unknown}"; known are ${known.join(', ')}.`);
}

/** Lower case; throws 400 naming the field. */
export function addressIn(value: unknown, name: string): string {
  if (typeof value === 'string' && ADDRESS.test(value)) return value.toLowerCase();
  throw invalidArgument(`${name} must be an address such as ana@acme.example.`);
}

function readForm(body: Readonly<Record<string, unknown>>): SmimeForm {
  const version = oneOf(body, 'smime', ['3.2', '4.0']);
  const ciphers = Object.keys(WRITTEN_CIPHERS) as WrittenCipher[];
  const preferred = version === '4.0' ? 'aes-256-gcm' : 'aes-256-cbc';
  const cipher = oneOf(body, 'cipher', [preferred, ...ciphers]);
  if (version === '3.2' && WRITTEN_CIPHERS[cipher].authenticated) {
    throw invalidArgument(`S/MIME 3.2 has no ${cipher}; give "smime": "4.0" as well.`);
  }
  return {
    cipher,
    keyTransport: oneOf(body, 'keyTransport', ['pkcs1', 'oaep']),
    signature: oneOf(body, 'signature', ['clear', 'opaque']),
  };
}

/** The first of `values` when the field is absent. */
function oneOf<const T extends string>(
  body: Readonly<Record<string, unknown>>,
  name: string,
  values: readonly [T, ...T[]],
): T {
  const given = body[name] ?? values[0];
  const found = values.find((value) => value === given);
  if (found === undefined) throw invalidArgument(`${name} must be ${[...new Set(values)].join(' or ')}.`);
  return found;
}
