/** Every operation of S3, held to its contract: who may call it, and what wrong values do. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { newId } from '../../contract/ids.ts';
import { holdDocument } from '../boundary/testing/documents.ts';
import { type Walk, walkRights, walkWrongTypes } from '../boundary/testing/walk.ts';
import { s3Dialect, s3Info } from './index.ts';
import { S3World } from './testing.ts';

let s3: S3World;
let walk: Walk;
const cleanups: (() => unknown)[] = [];

before(async () => {
  s3 = await S3World.start({ after: (work: () => unknown) => void cleanups.unshift(work) } as never);
  await s3.call('owner PUT /walked');
  await s3.call('owner PUT /walked/key', { body: 'bytes' });
  walk = {
    // Bodies are XML: a JSON value says nothing about whether its XML fits; below they are tried as texts.
    entries: s3.entries.map((entry) => {
      const { body: _body, ...contract } = entry.contract;
      return { ...entry, contract };
    }),
    path: ({ method, url }) => ({
      bucket: method === 'DELETE' && url === '/s3/:bucket' ? newId() : 'walked',
      key: method === 'DELETE' ? newId() : 'key',
    }),
    async call({ method, url, as }) {
      const who = { admin: 'owner', member: 'owner', reader: 'reader' }[as ?? 'reader'];
      // Which operation it is stands in the query of its address already; a header's name there is for the document only.
      const [path, ...queries] = url.replaceAll(/&?\(([\w-]+)\)/g, '').split('?') as [string, ...string[]];
      const query = queries.filter((one) => one !== '').join('&');
      const copies = url.includes('(x-amz-copy-source)');
      const answer = await s3.call(`${who} ${method} ${path}${query === '' ? '' : `?${query}`}`, {
        unsigned: as === undefined,
        headers: copies ? { 'x-amz-copy-source': '/walked/key', 'x-amz-metadata-directive': 'REPLACE' } : {},
      });
      // S3 says to nobody what it says to those who may not.
      const status = as === undefined && answer.status === 403 ? 401 : answer.status === 501 ? 400 : answer.status;
      return { status, text: answer.text };
    },
  };
});
after(async () => {
  for (const work of cleanups) await work();
});

test('nobody gets what is not open, and what is the project’s own asks for a signature', () => {
  const entries = walk.entries.filter(({ contract }) => contract.rights !== 'open');
  assert.ok(entries.length >= 2);
  return walkRights({ ...walk, entries });
});

test('an operation of a bucket that is not open refuses who has not signed, and strangers', async () => {
  for (const { method, url } of walk.entries.filter((one) => one.url.startsWith('/s3/:bucket'))) {
    const address = url
      .replace(':bucket', 'walked')
      .replace(':key', 'key')
      .replaceAll(/&?\(([\w-]+)\)/g, '');
    const copies: Record<string, string> = url.includes('x-amz-copy-source')
      ? { 'x-amz-copy-source': '/walked/key' }
      : {};
    for (const [who, unsigned] of [
      ['nobody', true],
      ['stranger', false],
    ] as const) {
      const answer = await s3.call(`${who} ${method} ${address}`, { unsigned, headers: copies });
      // A body or parameter that is missing may be told first; a bucket of somebody else's can't be made.
      assert.ok(
        [400, 403, 404, 409, 411].includes(answer.status),
        `${who} ${method} ${address}: ${answer.status} ${answer.text}`,
      );
    }
  }
  assert.equal((await s3.call('owner GET /walked/key')).text, 'bytes');
});

test('what is of a wrong type is refused, and nothing ends in a fault of ours', async () => {
  assert.ok((await walkWrongTypes(walk)) > 100);
});

test('bodies of every kind end in no fault of ours', async () => {
  const texts = [
    ...['', '<', '{}', 'null', '<a/>', '<a><b/></a>', '<a>x</a>', '<a>&#0;</a>', '<a>\u0001</a>', '\ufeff<a/>'],
    ...[
      '<!DOCTYPE a><a/>',
      '<a><a><a><a/></a></a></a>',
      `<a>${'<b/>'.repeat(2000)}</a>`,
      '<a xsi:type="x"/>',
      '<__proto__/>',
    ],
  ];
  for (const { method, url, contract } of s3.entries.filter((one) => one.contract.body)) {
    const address = url
      .replace(':bucket', 'walked')
      .replace(':key', 'key')
      .replaceAll(/&?\(([\w-]+)\)/g, '');
    for (const body of texts) {
      const answer = await s3.call(`owner ${method} ${address}`, { body });
      assert.ok(
        answer.status < 500 || answer.status === 501,
        `${contract.summary} ${body.slice(0, 40)}: ${answer.status} ${answer.text}`,
      );
    }
  }
});

test('the document that is checked in tells what the operations do', () =>
  holdDocument('s3', s3Info, s3Dialect({} as never)));
