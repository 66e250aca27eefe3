import assert from 'node:assert/strict';
import { test } from 'node:test';
import { swapped, uuidsOf } from './index.ts';

const uuid = '4c4c4544-0042-3510-8051-b4c04f4e3732';

test('a machine is known by its number in whichever order its bytes come', () => {
  const digits = Buffer.from(uuid.replaceAll('-', ''), 'hex');
  const inSmbios = Buffer.from(swapped(uuid).replaceAll('-', ''), 'hex');
  for (const bytes of [digits, inSmbios, digits.toReversed(), inSmbios.toReversed()])
    assert.ok(uuidsOf(bytes)?.includes(uuid), bytes.toString('hex'));
  assert.equal(uuidsOf(inSmbios)?.[0], uuid, 'as SMBIOS has it first');
});

test('a number that is no machine’s own is none', () => {
  for (const hex of ['00'.repeat(16), 'ff'.repeat(16), '0102'.repeat(8), `${'00'.repeat(12)}00000001`, '00', ''])
    assert.equal(uuidsOf(Buffer.from(hex, 'hex')), undefined, hex);
});

test('no order of the bytes makes it another machine’s of the same maker', () => {
  const next = Buffer.from(uuid.replaceAll('-', ''), 'hex');
  for (let at = 0; at < 16; at++) {
    const other = Buffer.from(next);
    other[at] = (other[at]! + 1) % 256;
    assert.ok(!uuidsOf(other)?.includes(uuid), `byte ${at}`);
  }
});

test('what makers of firmware leave where nobody has put a number is no machine’s own, in no order', () => {
  for (const digits of [
    '03000200040005000006000700080009',
    '00020003000400050006000700080009',
    '123456781234567890abcddeefaabbcc',
    '785634123412785690abcddeefaabbcc',
  ]) {
    assert.equal(uuidsOf(Buffer.from(digits, 'hex')), undefined, digits);
    assert.equal(uuidsOf(Buffer.from(digits, 'hex').reverse()), undefined, `${digits} in reverse`);
  }
});
