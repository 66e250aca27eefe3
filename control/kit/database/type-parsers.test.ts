import assert from 'node:assert/strict';
import { test } from 'node:test';
import pg from 'pg';
import { plainArray, plainTime } from './type-parsers.ts';

const general = (type: number) => pg.types.getTypeParser(type as never) as (text: string) => unknown;

test('a plain time is what the general parser makes of it, and what is odd is left to that', () => {
  const anyTime = general(pg.types.builtins.TIMESTAMP);
  for (const day of ['2026-11-28', '2000-02-29', '1999-12-31', '0100-01-01', '9999-12-31']) {
    for (const clock of [
      '00:00:00',
      '23:59:59.9',
      '12:30:15.123',
      '01:02:03.000001',
      '04:05:06.999999',
      '07:08:09.05',
    ]) {
      const text = `${day} ${clock}+00`;
      assert.deepEqual(plainTime(text), anyTime(text), text);
    }
  }
  for (const odd of [
    ...['infinity', '-infinity', '', '2026-11-28', '2026-11-28 12:00:00', '2026-11-28 12:00:00+01'],
    ...['2026-11-28 12:00:00+05:30', '0044-03-15 12:00:00+00 BC', '0044-03-15 12:00:00+00', '12026-11-28 12:00:00+00'],
  ]) {
    assert.equal(plainTime(odd), undefined, odd);
  }
});

test('a plain array is what the general parser makes of it, and what is odd is left to that', () => {
  const anyArray = general(1009);
  for (const text of ['{}', '{a}', '{a,b}', '{小屋,🏔}', '{01a22205-7fcc-7000-b8cf-13e576345f34,x y}', "{a'b}"]) {
    assert.deepEqual(plainArray(text), anyArray(text), text);
  }
  for (const odd of ['{NULL}', '{"a,b"}', '{"a\\\\b"}', '{{a},{b}}', '{""}', '[2:3]={a,b}']) {
    assert.equal(plainArray(odd), undefined, odd);
  }
});
