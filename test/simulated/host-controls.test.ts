/** A host that was told of another control process finds it when its own is gone, or silent. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { type TestContext, test } from 'node:test';
import { FakeControl } from '../support/fake-control.ts';
import { hostWorld } from '../support/host-world.ts';
import { until } from '../support/until.ts';

async function twoControls(t: TestContext) {
  const world = await hostWorld(t);
  const { control: first, hostId } = world;
  const tls = await world.authority.issue('bothy-control');
  const second = new FakeControl({ tls, cloudId: first.cloudId, hostId });
  await second.listen();
  t.after(() => second.close());
  const host = world.host({ configuration: { controlRetry: { retryFirstMs: 20, retryMaxMs: 100, silenceMs: 300 } } });
  await host.start();
  await until('the host to be connected', () => first.connections === 1 && host.status().control.state === 'open');
  const urls = [first, second].map(({ url }) => new URL(url.replace('wss', 'https')).origin);
  first.send({ type: 'controls', urls });
  return { world, first, second, host };
}

test('when its control is gone it dials the one that it was told of, also after a restart of the host process', async (t) => {
  const { world, first, second, host } = await twoControls(t);
  first.goAway();
  await until('the second control to have the host', () => second.connections === 1);
  await host.stop();
  const after = world.host();
  await after.start();
  await until('the second control to have it again', () => second.connections === 2);
  assert.ok(after.status().control.url.startsWith(second.url));
});

test('a control that is frozen is left for another within the time of a silence; when it goes on, its host is not there any more', async (t) => {
  const { first, second, host } = await twoControls(t);
  await until('the word to have come', () => host.status().control.state === 'open');
  first.freeze();
  await until('the second control to have the host', () => second.connections === 1);
  first.thaw();
  await until('the first to see the end', () => first.socket === undefined || first.socket.readyState > 1);
  assert.equal(host.status().control.state, 'open');
  assert.ok(host.status().control.url.startsWith(second.url));
});

test('a control that takes connections and says nothing is passed over: it is frozen', async (t) => {
  const { control, host: hostOf } = await hostWorld(t);
  const held: Socket[] = [];
  const frozen = createServer((socket) => void held.push(socket.on('error', () => {})));
  frozen.listen(0, '127.0.0.1');
  await once(frozen, 'listening');
  t.after(() => {
    for (const socket of held) socket.destroy();
    frozen.close();
  });
  const controlUrls = [`https://127.0.0.1:${(frozen.address() as AddressInfo).port}`, control.url];
  const controlRetry = { retryFirstMs: 20, retryMaxMs: 100, silenceMs: 300 };
  await hostOf({ configuration: { controlUrls, controlRetry } }).start();
  await until('the other to have the host', () => control.connections === 1, { timeoutMs: 8000 });
  assert.equal(held.length, 1);
});
