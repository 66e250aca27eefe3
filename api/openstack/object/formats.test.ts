/** What of this dialect is text alone: targets, times, ranges, access lists, conditions, listings. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { cleanAcl } from './acl.ts';
import { judge, rangeHolds } from './conditions.ts';
import { accountListing, containerListing, listForm } from './listing-form.ts';
import { metadataChange } from './metadata.ts';
import { routable, targetOf } from './path.ts';
import { ByteRangesBody, rangesOf } from './range.ts';
import { httpDate, parseHttpDate, timestampOf } from './times.ts';

test('a target names what its bytes say: slashes, dots and escapes anywhere, each decoded once', () => {
  const of = (rest: string) => targetOf(`/object/v1/AUTH_x${rest}`);
  assert.deepEqual(of(''), { account: 'AUTH_x' });
  assert.deepEqual(of('/'), { account: 'AUTH_x' });
  assert.deepEqual(of('/c/'), { account: 'AUTH_x', container: 'c' });
  for (const [path, object] of [
    ['/c/a//b/', 'a//b/'],
    ['/c//a', '/a'],
    ['/c/../x/./', '../x/./'],
    ['/c/a%2Fb%252F', 'a/b%2F'],
    ['/c/%E5%B0%8F?x=/y', '小'],
    ['/c/a+b;c#d', 'a+b;c#d'],
    ['/c/%3F%23', '?#'],
  ] as const) {
    assert.deepEqual(of(path), { account: 'AUTH_x', container: 'c', object });
  }
  assert.equal(targetOf('/object/v1//c'), undefined);
  assert.equal(of('//o'), undefined);
  assert.equal(targetOf('/image/v2'), undefined);
  assert.throws(() => of('/c/%FF'), URIError);
  assert.equal(routable('/object/v1/a/c/o//p/?q=1'), '/object/v1/x/x/x?q=1');
  assert.equal(routable('/object/info'), undefined);
});

test('times are told as Swift tells them, and read in all three forms of HTTP', () => {
  const time = new Date('2026-11-30T22:19:41.250Z');
  assert.equal(timestampOf(time), '1796077181.25000');
  assert.equal(httpDate(time), 'Mon, 30 Nov 2026 22:19:42 GMT');
  const same = Date.UTC(1994, 10, 6, 8, 49, 37);
  for (const text of ['Sun, 06 Nov 1994 08:49:37 GMT', 'Sunday, 06-Nov-94 08:49:37 GMT', 'Sun Nov  6 08:49:37 1994']) {
    assert.equal(parseHttpDate(text)?.getTime(), same, text);
  }
  for (const text of ['', 'yesterday', 'Sun, 06 Xyz 1994 08:49:37 GMT']) assert.equal(parseHttpDate(text), undefined);
});

test('ranges: of the beginning, the end, several; what is malformed is overlooked and what is outside refused', () => {
  const one = (first: number, last: number) => [{ first, last }];
  assert.deepEqual(rangesOf('bytes=0-4', 10), one(0, 4));
  assert.deepEqual(rangesOf('bytes=5-', 10), one(5, 9));
  assert.deepEqual(rangesOf('bytes=-3', 10), one(7, 9));
  assert.deepEqual(rangesOf('bytes=-30', 10), one(0, 9));
  assert.deepEqual(rangesOf('bytes=8-99', 10), one(8, 9));
  assert.deepEqual(rangesOf('bytes=0-1, 4-5', 10), [...one(0, 1), ...one(4, 5)]);
  for (const text of [undefined, 'bytes=', 'bytes=a-b', 'bytes=-', 'bytes=5-4', 'items=0-1']) {
    assert.equal(rangesOf(text, 10), undefined, text);
  }
  for (const text of ['bytes=10-', 'bytes=-0', `bytes=${Array(60).fill('0-1').join()}`]) {
    assert.deepEqual(rangesOf(text, 10), [], text);
  }
  assert.deepEqual(rangesOf('bytes=0-', 0), []);
});

test('an answer with several ranges is as long as it says', () => {
  const ranges = [
    { first: 0, last: 1 },
    { first: 4, last: 8 },
  ];
  const body = new ByteRangesBody(ranges, { contentType: 'text/plain', sizeBytes: 10 });
  const all = Buffer.concat([body.heads[0]!, Buffer.from('ab'), body.heads[1]!, Buffer.from('efghi'), body.end]);
  assert.equal(all.length, body.sizeBytes);
  assert.match(
    all.toString(),
    /^--(\w+)\r\nContent-Type: text\/plain\r\nContent-Range: bytes 0-1\/10\r\n\r\nab\r\n--\1\r\n/,
  );
  assert.match(all.toString(), /\r\n\r\nefghi\r\n--\w+--$/);
});

test('access lists are brought into one form, and what would never be a rule is refused', () => {
  const read = (text: string) => cleanAcl('X-Container-Read', text);
  assert.equal(read(' .ref : *.example.com , .rlistings,, a:b ,role'), '.r:.example.com,.rlistings,a:b,role');
  assert.equal(read('.referrer:-bad.example.com,.r:*'), '.r:-bad.example.com,.r:*');
  assert.equal(cleanAcl('X-Container-Write', 'a:*,*:b'), 'a:*,*:b');
  for (const text of ['.r:', '.r:*.', '.unknown:x', '.r:-']) assert.throws(() => read(text), /in ACL/, text);
  assert.throws(() => cleanAcl('X-Container-Write', '.r:*'), /not allowed in write ACL/);
});

test('conditions: tags with and without quotes, dates to the second', () => {
  const object = { etag: 'abc', changedAt: new Date('2026-01-01T00:00:00.500Z') };
  const [before, same, after] = ['00', '01', '02'].map((second) => `Thu, 01 Jan 2026 00:00:${second} GMT`);
  const verdicts = [
    [{ 'if-match': 'abc' }, 'send'],
    [{ 'if-match': '"x", "abc"' }, 'send'],
    [{ 'if-match': '"x"' }, 'failed'],
    [{ 'if-none-match': '*' }, 'not_modified'],
    [{ 'if-none-match': 'W/"abc"' }, 'not_modified'],
    [{ 'if-none-match': '"x"' }, 'send'],
    [{ 'if-modified-since': same! }, 'not_modified'],
    [{ 'if-modified-since': before! }, 'send'],
    [{ 'if-modified-since': 'nonsense' }, 'send'],
    [{ 'if-unmodified-since': before! }, 'failed'],
    [{ 'if-unmodified-since': after! }, 'send'],
  ] as const;
  for (const [headers, verdict] of verdicts) assert.equal(judge(headers, object), verdict, JSON.stringify(headers));
  assert.ok(rangeHolds('"abc"', object) && rangeHolds(same, object));
  assert.ok(!rangeHolds('"x"', object) && !rangeHolds(before, object));
});

test('the form of a listing follows the query, then what the client takes', () => {
  assert.equal(listForm('json', 'text/plain'), 'json');
  assert.equal(listForm('strange', 'application/json'), 'plain');
  assert.equal(listForm(undefined, undefined), 'plain');
  assert.equal(listForm(undefined, 'application/json;q=0.5, application/xml'), 'xml');
  assert.equal(listForm(undefined, '*/*'), 'plain');
  assert.throws(() => listForm(undefined, 'image/png'), /not available/);
});

