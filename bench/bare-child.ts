/** A handler of the functions framework that reads its body, as every handler does, and says it is done. Told to nobody but its parent. */
import type { AddressInfo } from 'node:net';
import { http } from '@google-cloud/functions-framework';
import { getTestServer } from '@google-cloud/functions-framework/testing';

http('bare', (_request, response) => {
  response.statusCode = 204;
  response.end();
});
const server = getTestServer('bare');
server.listen(0, '127.0.0.1', () => process.send?.({ port: (server.address() as AddressInfo).port }));
// Asked for the processor time it has used, in microseconds.
process.on('message', () => {
  const { user, system } = process.cpuUsage();
  process.send?.({ cpuMicroseconds: user + system });
});
process.once('disconnect', () => process.exit(0));
