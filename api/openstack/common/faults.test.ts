import assert from 'node:assert/strict';
import { Readable } from 'node:stream';
import { test } from 'node:test';
import Fastify from 'fastify';
import { CloudError, errorCodes } from '../../../contract/errors.ts';
import { Refusal } from '../../boundary/refusal.ts';
import { speakFaults, statusOf, toFault } from './faults.ts';

test('every error code has an HTTP status, and no status has a code that there is not', () => {
  assert.deepEqual(Object.keys(statusOf).sort(), [...errorCodes].sort());
  for (const code of errorCodes) assert.ok(statusOf[code] >= 400 && statusOf[code] < 600, code);
});

test('what a caller is told of a cloud error is its code, message and details', () => {
  const fault = toFault(
    new Refusal('conflict', 'the name is taken', { details: { name: 'x' }, cause: new Error('sql') }),
  );
  assert.deepEqual(fault, { status: 409, code: 'conflict', message: 'the name is taken', details: { name: 'x' } });
  assert.equal(toFault(new Refusal('quota_exceeded', ''), { overrides: { quota_exceeded: 403 } }).status, 403);
});

test('what control refuses is said in the words of the dialect, and plainly where it has none', () => {
  const error = new CloudError('not_found', 'tag_not_found', { tag: 'blue' });
  const { reason, message, details } = toFault(error, { sentences: { tag_not_found: ({ tag }) => `No ${tag}.` } });
  assert.deepEqual([reason, message, details], ['tag_not_found', 'No blue.', { tag: 'blue' }]);
  assert.equal(toFault(error).message, 'tag not found (tag: blue)');
});

test('nothing of a defect reaches a caller', () => {
  for (const defect of [
    new Error('password=1'),
    new Refusal('internal', 'password=1', { details: { a: 1 } }),
    new CloudError('internal', 'migration_failed', { migration: 'password=1' }),
    'text',
  ]) {
    const fault = toFault(defect);
    assert.equal(fault.status, 500);
    assert.ok(!JSON.stringify(fault).includes('password'));
    assert.deepEqual(fault.details, {});
  }
});

test("the web framework's refusals keep their status, and only client errors are taken as such", () => {
  assert.equal(toFault(Object.assign(new Error('too big'), { statusCode: 413 })).code, 'too_large');
  assert.equal(toFault(Object.assign(new Error('bad'), { statusCode: 400 })).code, 'invalid');
  const brokenOff = Object.assign(new Error('aborted'), { code: 'ECONNRESET', statusCode: 400 });
  assert.equal(toFault(brokenOff).code, 'invalid', 'and no database is missing');
  assert.equal(toFault(Object.assign(new Error('odd'), { statusCode: 302 })).status, 500);
});

test('a body that is not wanted is dropped for a while, and then its sender is', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const app = Fastify({ bodyLimit: 10 });
  speakFaults(app, { body: ({ message }) => ({ message }) });
  app.post('/', () => '');
  const ended = Promise.withResolvers<void>();
  app.addHook('onRequest', async ({ raw }) => void raw.once('close', ended.resolve));
  const headers = { 'content-type': 'application/json', 'content-length': '11' };
  const answer = await app.inject({ method: 'POST', url: '/', headers, payload: Readable.from(endless()) });
  assert.equal(answer.statusCode, 413);
  t.mock.timers.tick(5000);
  await ended.promise;
});

async function* endless() {
  yield 'some';
  await new Promise(() => {});
}

test('what failed is logged with its address, without the token that opens a console', async () => {
  const lines: string[] = [];
  const app = Fastify({ logger: { level: 'error', stream: { write: (line: string) => lines.push(line) } } });
  speakFaults(app as never, { body: () => ({}) });
  app.get('/*', () => {
    throw new CloudError('unavailable', 'host_unreachable', { host: 'x' });
  });
  const token = 'a-Secret_of-43-characters';
  for (const path of [
    `/os-console-auth-tokens/${token}`,
    `/console/serial?token=${token}&x=1`,
    `/console/vnc.html?path=console%2Fvnc%3Ftoken%3D${token}`,
    '/servers/kept?name=kept',
  ])
    assert.equal((await app.inject(path)).statusCode, 503, path);
  const failed = lines.filter((line) => line.includes('request failed'));
  assert.equal(failed.length, 4);
  assert.ok(!failed.join().includes(token));
  assert.ok(failed[3]!.includes('/servers/kept?name=kept'));
});
