import assert from 'node:assert/strict';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { test } from 'node:test';
import { testAuthority } from '../../test/support/certificates.ts';
import { askControl } from './control-client.ts';

test('who answers a byte now and then is not waited for', async (t) => {
  const server = createServer(await (await testAuthority()).issue('somebody'), (request, response) => {
    request.resume();
    response.writeHead(200);
    const timer = setInterval(() => response.write(' '), 5);
    response.once('close', () => clearInterval(timer));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  const url = `https://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const asked = askControl({ method: 'GET', url, path: '/', ca: undefined, deadlineMs: 200 });
  await assert.rejects(asked, { name: 'CommandError', message: /cannot be asked/ });
});
