/**
 * ACLs, as far as they have a meaning here: the canned ones. A bucket's are kept as Swift's texts, so that both dialects see the same; an
 * object's stands with its headers, and opens that object alone. Whose the bucket is may do everything in any case.
 */
import { Type } from 'typebox';
import type { ContainerChange, ContainerInfo, ObjectInfo } from '../../control/object/index.ts';
import type { Call } from './call.ts';
import { versionHeader } from './describe.ts';
import type { Operations } from './operations.ts';
import { notImplemented } from './refusal.ts';
import { versionOf } from './tags.ts';
import type { Node } from './xml/write.ts';

export type Canned = 'private' | 'public-read' | 'authenticated-read';

const everybody = '.r:*,.rlistings';
const loggedIn = '*:*';
const groups = 'http://acs.amazonaws.com/groups/global/';

/** @throws S3Refusal for one that has no meaning here */
export function cannedOf(call: Pick<Call, 'header' | 'request'>): Canned | undefined {
  const grants = Object.keys(call.request.raw.headers).find((name) => name.startsWith('x-amz-grant-'));
  if (grants !== undefined) throw notImplemented(`grants by header (${grants}); x-amz-acl takes the canned ones`);
  const said = call.header('x-amz-acl');
  if (said === undefined) return undefined;
  if (said === 'private' || said === 'public-read' || said === 'authenticated-read') return said;
  if (said === 'bucket-owner-full-control' || said === 'bucket-owner-read') return 'private';
  throw notImplemented(`the ACL ${said.slice(0, 60)}`);
}

export const bucketAcl = (canned: Canned): Pick<ContainerChange, 'readAcl' | 'writeAcl'> => ({
  readAcl: { private: '', 'public-read': everybody, 'authenticated-read': loggedIn }[canned],
  writeAcl: '',
});

const grantee = Type.Object({
  type: Type.Optional(Type.String()),
  ID: Type.Optional(Type.String()),
  DisplayName: Type.Optional(Type.String()),
  URI: Type.Optional(Type.String()),
  EmailAddress: Type.Optional(Type.String()),
});
const owner = Type.Object({ ID: Type.Optional(Type.String()), DisplayName: Type.Optional(Type.String()) });
const policy = Type.Object({
  Owner: Type.Optional(owner),
  AccessControlList: Type.Optional(
    Type.Object({ Grant: Type.Optional(Type.Array(Type.Object({ Grantee: grantee, Permission: Type.String() }))) }),
  ),
});

interface Policy {
  AccessControlList?: {
    Grant?: { Grantee: { ID?: string; URI?: string; EmailAddress?: string }; Permission: string }[];
  };
}

/** A document that says what a canned one says. @throws S3Refusal */
function cannedDocument({ AccessControlList: list }: Policy, projectId: string): Canned {
  let canned: Canned = 'private';
  for (const { Grantee, Permission } of list?.Grant ?? []) {
    if (Grantee.ID === projectId) continue;
    if (Permission === 'READ' && Grantee.URI === `${groups}AllUsers`) canned = 'public-read';
    else if (Permission === 'READ' && Grantee.URI === `${groups}AuthenticatedUsers`)
      canned = canned === 'private' ? 'authenticated-read' : canned;
    else
      throw notImplemented(
        `the grant of ${Permission.slice(0, 40)} to ${(Grantee.URI ?? Grantee.ID ?? Grantee.EmailAddress ?? '').slice(0, 120)}`,
      );
  }
  return canned;
}

const xsi = (type: string) => ({ 'xmlns:xsi': 'http://www.w3.org/2001/XMLSchema-instance', 'xsi:type': type });

function policyNodes(projectId: string, canned: Canned): Node[] {
  const person: Node[] = [
    ['ID', projectId],
    ['DisplayName', projectId],
  ];
  const group = { private: undefined, 'public-read': 'AllUsers', 'authenticated-read': 'AuthenticatedUsers' }[canned];
  return [
    ['Owner', person],
    [
      'AccessControlList',
      [
        [
          'Grant',
          [
            ['Grantee', person, xsi('CanonicalUser')],
            ['Permission', 'FULL_CONTROL'],
          ],
        ],
        group === undefined
          ? undefined
          : [
              'Grant',
              [
                ['Grantee', [['URI', groups + group]], xsi('Group')],
                ['Permission', 'READ'],
              ],
            ],
      ],
    ],
  ];
}

/** Texts of Swift's that S3 has no words for are told as the nearest that grants no more. */
function cannedOfBucket({ readAcl }: Pick<ContainerInfo, 'readAcl'>): Canned {
  const entries = readAcl.split(',').map((entry) => entry.trim());
  if (entries.includes('.r:*')) return 'public-read';
  return entries.includes(loggedIn) ? 'authenticated-read' : 'private';
}

export const cannedOfObject = ({ headers }: Pick<ObjectInfo, 'headers'>): Canned =>
  (headers['x-amz-acl'] as Canned | undefined) ?? 'private';

export const aclOperations: Operations = {
  GetBucketAcl: {
    ...{ method: 'GET', level: 'bucket', by: ['acl'], rights: 'open' },
    summary: 'who may read a bucket',
    async run(call) {
      const bucket = await call.services.containers.show(call.visitor, await call.where(), 'own');
      call.xml('AccessControlPolicy', policyNodes(bucket.projectId, cannedOfBucket(bucket)));
    },
  },
  PutBucketAcl: {
    ...{ method: 'PUT', level: 'bucket', by: ['acl'], rights: 'open', body: policy, silent: true },
    summary: 'who may read a bucket: one of the canned ACLs',
    async run(call) {
      const where = await call.where();
      const canned = cannedOf(call) ?? cannedDocument(call.requireDocument<Policy>(), where.projectId);
      await call.services.containers.update(call.visitor, where, bucketAcl(canned));
      call.done();
    },
  },
  GetObjectAcl: {
    ...{ method: 'GET', level: 'object', by: ['acl'], rights: 'open' },
    summary: 'who may read an object',
    async run(call) {
      const where = await call.where();
      const { object } = await call.services.objects.head(call.visitor, where, call.key, {
        ...versionOf(call),
        raw: true,
      });
      call.xml('AccessControlPolicy', policyNodes(where.projectId, cannedOfObject(object)), versionHeader(object));
    },
  },
  PutObjectAcl: {
    ...{ method: 'PUT', level: 'object', by: ['acl'], rights: 'open', body: policy, silent: true },
    summary: 'who may read an object: one of the canned ACLs',
    async run(call) {
      const where = await call.where();
      const { objects } = call.services;
      const canned = cannedOf(call) ?? cannedDocument(call.requireDocument<Policy>(), where.projectId);
      const version = versionOf(call);
      if (version.versionId !== undefined) throw notImplemented('ACLs of past versions');
      const { object } = await objects.head(call.visitor, where, call.key, { raw: true });
      const { 'x-amz-acl': _before, ...headers } = object.headers;
      await objects.update(
        call.visitor,
        where,
        call.key,
        { headers: canned === 'private' ? headers : { ...headers, 'x-amz-acl': canned } },
        { ifMatch: object.etag },
      );
      call.done(200, versionHeader(object));
    },
  },
};
