import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CloudError } from '../../contract/errors.ts';
import { notFound } from '../../control/kit/refusal.ts';
import { CommandError } from '../command.ts';
import { known } from './maintenance.ts';

test('a host that is none is told in a sentence with its cure, and every other refusal stays what it is', async () => {
  await assert.rejects(
    known('rack1-7', Promise.reject(notFound('host', 'rack1-7'))),
    (error: unknown) =>
      error instanceof CommandError &&
      error.message === 'there is no host rack1-7' &&
      /hypervisor list/.test(error.cure),
  );
  const other = new CloudError('unavailable', notFound('host', 'rack1-7').reason, { id: 'rack1-7' });
  await assert.rejects(known('rack1-7', Promise.reject(other)), other);
  assert.equal(await known('rack1-7', Promise.resolve(7)), 7);
});
