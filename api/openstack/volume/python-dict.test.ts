import assert from 'node:assert/strict';
import { test } from 'node:test';
import { pythonDict } from './python-dict.ts';

test('a dictionary is read as Python shows it and as JSON, and what is none is told from it', () => {
  assert.deepEqual(pythonDict("{'a': 'b'}"), { a: 'b' });
  assert.deepEqual(pythonDict('{"a":"b", \'c\' : "d\'e"}'), { a: 'b', c: "d'e" });
  assert.deepEqual(pythonDict("{u'a': u'b\\'c',}"), { a: "b'c" });
  assert.deepEqual(pythonDict(' {} '), {});
  for (const none of ['', 'a', "{'a'}", "{'a': 1}", "{'a': 'b' 'c': 'd'}", "{'a': 'b'", "{'a': {'b': 'c'}}"]) {
    assert.equal(pythonDict(none), undefined, none);
  }
});
