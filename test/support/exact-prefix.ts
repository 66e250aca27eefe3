/** What is on a disk after its writer, or the machine, has died. */
import assert from 'node:assert/strict';

/** The last numbers of a sequence that was written round and round over so many blocks, up to at least what the writer was told. */
export function assertPrefix(numbers: number[], { told, name }: { told: number; name: string }): void {
  const blocks = numbers.length;
  const last = Math.max(...numbers);
  const expected = numbers.map((_, at) => Math.max(0, last - ((((last - at) % blocks) + blocks) % blocks)));
  assert.deepEqual(numbers, expected, `${name}: an exact prefix`);
  assert.ok(last >= told, `${name}: what the guest was told is on the disk is there: ${last}, ${told}`);
}
