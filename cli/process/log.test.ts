import assert from 'node:assert/strict';
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { processLog } from './log.ts';

test('a line is in the file when the call returns', () => {
  const directory = mkdtempSync(join(tmpdir(), 'bothy-log-'));
  const file = join(directory, 'log');
  const descriptor = openSync(file, 'a');
  processLog('control', 'info', descriptor).info({ a: 1 }, 'hello');
  const { name, msg, a } = JSON.parse(readFileSync(file, 'utf8'));
  assert.deepEqual([name, msg, a], ['control', 'hello', 1]);
  closeSync(descriptor);
  rmSync(directory, { recursive: true });
});

test('with the disk full a line is no exception, and lines do not pile up in memory', () => {
  const full = openSync('/dev/full', 'a');
  const log = processLog('control', 'info', full);
  const before = process.memoryUsage().rss;
  for (let line = 0; line < 40_000; line++) log.info({ filler: 'x'.repeat(2000) }, 'nobody reads this');
  assert.ok(process.memoryUsage().rss - before < 60 * 2 ** 20);
  closeSync(full);
});
