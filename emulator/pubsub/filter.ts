/**
 * Pub/Sub's filter language over message attributes: `attributes:key`, `attributes.key = "value"`, `!=`,
 * `hasPrefix(attributes.key, "start")`, NOT (or `-`), AND, OR, parentheses. Operators are upper case, AND and OR are
 * not mixed without parentheses, a filter is at most 256 bytes.
 * https://docs.cloud.google.com/pubsub/docs/subscription-message-filter
 */
import { invalidArgument } from '../core/google-error.ts';

export type Attributes = Readonly<Record<string, string>>;
export type Filter = (attributes: Attributes) => boolean;

const MAX_BYTES = 256;
const TOKEN =
  /\s*(?:(?<string>"(?:[^"\\]|\\.)*")|(?<word>[A-Za-z0-9_][A-Za-z0-9_-]*)|(?<mark>!=|[=:.,()-]))/y;

interface Token {
  readonly kind: 'string' | 'word' | 'mark';
  readonly text: string;
}

/** The filter as a predicate; an empty one lets everything through. Throws 400 saying what is wrong and where. */
export function parseFilter(source: string): Filter {
  if (source.trim() === '') return () => true;
  if (Buffer.byteLength(source) > MAX_BYTES) {
    throw invalidArgument(
      `The filter is too long: ${Buffer.byteLength(source)} bytes, at most ${MAX_BYTES}.`,
    );
  }
  const reader = new Reader(tokens(source), source);
  const filter = reader.expression();
  reader.end();
  return filter;
}

function tokens(source: string): readonly Token[] {
  const found: Token[] = [];
  TOKEN.lastIndex = 0;
  while (source.slice(TOKEN.lastIndex).trim() !== '') {
    const at = TOKEN.lastIndex;
    const groups = TOKEN.exec(source)?.groups;
    if (groups === undefined) throw badFilter(source, `unexpected character at position ${at}`);
    const { string, word, mark } = groups;
    if (string !== undefined) found.push({ kind: 'string', text: unquote(string, source) });
    else if (word !== undefined) found.push({ kind: 'word', text: word });
    else found.push({ kind: 'mark', text: mark ?? '' });
  }
  return found;
}

function unquote(quoted: string, source: string): string {
  return quoted
    .slice(1, -1)
    .replace(/\\(u[0-9a-fA-F]{4}|x[0-9a-fA-F]{2}|[0-7]{3}|.)/gs, (_match, escaped: string) => {
      if (/^u./.test(escaped) || /^x./.test(escaped))
        return String.fromCharCode(Number.parseInt(escaped.slice(1), 16));
      if (/^[0-7]{3}$/.test(escaped)) return String.fromCharCode(Number.parseInt(escaped, 8));
      const plain = { n: '\n', t: '\t', r: '\r', '"': '"', "'": "'", '\\': '\\' }[escaped];
      if (plain === undefined) throw badFilter(source, `unknown escape \\${escaped}`);
      return plain;
    });
}

class Reader {
  readonly #tokens: readonly Token[];
  readonly #source: string;
  #next = 0;

  constructor(all: readonly Token[], source: string) {
    this.#tokens = all;
    this.#source = source;
  }

  expression(): Filter {
    const terms = [this.#term()];
    let operator: string | undefined;
    while (this.#isWord('AND') || this.#isWord('OR')) {
      const next = this.#take().text;
      if (operator !== undefined && next !== operator)
        throw badFilter(this.#source, 'AND and OR are mixed; group them with parentheses');
      operator = next;
      terms.push(this.#term());
    }
    return operator === 'OR'
      ? (attributes) => terms.some((term) => term(attributes))
      : (attributes) => terms.every((term) => term(attributes));
  }

  end(): void {
    const left = this.#tokens[this.#next];
    if (left !== undefined) throw badFilter(this.#source, `unexpected "${left.text}"`);
  }

  #term(): Filter {
    if (this.#isWord('NOT') || this.#isMark('-')) {
      this.#take();
      const negated = this.#term();
      return (attributes) => !negated(attributes);
    }
    if (this.#isMark('(')) {
      this.#take();
      const inner = this.expression();
      this.#mark(')');
      return inner;
    }
    if (this.#isWord('hasPrefix')) return this.#prefix();
    return this.#comparison();
  }

  #prefix(): Filter {
    this.#take();
    this.#mark('(');
    this.#word('attributes');
    this.#mark('.');
    const key = this.#key();
    this.#mark(',');
    const start = this.#string();
    this.#mark(')');
    return (attributes) => Object.hasOwn(attributes, key) && (attributes[key] ?? '').startsWith(start);
  }

  #comparison(): Filter {
    this.#word('attributes');
    if (this.#isMark(':')) {
      this.#take();
      const key = this.#key();
      return (attributes) => Object.hasOwn(attributes, key);
    }
    this.#mark('.');
    const key = this.#key();
    const operator = this.#take();
    if (operator.text !== '=' && operator.text !== '!=')
      throw badFilter(this.#source, `"=" or "!=" expected, not "${operator.text}"`);
    const value = this.#string();
    const equal: Filter = (attributes) => Object.hasOwn(attributes, key) && attributes[key] === value;
    return operator.text === '=' ? equal : (attributes) => !equal(attributes);
  }

  #key(): string {
    const token = this.#take();
    if (token.kind === 'mark')
      throw badFilter(this.#source, `an attribute key expected, not "${token.text}"`);
    return token.text;
  }

  #string(): string {
    const token = this.#take();
    if (token.kind !== 'string')
      throw badFilter(this.#source, `a quoted value expected, not "${token.text}"`);
    return token.text;
  }

  #word(expected: string): void {
    const token = this.#take();
    if (token.kind !== 'word' || token.text !== expected)
      throw badFilter(this.#source, `"${expected}" expected, not "${token.text}"`);
  }

  #mark(expected: string): void {
    const token = this.#take();
    if (token.kind !== 'mark' || token.text !== expected)
      throw badFilter(this.#source, `"${expected}" expected, not "${token.text}"`);
  }

  #isWord(text: string): boolean {
    const token = this.#tokens[this.#next];
    return token?.kind === 'word' && token.text === text;
  }

  #isMark(text: string): boolean {
    const token = this.#tokens[this.#next];
    return token?.kind === 'mark' && token.text === text;
  }

  #take(): Token {
    const token = this.#tokens[this.#next];
    if (token === undefined) throw badFilter(this.#source, 'it ends too early');
    this.#next += 1;
    return token;
  }
}

const badFilter = (source: string, why: string) =>
  invalidArgument(`Invalid filter given (filter=${source}): ${why}.`);
