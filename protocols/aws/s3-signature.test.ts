/** Against the examples of "Amazon S3 API Reference", sections "Signature Calculations for the Authorization Header" and "Query Parameters". */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import {
  ChunkSignatures,
  emptySha256,
  queryPairs,
  readCredential,
  type S3Request,
  type S3Signature,
  sameSignature,
  sign,
  signatureOf,
  signedTexts,
  signingKey,
  timeOf,
} from './s3-signature.ts';

const secret = 'wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY';
const credential = 'AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request';
const host = 'examplebucket.s3.amazonaws.com';
const sha256 = (bytes: string | Buffer) => createHash('sha256').update(bytes).digest('hex');

function request(
  line: string,
  headers: Record<string, string>,
  said?: { signed: string; signature: string },
): S3Request {
  const [method, target] = line.split(' ') as [string, string];
  const [path, query = ''] = target.split('?') as [string, string?];
  const all: Record<string, string> = { Host: host, 'x-amz-date': '20130524T000000Z', ...headers };
  if (said) {
    all.Authorization = `AWS4-HMAC-SHA256 Credential=${credential},SignedHeaders=${said.signed},Signature=${said.signature}`;
  }
  return { method, path, query, rawHeaders: Object.entries(all).flat() };
}

function isRight(asked: S3Request): boolean {
  const signature = signatureOf(asked);
  assert.ok(typeof signature === 'object', String(signature));
  const key = signingKey(secret, signature.scope);
  return sameSignature(sign(signedTexts(asked, signature).stringToSign, key), signature.signature);
}

const hashed = { 'x-amz-content-sha256': emptySha256 };

test('the examples of the Authorization header verify', () => {
  const signed = 'host;range;x-amz-content-sha256;x-amz-date';
  const get = (range: string, path = '/test.txt') =>
    request(
      `GET ${path}`,
      { ...hashed, Range: range },
      { signed, signature: 'f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41' },
    );
  assert.ok(isRight(get('bytes=0-9')));
  assert.ok(isRight(get('bytes=0-9', '/%74est.txt')), 'however it is escaped');
  assert.ok(!isRight(get('bytes=0-10')));
  assert.ok(!isRight(get('bytes=0-9', '/test.txt/')));
  assert.ok(!isRight(get('bytes=0-9', '//test.txt')), 'no slash is taken away');
  const list = (query: string) =>
    request(`GET /?${query}`, hashed, {
      signed: 'host;x-amz-content-sha256;x-amz-date',
      signature: '34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7',
    });
  assert.ok(isRight(list('max-keys=2&prefix=J')));
  assert.ok(isRight(list('prefix=J&max-keys=2')));
  assert.ok(!isRight(list('max-keys=2&prefix=J&prefix=J')));
  const lifecycle = request('GET /?lifecycle', hashed, {
    signed: 'host;x-amz-content-sha256;x-amz-date',
    signature: 'fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543',
  });
  assert.ok(isRight(lifecycle));
  const put = request(
    'PUT /test%24file.text',
    {
      Date: 'Fri, 24 May 2013 00:00:00 GMT',
      'x-amz-storage-class': 'REDUCED_REDUNDANCY',
      'x-amz-content-sha256': sha256('Welcome to Amazon S3.'),
    },
    {
      signed: 'date;host;x-amz-content-sha256;x-amz-date;x-amz-storage-class',
      signature: '98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd',
    },
  );
  assert.ok(isRight(put));
});

const presigned = (change: Record<string, string> = {}) => {
  const query = {
    'X-Amz-Algorithm': 'AWS4-HMAC-SHA256',
    'X-Amz-Credential': credential,
    'X-Amz-Date': '20130524T000000Z',
    'X-Amz-Expires': '86400',
    'X-Amz-SignedHeaders': 'host',
    'X-Amz-Signature': 'aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404',
    ...change,
  };
  return request(`GET /test.txt?${new URLSearchParams(query)}`, {});
};

test('the example of a presigned URL verifies, and nothing can be added to it', () => {
  assert.ok(isRight(presigned()));
  assert.ok(!isRight(presigned({ 'X-Amz-Expires': '86401' })));
  assert.ok(!isRight(presigned({ versionId: '1' })));
  assert.equal(signatureOf(presigned({ 'X-Amz-Expires': '604801' })), 'expires');
  assert.equal(signatureOf(presigned({ 'X-Amz-Expires': '-1' })), 'expires');
});

const chunked = (payload: string, signed: string, signature: string, more: Record<string, string> = {}) =>
  request(
    'PUT /examplebucket/chunkObject.txt',
    {
      Host: 's3.amazonaws.com',
      'x-amz-storage-class': 'REDUCED_REDUNDANCY',
      'Content-Encoding': 'aws-chunked',
      'x-amz-decoded-content-length': '66560',
      'Content-Length': '66824',
      'x-amz-content-sha256': payload,
      ...more,
    },
    { signed, signature },
  );
