/** Buckets: containers of the caller's project, with a name that is the whole cloud's. */
import { Type } from 'typebox';
import type { ContainerInfo } from '../../control/object/index.ts';
import { bucketAcl, cannedOf } from './acl.ts';
import type { Call } from './call.ts';
import type { Operations } from './operations.ts';
import { notImplemented, S3Refusal } from './refusal.ts';
import type { Node } from './xml/write.ts';

const createConfiguration = Type.Object({
  LocationConstraint: Type.Optional(Type.String()),
  Tags: Type.Optional(
    Type.Object({ Tag: Type.Optional(Type.Array(Type.Object({ Key: Type.String(), Value: Type.String() }))) }),
  ),
});

/** The project that the caller acts in. */
function projectOf(call: Call): string {
  const { caller } = call.visitor;
  if (!caller?.projectId) throw new S3Refusal('AccessDenied', 'Access Denied');
  return caller.projectId;
}

export const ownerNode = (projectId: string, name = 'Owner'): Node => [
  name,
  [
    ['ID', projectId],
    ['DisplayName', projectId],
  ],
];

const bucketOf = (call: Call, right: 'read' | 'list' | 'own' = 'list'): Promise<ContainerInfo> =>
  call.where().then((where) => call.services.containers.show(call.visitor, where, right));

const page = 1000;

async function listBuckets(call: Call): Promise<void> {
  const projectId = projectOf(call);
  const limit = Math.min(Number(call.query('max-buckets') ?? page), 10_000);
  if (!Number.isInteger(limit) || limit < 1)
    throw new S3Refusal('InvalidArgument', 'max-buckets must be a number from 1 to 10000');
  const prefix = call.query('prefix');
  const token = call.query('continuation-token');
  const marker = token && Buffer.from(token, 'base64url').toString('utf8');
  if (marker?.includes('\0')) {
    throw new S3Refusal('InvalidArgument', 'The continuation token provided is incorrect');
  }
  const { entries, more } = await call.services.containers.list(call.visitor, projectId, {
    limit,
    prefix,
    marker,
  });
  const buckets = entries.flatMap((entry) => ('name' in entry ? [entry] : []));
  const last = buckets.at(-1);
  call.xml('ListAllMyBucketsResult', [
    ownerNode(projectId),
    [
      'Buckets',
      buckets.map(
        (one): Node => [
          'Bucket',
          [
            ['Name', one.name],
            ['CreationDate', one.createdAt],
            ['BucketRegion', call.services.region],
          ],
        ],
      ),
    ],
    prefix === undefined ? undefined : ['Prefix', prefix],
    more && last ? ['ContinuationToken', Buffer.from(last.name).toString('base64url')] : undefined,
  ]);
}

async function createBucket(call: Call): Promise<void> {
  const projectId = projectOf(call);
  const { LocationConstraint: location, Tags } =
    call.document<{ LocationConstraint?: string; Tags?: object } | undefined>() ?? {};
  if (location && ![call.services.region, 'us-east-1', 'EU', ''].includes(location)) {
    throw new S3Refusal('InvalidLocationConstraint', 'The specified location-constraint is not valid', {
      LocationConstraint: location.slice(0, 80),
    });
  }
  if (Tags !== undefined) throw notImplemented('tags of a bucket at its creation; PutBucketTagging gives it some');
  const ownership = call.header('x-amz-object-ownership');
  if (ownership !== undefined && !['BucketOwnerEnforced', 'BucketOwnerPreferred', 'ObjectWriter'].includes(ownership)) {
    throw new S3Refusal('InvalidArgument', 'Invalid x-amz-object-ownership header');
  }
  const acl = cannedOf(call);
  const lock = call.header('x-amz-bucket-object-lock-enabled')?.toLowerCase() === 'true';
  await call.services.containers.create(
    call.visitor,
    { projectId, container: call.bucket },
    {
      ...(acl !== undefined && bucketAcl(acl)),
      ...(lock && { versioning: 'enabled' as const, settings: { lock: { enabled: true } } }),
    },
    { bucket: true },
  );
  call.done(200, { location: `/${call.bucket}` });
}

const yes = Type.Object({});

export const bucketOperations: Operations = {
  ListBuckets: {
    ...{ method: 'GET', level: 'service', rights: 'reader' },
    summary: 'the buckets of the project',
    query: Type.Object({
      prefix: Type.Optional(Type.String()),
      'max-buckets': Type.Optional(Type.String()),
      'continuation-token': Type.Optional(Type.String()),
      'bucket-region': Type.Optional(Type.String()),
    }),
    run: listBuckets,
  },
  CreateBucket: {
    ...{ method: 'PUT', level: 'bucket', rights: 'member', body: createConfiguration, silent: true },
    summary: 'makes a bucket; of one that is there already and the project’s own its ACL anew',
    run: createBucket,
  },
  HeadBucket: {
    ...{ method: 'HEAD', level: 'bucket', rights: 'open', query: yes, silent: true },
    summary: 'whether there is one, and the caller may read it',
    async run(call) {
      await bucketOf(call);
      call.done(200, { 'x-amz-bucket-region': call.services.region, 'content-type': 'application/xml' });
    },
  },
  DeleteBucket: {
    ...{ method: 'DELETE', level: 'bucket', rights: 'open', silent: true },
    summary: 'takes an empty bucket away',
    async run(call) {
      await call.services.containers.delete(call.visitor, await call.where());
      call.done(204);
    },
  },
  GetBucketLocation: {
    ...{ method: 'GET', level: 'bucket', by: ['location'], rights: 'open' },
    summary: 'where a bucket is: the region of the cloud',
    async run(call) {
      await bucketOf(call);
      const { region } = call.services;
      // The oldest region is told as none.
      call.xml('LocationConstraint', region === 'us-east-1' ? '' : region);
    },
  },
  GetBucketVersioning: {
    ...{ method: 'GET', level: 'bucket', by: ['versioning'], rights: 'open' },
    summary: 'whether a bucket keeps versions',
    async run(call) {
      const { versioning } = await bucketOf(call);
      const status = { none: undefined, enabled: 'Enabled', suspended: 'Suspended' }[versioning];
      call.xml('VersioningConfiguration', [status === undefined ? undefined : ['Status', status]]);
    },
  },
  PutBucketVersioning: {
    ...{ method: 'PUT', level: 'bucket', by: ['versioning'], rights: 'open', silent: true },
    summary: 'makes a bucket keep versions, or no new ones',
    body: Type.Object({ Status: Type.Optional(Type.String()), MfaDelete: Type.Optional(Type.String()) }),
    async run(call) {
      const { Status, MfaDelete } = call.requireDocument<{ Status?: string; MfaDelete?: string }>();
      if (MfaDelete !== undefined && MfaDelete !== 'Disabled') throw notImplemented('MfaDelete');
      if (Status !== 'Enabled' && Status !== 'Suspended') {
        throw new S3Refusal('IllegalVersioningConfigurationException', 'The Versioning element must be specified');
      }
      const { settings } = await bucketOf(call, 'own');
      if (Status === 'Suspended' && (settings.lock as { enabled?: boolean } | undefined)?.enabled) {
        throw new S3Refusal(
          'InvalidBucketState',
          'An Object Lock configuration is present on this bucket, so the versioning state cannot be changed.',
        );
      }
      await call.services.containers.update(call.visitor, await call.where(), {
        versioning: Status === 'Enabled' ? 'enabled' : 'suspended',
      });
      call.done();
    },
  },
};
