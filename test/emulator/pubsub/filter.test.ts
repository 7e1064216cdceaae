import { describe, expect, it } from 'vitest';
import { GoogleError } from '../../../emulator/core/google-error.ts';
import { parseFilter } from '../../../emulator/pubsub/filter.ts';

describe('the filter language', () => {
  const attributes = { kind: 'hint', 'iana.org/language_tag': 'de', quoted: 'say "hi"', empty: '' };

  it.each([
    ['', true],
    ['  ', true],
    ['attributes:kind', true],
    ['attributes:missing', false],
    ['attributes:toString', false],
    ['attributes:empty', true],
    ['attributes:"iana.org/language_tag"', true],
    ['attributes.kind = "hint"', true],
    ['attributes.kind="hint"', true],
    ['attributes.kind = "Hint"', false],
    ['attributes.kind != "hint"', false],
    ['attributes.kind != "wish"', true],
    ['attributes.missing != "anything"', true],
    ['attributes."iana.org/language_tag" = "de"', true],
    ['attributes.quoted = "say \\"hi\\""', true],
    ['attributes.kind = "\\u0068int"', true],
    ['attributes.kind = "\\x68\\151nt"', true],
    ['hasPrefix(attributes.kind, "hi")', true],
    ['hasPrefix(attributes.kind, "ho")', false],
    ['hasPrefix(attributes.missing, "")', false],
    ['NOT attributes:kind', false],
    ['NOT attributes:missing', true],
    ['-attributes:missing', true],
    ['NOT NOT attributes:kind', true],
    ['attributes:kind AND attributes:empty', true],
    ['attributes:kind AND attributes:missing', false],
    ['attributes:missing OR attributes:kind', true],
    ['attributes:missing OR attributes:absent', false],
    ['NOT attributes:missing AND attributes:kind', true],
    ['attributes:missing AND (attributes:absent OR attributes:kind)', false],
    ['(attributes:missing AND attributes:absent) OR attributes:kind', true],
    ['attributes:my-key', false],
  ])('reads %j as %s', (source, expected) => {
    expect(parseFilter(source)(attributes)).toBe(expected);
  });

  it.each([
    ['kind = "hint"', '"attributes" expected'],
    ['attributes', 'it ends too early'],
    ['attributes.', 'it ends too early'],
    ['attributes.kind', 'it ends too early'],
    ['attributes.kind = hint', 'a quoted value expected, not "hint"'],
    ["attributes.kind = 'hint'", 'unexpected character'],
    ['attributes.kind > "a"', 'unexpected character'],
    ['attributes.kind : "a"', '"=" or "!=" expected, not ":"'],
    ['attributes:kind and attributes:empty', 'unexpected "and"'],
    ['attributes:kind AND', 'it ends too early'],
    ['attributes:a AND attributes:b OR attributes:c', 'AND and OR are mixed'],
    ['(attributes:kind', 'it ends too early'],
    ['attributes:kind)', 'unexpected ")"'],
    ['hasPrefix(attributes.kind "a")', '"," expected'],
    ['hasPrefix(data, "a")', '"attributes" expected'],
    ['hasSuffix(attributes.kind, "a")', '"attributes" expected'],
    ['attributes.kind = "open', 'unexpected character'],
    ['attributes.kind = "\\q"', 'unknown escape \\q'],
    [`attributes.kind = "${'x'.repeat(256)}"`, 'at most 256'],
  ])('refuses %j', (source, sentence) => {
    const attempt = () => parseFilter(source);
    expect(attempt).toThrow(GoogleError);
    expect(attempt).toThrow(sentence);
  });
});
