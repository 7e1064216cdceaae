import { expect, test } from 'vitest';
import { rememberingLast } from '../../shared/pki/last-read.ts';

const counting = () => {
  const read: string[] = [];
  const remembered = rememberingLast((bytes) => {
    const text = Buffer.from(bytes).toString();
    read.push(text);
    return { text };
  });
  return { read, of: (text: string) => remembered(Buffer.from(text)).text };
};

test('what was read from the same bytes is read once, also while four are read in turns', () => {
  const { read, of } = counting();
  for (let round = 0; round < 3; round += 1)
    for (const name of ['root', 'issuing-1', 'issuing-2', 'leaf']) expect(of(name)).toBe(name);
  expect(read).toEqual(['root', 'issuing-1', 'issuing-2', 'leaf']);
});

test('whoever has not been asked for longest is forgotten first', () => {
  const { read, of } = counting();
  for (const name of ['a', 'b', 'c', 'd', 'a', 'e', 'a', 'b']) expect(of(name)).toBe(name);
  expect(read).toEqual(['a', 'b', 'c', 'd', 'e', 'b']);
});

test('bytes that a caller overwrites afterwards are remembered as they were', () => {
  const remembered = rememberingLast((bytes) => Buffer.from(bytes).toString());
  const bytes = Buffer.from('before');
  remembered(bytes);
  bytes.write('after!');
  expect(remembered(bytes)).toBe('after!');
  expect(remembered(Buffer.from('before'))).toBe('before');
});
