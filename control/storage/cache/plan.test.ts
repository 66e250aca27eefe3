import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type CacheLayer, planCache } from './plan.ts';

/** From the top down: g1 is a generation, b1 a base, p a layer of no cache; with `!` it is full, with `~` its host has yet to follow. */
const chain = (words: string): CacheLayer[] =>
  words.split(' ').map((word) => ({
    id: word.replace(/[!~>]/g, ''),
    role: word.startsWith('g') ? 'writes' : word.startsWith('b') ? 'base' : null,
    ...{ readOnly: false, served: !word.includes('~'), moving: word.includes('>'), full: word.includes('!') },
  }));
const had = { had: true };
const sink = (above: string, highest: string, onto: string) => ({ do: 'sink', above, highest, onto });

test('a generation that is full gets another one on it, once the one below has sunk', () => {
  assert.equal(planCache(chain('g1 b1'), had), undefined);
  assert.deepEqual(planCache(chain('g1! b1'), had), { do: 'rotate', top: 'g1' });
  assert.equal(planCache(chain('g2 g1! b1'), had), undefined, 'both are used');
  assert.deepEqual(planCache(chain('g2! g1! b1'), had), sink('g2', 'g1', 'b1'));
});

test('a base that a server has as its top, since what was to end its cache came to nothing, gets a generation', () => {
  assert.deepEqual(planCache(chain('b1 p'), had), { do: 'begin', top: 'b1' });
  assert.deepEqual(planCache(chain('b2 g1 b1'), had), { do: 'begin', top: 'b2' });
  assert.equal(planCache(chain('b1~ p'), had), undefined);
});

test('one thing at a time, and nothing before its host has followed', () => {
  assert.equal(planCache(chain('g2!> g1! b1'), had), undefined);
  assert.equal(planCache(chain('g2!~ g1! b1'), had), undefined);
  assert.equal(planCache(chain('g1!~ b1'), had), undefined);
});

test('what nobody has sinks wholly', () => {
  const nobody = { had: false };
  assert.deepEqual(planCache(chain('g2 g1 b1'), nobody), { do: 'cover', top: 'g2' });
  assert.deepEqual(planCache(chain('b2 g2 g1 b1'), nobody), sink('b2', 'g2', 'b1'));
  assert.deepEqual(planCache(chain('b2 b1'), nobody), { do: 'settle', base: 'b1' });
  assert.equal(planCache(chain('b2 p'), nobody), undefined);
});

test('below a snapshot everything sinks, the lowest first, and then it is final', () => {
  assert.deepEqual(planCache(chain('g3 b3 g2 b2 g1 b1 p'), had), sink('b2', 'g1', 'b1'));
  assert.deepEqual(planCache(chain('g3 b3 g2 b2 b1 p'), had), sink('b3', 'g2', 'b2'));
  assert.deepEqual(planCache(chain('g3 b3 b2 b1 p'), had), { do: 'settle', base: 'b1' });
  assert.deepEqual(planCache(chain('g3 b3 b2 p'), had), { do: 'settle', base: 'b2' });
  assert.equal(planCache(chain('g3 b3 p'), had), undefined);
  assert.equal(planCache(chain('p p'), had), undefined);
});
