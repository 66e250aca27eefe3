import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import type { ObjectDiskLevel } from '../../contract/host/index.ts';
import { type HostId, newId } from '../../contract/ids.ts';
import { LocalDisks } from './local-disks.ts';

const host = { id: newId<HostId>(), url: '' };
const disk = (name: string, path: string): ObjectDiskLevel => ({
  name,
  path,
  totalBytes: 1,
  freeBytes: 1,
  problem: null,
});

function disksOf(t: TestContext) {
  let now = 0;
  t.mock.method(performance, 'now', () => now);
  const answers: (ObjectDiskLevel[] | Error)[] = [];
  let asked = 0;
  const disks = new LocalDisks(async () => {
    asked++;
    const answer = answers.shift()!;
    if (answer instanceof Error) throw answer;
    return answer;
  });
  return {
    disks,
    answers,
    asked: () => asked,
    pass: (ms: number) => {
      now += ms;
    },
  };
}

test('many readers ask once, and again after a while', async (t) => {
  const { disks, answers, asked, pass } = disksOf(t);
  answers.push([disk('a', '/a')], [disk('a', '/b')]);
  const found = await Promise.all([disks.find(host, 'a'), disks.find(host, 'a'), disks.find(host, 'b')]);
  assert.deepEqual(found, ['/a', '/a', undefined]);
  assert.equal(disks.known(host.id, 'a'), '/a');
  assert.equal(disks.known(newId<HostId>(), 'a'), undefined);
  pass(60_001);
  assert.equal(disks.known(host.id, 'a'), undefined);
  assert.equal(await disks.find(host, 'a'), '/b');
  assert.equal(asked(), 2);
});

test('a host process that does not answer takes no disk away, and is asked again soon', async (t) => {
  const { disks, answers, asked, pass } = disksOf(t);
  answers.push(new Error('away'), [disk('a', '/a')], new Error('away'));
  assert.equal(await disks.find(host, 'a'), undefined);
  pass(2_001);
  assert.equal(await disks.find(host, 'a'), '/a');
  pass(60_001);
  assert.equal(await disks.find(host, 'a'), '/a');
  assert.equal(asked(), 3);
});
