import { describe, expect, it } from 'vitest';
import {
  clearSignedEntity,
  multipartParts,
  readEntity,
  textEntity,
} from '../../../emulator/mail-client/mime.ts';

describe('multipartParts', () => {
  it('gives each part byte for byte, without the line end before a boundary', () => {
    const body = Buffer.from(
      'preamble\r\n--b\r\nA: 1\r\n\r\none\r\n\r\n--b  \r\n\r\ntwo\r\n--b--\r\nepilogue',
      'latin1',
    );
    expect(multipartParts(body, 'b').map(String)).toEqual(['A: 1\r\n\r\none\r\n', '\r\ntwo']);
  });

  it('is not misled by a boundary that begins like another, or holds signs of regular expressions', () => {
    const body = Buffer.from('--a+b\r\n\r\n--a+bc\r\n\r\ninner\r\n--a+bc--\r\n--a+b--\r\n');
    expect(multipartParts(body, 'a+b').map(String)).toEqual(['\r\n--a+bc\r\n\r\ninner\r\n--a+bc--']);
  });

  it('gives back what clearSignedEntity was given', () => {
    const entity = textEntity('one\n\ntwo\n');
    const { body, contentType, parameters } = readEntity(clearSignedEntity(entity, Buffer.from('signature')));
    expect(contentType).toBe('multipart/signed');
    const [content, signature] = multipartParts(body, parameters['boundary'] ?? '');
    expect(content).toEqual(entity);
    expect(readEntity(signature ?? Buffer.alloc(0)).contentType).toBe('application/pkcs7-signature');
  });
});

describe('readEntity', () => {
  it('unfolds headers, takes the first of a name, and reads an entity without headers', () => {
    const entity = readEntity(Buffer.from('Subject: a\r\n b\r\nSubject: c\r\n\r\nbody'));
    expect(entity.headers.get('subject')).toBe('a b');
    expect(entity.body.toString()).toBe('body');
    expect(readEntity(Buffer.from('\r\nbody'))).toMatchObject({ contentType: 'text/plain' });
  });
});
