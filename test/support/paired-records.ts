/**
 * Words for a guest's shell that write numbered records to two disks, each record to one and then to the other, and read them back with their sums. What is on both afterwards
 * says what was written until when, and whether it is of one moment.
 */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';

/** Records go round and round over so many blocks. */
export const recordBlocks = 64;
const blockBytes = 4096;

/** Begins, and goes on until the guest ends or is told to; `/tmp/at` has the last one that both disks have said they have. */
export const beginPairs = (devices: readonly [string, string]): string =>
  `rm -f /tmp/enough; (i=1; while [ ! -e /tmp/enough ]; do printf %0${blockBytes}d $i >/tmp/record; for d in ${devices.join(' ')}; do ${writing} seek=$((i % ${recordBlocks})) || exit 1; done; echo $i >/tmp/at-new; mv /tmp/at-new /tmp/at; i=$((i + 1)); done) </dev/null >/dev/null 2>&1 &`;

const writing = `dd if=/tmp/record of=/dev/$d bs=${blockBytes} conv=notrunc,fsync 2>/dev/null`;

/** These, one after the other, on one disk. */
export const writeRecords = (device: string, numbers: readonly number[]): string =>
  `d=${device}; for i in ${numbers.join(' ')}; do printf %0${blockBytes}d $i >/tmp/record; ${writing} seek=$((i % ${recordBlocks})) || exit 1; done`;

/** For {@link recordsIn}. */
export const readRecords = (device: string): string =>
  `i=0; while [ $i -lt ${recordBlocks} ]; do dd if=/dev/${device} of=/tmp/block bs=${blockBytes} skip=$i count=1 2>/dev/null; echo $(tail -c 16 /tmp/block | tr -d "\\000") $(md5sum </tmp/block | cut -d" " -f1); i=$((i + 1)); done`;

const sumOf = (content: string | Buffer): string => createHash('md5').update(content).digest('hex');
const sumOfRecord = (number: number): string =>
  sumOf(number === 0 ? Buffer.alloc(blockBytes) : String(number).padStart(blockBytes, '0'));

/** The number of the record in each block; 0: none. Between the lines a boot may have said something. @throws where one is not whole */
export function recordsIn(said: string): number[] {
  const lines = said.split('\n').filter((line) => /^\s*(\d+ )?[0-9a-f]{32}\s*$/.test(line));
  assert.equal(lines.length, recordBlocks, said);
  return lines.map((line, at) => {
    const [sum, number = '0'] = line.trim().split(' ').toReversed();
    assert.equal(sum, sumOfRecord(Number(number)), `record ${number} of block ${at}`);
    return Number(number);
  });
}

/** The same of a disk's first bytes. */
export const recordsOfBytes = (bytes: Buffer): number[] =>
  recordsIn(
    Array.from({ length: recordBlocks }, (_, at) => {
      const block = bytes.subarray(at * blockBytes, (at + 1) * blockBytes);
      return `${block.subarray(-16).toString('latin1').replaceAll('\0', '')} ${sumOf(block)}`;
    }).join('\n'),
  );
