import assert from 'node:assert/strict';
import type { IncomingMessage } from 'node:http';
import { Readable } from 'node:stream';
import { test } from 'node:test';
import { answer } from './answer.ts';
import { isPasswordPath, takePassword } from './password.ts';
import { exampleServer } from './testing.ts';

const { id } = exampleServer();

function cloud() {
  const kept: string[] = [];
  const passwords = {
    read: async () => kept[0],
    keep: async (_: unknown, text: string) => {
      if (kept.length > 0 && kept[0] !== text) return false;
      kept[0] = text;
      return true;
    },
  };
  const post = async (body: Buffer | string) =>
    (await takePassword(passwords, id, Readable.from([Buffer.from(body)]) as IncomingMessage)).status;
  return { kept, post };
}

test('the password is below the versions that Nova has it in, and named in their listings', () => {
  for (const path of ['/openstack/latest/password', '//openstack/2013-04-04/password/']) assert(isPasswordPath(path));
  for (const path of ['/openstack/2012-08-10/password', '/openstack/none/password', '/latest/password', '/password'])
    assert(!isPasswordPath(path), path);
  assert.match(String(answer(exampleServer(), '/openstack/latest')!.body), /^password$/m);
  assert.doesNotMatch(String(answer(exampleServer(), '/openstack/2012-08-10')!.body), /password/);
});

test('a guest posts one password of at most 1020 bytes of text, and may say the same again', async () => {
  const { kept, post } = cloud();
  assert.equal(await post('x'.repeat(1021)), 400);
  assert.equal(await post(Buffer.from([0xff, 0xfe])), 400, 'no text');
  assert.equal(await post('a\0b'), 400, 'no database keeps that');
  assert.equal(await post(''), 200);
  assert.deepEqual(kept, []);
  assert.equal(await post('é'.repeat(510)), 200);
  assert.equal(await post('é'.repeat(510)), 200, 'the proxy asks again what the host process died over');
  assert.equal(await post('another'), 409);
  assert.deepEqual(kept, ['é'.repeat(510)]);
});
