import assert from 'node:assert/strict';
import { createHash, createHmac } from 'node:crypto';
import { test } from 'node:test';
import { isSigned, isSignedText, type SignedRequest, signedAt } from './signature.ts';

const empty = createHash('sha256').update('').digest('hex');

/** From AWS' documentation of version 4: its GET of ListUsers, with the signature that it tells. */
const listUsers: SignedRequest = {
  signature: '5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7',
  verb: 'GET',
  host: 'iam.amazonaws.com',
  path: '/',
  params: { Action: 'ListUsers', Version: '2010-05-08' },
  headers: {
    Authorization:
      'AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/iam/aws4_request, SignedHeaders=content-type;host;x-amz-date, Signature=5d67',
    'Content-Type': 'application/x-www-form-urlencoded; charset=utf-8',
    'X-Amz-Date': '20150830T123600Z',
  },
  bodyHash: empty,
};
const secret = 'wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY';

test('the example of version 4 verifies, and nothing that differs from it', () => {
  assert.ok(isSigned(listUsers, secret));
  assert.ok(!isSigned(listUsers, `${secret}x`));
  for (const change of [
    { verb: 'POST' },
    { path: '/x' },
    { params: { ...listUsers.params, Action: 'DeleteUser' } },
    { host: 'other' },
    { bodyHash: 'x' },
    { headers: { ...listUsers.headers, 'X-Amz-Date': '20150831T123600Z' } },
    { headers: {} },
    { signature: '' },
  ]) {
    assert.ok(!isSigned({ ...listUsers, ...change }, secret), JSON.stringify(change));
  }
});

test('the example of version 2 verifies, with and without the port', () => {
  // From AWS' documentation of version 2 (Elastic MapReduce, DescribeJobFlows).
  const request: SignedRequest = {
    signature: 'i91nKc4PWAt0JJIdXwz9HxZCJDdiy6cf/Mj6vPxyYIs=',
    verb: 'GET',
    host: 'elasticmapreduce.amazonaws.com',
    path: '/',
    params: {
      AWSAccessKeyId: 'AKIAIOSFODNN7EXAMPLE',
      Action: 'DescribeJobFlows',
      SignatureMethod: 'HmacSHA256',
      SignatureVersion: '2',
      Timestamp: '2011-10-03T15:19:30',
      Version: '2009-03-31',
    },
    headers: {},
    bodyHash: '',
  };
  const key = 'wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY';
  assert.ok(isSigned(request, key));
  assert.ok(isSigned({ ...request, host: `${request.host}:8443` }, key));
  assert.ok(!isSigned({ ...request, params: { ...request.params, SignatureVersion: '0' } }, key));
  for (const SignatureMethod of ['HmacMD5', 'constructor', '__proto__', '']) {
    assert.ok(!isSigned({ ...request, params: { ...request.params, SignatureMethod } }, key), SignatureMethod);
  }
  assert.equal(signedAt(request), Date.UTC(2011, 9, 3, 15, 19, 30));
});

test('a text that was signed verifies for its own service only', () => {
  const text = (service: string) =>
    Buffer.from(`AWS4-HMAC-SHA256\n20150830T123600Z\n20150830/us-east-1/${service}/aws4_request\n${empty}`);
  const sign = (service: string) => {
    const key = ['20150830', 'us-east-1', service, 'aws4_request'].reduce<Buffer>(
      (above, part) => createHmac('sha256', above).update(part).digest(),
      Buffer.from(`AWS4${secret}`),
    );
    return createHmac('sha256', key).update(text(service)).digest('hex');
  };
  assert.ok(isSignedText(text('s3'), sign('s3'), secret));
  assert.ok(!isSignedText(text('s3'), sign('s3'), 'another'));
  assert.ok(!isSignedText(text('ec2'), sign('ec2'), secret));
  const old = Buffer.from('GET\n\n\nTue, 27 Mar 2007 19:36:42 +0000\n/bucket/object');
  assert.ok(isSignedText(old, createHmac('sha1', secret).update(old).digest('base64'), secret));
});

test('the time that a request says it was signed at', () => {
  assert.equal(signedAt(listUsers), Date.UTC(2015, 7, 30, 12, 36));
  assert.equal(signedAt({ params: {}, headers: {} }), undefined);
  assert.ok(Number.isNaN(signedAt({ params: { Timestamp: 'soon' }, headers: {} })));
});

test('the time is the one that was signed, whatever is sent along', () => {
  const other = '20260131T120000Z';
  const at = (iso: string) => Date.parse(iso);
  const presigned = {
    ...listUsers,
    params: { 'X-Amz-Algorithm': 'AWS4-HMAC-SHA256', 'X-Amz-Date': '20150830T123600Z' },
    headers: { 'x-amz-date': other },
  };
  assert.equal(signedAt(presigned), at('2015-08-30T12:36:00Z'), 'not of a header beside it');
  assert.equal(signedAt({ ...listUsers, params: { Timestamp: '2026-01-31T12:00:00' } }), at('2015-08-30T12:36:00Z'));
  const version2 = { ...listUsers, params: { Timestamp: '2011-10-03T15:19:30' }, headers: { 'x-amz-date': other } };
  assert.equal(signedAt(version2), at('2011-10-03T15:19:30Z'));
  assert.equal(signedAt({ ...version2, params: {} }), undefined, 'version 2 signs no header');
});
