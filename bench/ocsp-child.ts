/**
 * One server of `bench/ocsp.ts` in a process of its own, behind the functions framework: `bare` gives out constant bytes and does
 * nothing else, `ocsp` is the responder over answers signed ahead of time. Told which by its argument; tells its parent the port and
 * what to ask.
 */
import type { AddressInfo } from 'node:net';
import { http } from '@google-cloud/functions-framework';
import { getTestServer } from '@google-cloud/functions-framework/testing';
import { createOcsp } from '../functions/ocsp.ts';
import { asHttpFunction } from '../functions/wire/http.ts';
import { encodeOcspRequest, issuerHashes } from '../shared/pki/ocsp.ts';
import { drawSerial } from '../shared/pki/serial.ts';
import { ocspStand } from '../test/support/ocsp-stand.ts';

/** Certificates that are asked about, in turn. */
const SERIALS = 500;

const stand = await ocspStand({ now: new Date() });
const hashes = issuerHashes(stand.authority.issuing.certificateDer, 'sha256');
const requests: string[] = [];
let sample: Uint8Array = new Uint8Array();
for (let index = 0; index < SERIALS; index += 1) {
  const serialHex = drawSerial(stand.authority.random);
  await stand.answer(serialHex, { kind: 'good' });
  requests.push(Buffer.from(encodeOcspRequest('sha256', hashes, serialHex)).toString('base64'));
  sample = (await stand.answers.readOcspAnswer('issuing-1', serialHex, 'sha256'))?.answerDer ?? sample;
}

const log = { info: () => undefined, warning: () => undefined, error: () => undefined };
if (process.argv[2] === 'bare') {
  const body = Buffer.from(sample);
  http('bare', (_request, response) => {
    response.setHeader('content-type', 'application/ocsp-response');
    response.end(body);
  });
} else {
  const handler = createOcsp({ clock: { now: () => new Date() }, answers: stand.answers, log });
  http('ocsp', asHttpFunction(handler, { name: 'ocsp', log, maxBodyBytes: 65_536 }));
}
const server = getTestServer(process.argv[2] ?? 'ocsp');
server.listen(0, '127.0.0.1', () => {
  process.send?.({ port: (server.address() as AddressInfo).port, requests });
});
// Asked for the processor time it has used, in microseconds.
process.on('message', () => {
  const { user, system } = process.cpuUsage();
  process.send?.({ cpuMicroseconds: user + system });
});
process.once('disconnect', () => process.exit(0));