const chunks = [Buffer.alloc(65536, 'a'), Buffer.alloc(1024, 'a'), Buffer.alloc(0)].map(sha256);

test('the example of a body in signed chunks verifies, each bound to the one before', () => {
  const seed = '4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9';
  const asked = chunked(
    'STREAMING-AWS4-HMAC-SHA256-PAYLOAD',
    'content-encoding;content-length;host;x-amz-content-sha256;x-amz-date;x-amz-decoded-content-length;x-amz-storage-class',
    seed,
  );
  assert.ok(isRight(asked));
  const signature = signatureOf(asked) as S3Signature;
  const signatures = [
    'ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648',
    '0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497',
    'b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9',
  ];
  const inOrder = new ChunkSignatures(signingKey(secret, signature.scope), signature);
  for (const [index, one] of signatures.entries()) assert.ok(inOrder.isNext(one, chunks[index]!), `chunk ${index}`);
  const swapped = new ChunkSignatures(signingKey(secret, signature.scope), signature);
  assert.ok(!swapped.isNext(signatures[1]!, chunks[1]!));
});

test('the example of trailing headers verifies, bound to the last chunk', () => {
  const scope = { date: '20130524', region: 'us-east-1', service: 's3' };
  const signature = '106e2a8a18243abcf37539882f36619c00e2dfc72633413f02d3b74544bfeb8e';
  const inOrder = new ChunkSignatures(signingKey(secret, scope), { time: '20130524T000000Z', scope, signature });
  const signatures = [
    'b474d8862b1487a5145d686f57f013e54db672cee1c953b3010fb58501ef5aa2',
    '1c1344b170168f8e65b41376b44b20fe354e373826ccbbe2c1d40a8cae51e5c7',
    '2ca2aba2005185cf7159c6277faf83795951dd77a3a99e6e65d5c9f85863f992',
  ];
  for (const [index, one] of signatures.entries()) assert.ok(inOrder.isNext(one, chunks[index]!), `chunk ${index}`);
  const trailer = sha256('x-amz-checksum-crc32c:sOO8/Q==\n');
  assert.ok(inOrder.isTrailer('d81f82fc3505edab99d459891051a732e8730629a2e4a59689829ca17fe2e435', trailer));
});

test('what is no signature says why', () => {
  const signed = 'host;x-amz-date';
  const by = (headers: Record<string, string>, target = '/x') => signatureOf(request(`GET ${target}`, headers));
  assert.equal(by({}), 'none');
  assert.equal(by({ Authorization: 'AWS access:signature' }), 'version_2');
  assert.equal(by({}, '/x?AWSAccessKeyId=a&Signature=b&Expires=1'), 'version_2');
  assert.equal(by({ ...hashed, Authorization: 'AWS4-ECDSA-P256-SHA256 Credential=x' }), 'other_algorithm');
  assert.equal(by({ ...hashed, Authorization: 'Bearer x' }), 'malformed');
  assert.equal(by({ ...hashed, Authorization: 'AWS4-HMAC-SHA256 Credential=x' }), 'malformed');
  const header = (changed: string) => ({
    ...hashed,
    Authorization: `AWS4-HMAC-SHA256 Credential=${changed}, SignedHeaders=${signed}, Signature=00`,
  });
  assert.equal(by(header('A/20130524/us-east-1/ec2/aws4_request')), 'scope');
  assert.equal(by(header('A/20130525/us-east-1/s3/aws4_request')), 'scope', 'another day than the request');
  assert.equal(by({ ...header(credential), 'x-amz-date': 'now' }), 'no_time');
  assert.equal(
    by({ ...hashed, Authorization: header(credential).Authorization.replace(signed, 'x-amz-date') }),
    'host_not_signed',
  );
  assert.equal(signatureOf(request('GET /', {}, { signed, signature: '00' })), 'no_payload_hash');
  assert.deepEqual(readCredential('a/b/20130524/r/s3/aws4_request')?.access, 'a/b');
});

test('a query is decoded once, and what is no text is none', () => {
  assert.deepEqual(queryPairs('a=%2525&b=1+2&c&=d&e=f=g'), [
    ['a', '%25'],
    ['b', '1 2'],
    ['c', ''],
    ['', 'd'],
    ['e', 'f=g'],
  ]);
  assert.equal(queryPairs('a=%ff'), undefined);
  assert.equal(timeOf('20130524T000000Z'), Date.UTC(2013, 4, 24));
  assert.ok(Number.isNaN(timeOf('20131324T000000Z')));
});