test('listings in three forms', () => {
  const lastModified = new Date('2026-01-31T00:00:00.120Z');
  const containers = [{ name: 'a&"b', count: 1, bytes: 2, lastModified }, { subdir: 'p/' }];
  assert.equal(accountListing('plain', 'x', containers), 'a&"b\np/\n');
  assert.deepEqual(JSON.parse(accountListing('json', 'x', containers)), [
    { name: 'a&"b', count: 1, bytes: 2, last_modified: '2026-01-31T00:00:00.120000' },
    { subdir: 'p/' },
  ]);
  const object = { name: 'o\x01', hash: 'h', bytes: 3, contentType: 'text/plain', lastModified };
  assert.equal(
    containerListing('xml', 'c', [object]),
    '<?xml version="1.0" encoding="UTF-8"?>\n<container name="c"><object><name>o\ufffd</name><hash>h</hash><bytes>3</bytes>' +
      '<content_type>text/plain</content_type><last_modified>2026-01-31T00:00:00.120000</last_modified></object></container>',
  );
});

test('metadata: removal, empty values, and every limit', () => {
  const change = metadataChange(
    { 'x-container-meta-a': '1', 'x-container-meta-b': '', 'x-remove-container-meta-c': 'x' },
    'container',
  );
  assert.deepEqual(change, { set: { a: '1' }, remove: ['b', 'c'] });
  assert.deepEqual(metadataChange({ 'x-object-meta-a': '' }, 'object').set, { a: '' });
  const refused = (headers: Record<string, string>, why: RegExp) =>
    assert.throws(() => metadataChange(headers, 'object'), why);
  refused({ 'x-object-meta-': 'x' }, /name cannot be empty/);
  refused({ [`x-object-meta-${'n'.repeat(129)}`]: 'x' }, /name too long/);
  refused({ 'x-object-meta-a': 'é'.repeat(129) }, /value longer than 256/);
  refused(Object.fromEntries(Array.from({ length: 91 }, (_, at) => [`x-object-meta-${at}`, 'x'])), /Too many/);
  refused(
    Object.fromEntries(Array.from({ length: 17 }, (_, at) => [`x-object-meta-${at}`, 'x'.repeat(256)])),
    /too large/,
  );
});
