import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Type } from 'typebox';
import { documentOf } from './document.ts';
import { MalformedXml, readXml } from './read.ts';
import { writeXml } from './write.ts';

test('a document of a client is read, with its namespace, prefixes, comments and entities', () => {
  const root = readXml(
    '\ufeff<?xml version="1.0"?>\n<!-- x --><s3:Delete xmlns:s3="http://s3"><s3:Object ><Key>a&amp;b&#x20;&#128512;&lt;</Key></s3:Object><Quiet/></s3:Delete>\n',
  );
  assert.equal(root.name, 'Delete');
  assert.equal(root.children[0]!.children[0]!.text, 'a&b 😀<');
  assert.equal(readXml('<A><![CDATA[<&>]]> </A>').text, '<&> ');
  assert.equal(readXml('<A xmlns:xsi="x" xsi:type="Group"/>').type, 'Group');
});

test('what is no document, or has entities of its own, is refused', () => {
  for (const source of [
    ...[
      '',
      'x',
      '<A>',
      '<A></B>',
      '<A/><B/>',
      '<A/>x',
      '<A x></A>',
      '<A x=1/>',
      '<A x="1" x="2"/>',
      '</A>',
      '<A>&x;</A>',
    ],
    ...['<A>&</A>', '<A>&#0;</A>', '<A>&#xd800;</A>', '<A>&#x110000;</A>', '<A><B/>x</A>', '<', '<A', '<!--', '< A/>'],
    ...['<!DOCTYPE A [<!ENTITY x "y">]><A>&x;</A>', '<A><!DOCTYPE x></A>', '<?php x?><A/>', '<A>&#x1</A>'],
    ...['<A>'.repeat(13) + '</A>'.repeat(13), `<A>${'<B/>'.repeat(100_000)}</A>`, `<A ${'a="1" '.repeat(3)}/>`],
  ]) {
    assert.throws(() => readXml(source), MalformedXml, source.slice(0, 60));
  }
});

test('hostile documents take no longer than their length', () => {
  for (const source of [
    '&'.repeat(1e6),
    '<A '.repeat(3e5),
    '<!--'.repeat(3e5),
    `<A ${' '.repeat(1e6)}`,
    '<A>'.repeat(3e5),
  ]) {
    const before = process.cpuUsage();
    assert.throws(() => readXml(`<R>${source}`), MalformedXml);
    assert.ok(process.cpuUsage(before).user < 2e6, source.slice(0, 8));
  }
});

test('a document becomes a value by its schema, which knows all of its elements', () => {
  const schema = Type.Object({
    Quiet: Type.Optional(Type.Boolean()),
    Object: Type.Array(Type.Object({ Key: Type.String(), Size: Type.Optional(Type.Integer()) })),
  });
  const read = (source: string) => documentOf(readXml(source), schema);
  assert.deepEqual(
    read('<D><Quiet>true</Quiet><Object><Key> a </Key><Size> 7</Size></Object><Object><Key/></Object></D>'),
    {
      Quiet: true,
      Object: [{ Key: ' a ', Size: 7 }, { Key: '' }],
    },
  );
  for (const wrong of [
    '<Quiet>x</Quiet>',
    '<Other/>',
    '<Quiet/>',
    '<Object><Size>1e3</Size></Object>',
    '<__proto__/>',
    'x',
  ]) {
    assert.throws(() => read(`<D>${wrong}</D>`), MalformedXml, wrong);
  }
  assert.throws(() => read('<D><Quiet>true</Quiet><Quiet>true</Quiet></D>'), MalformedXml);
});

test('an answer has its elements in order, and its texts escaped', () => {
  assert.equal(
    writeXml('R', [
      ['A', 'a<&>"\r\u0001'],
      ['B', [['C', 1], undefined, ['D', undefined]]],
      ['E', true],
    ]),
    '<?xml version="1.0" encoding="UTF-8"?>\n<R xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><A>a&lt;&amp;&gt;&quot;&#xD;&#x1;</A><B><C>1</C></B><E>true</E></R>',
  );
});
