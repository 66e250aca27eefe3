/** Object lock: a bucket that may lock versions, until a time or until somebody ends it. The store holds to it, whoever deletes. */
import { Type } from 'typebox';
import type { ObjectInfo, ObjectLock } from '../../control/object/index.ts';
import type { Call } from './call.ts';
import type { Operations } from './operations.ts';
import { notImplemented, S3Refusal } from './refusal.ts';
import { versionOf } from './tags.ts';
import { retentionOf } from './wish.ts';
import type { Node } from './xml/write.ts';

const isLockable = (settings: Readonly<Record<string, unknown>>): boolean =>
  (settings.lock as { enabled?: boolean } | undefined)?.enabled === true;

const notLockable = () => new S3Refusal('InvalidRequest', 'Bucket is missing Object Lock Configuration');

/**
 * A lock in a bucket that does not keep versions would be none. Who may only write there locks nothing: its owner could not get rid of it.
 * @throws S3Refusal
 */
export async function requireLockable(call: Call, right: 'read' | 'own' = 'own'): Promise<void> {
  const { settings } = await call.services.containers.show(call.visitor, await call.where(), right);
  if (!isLockable(settings)) throw notLockable();
}

async function objectOf(call: Call): Promise<ObjectInfo> {
  const { object } = await call.services.objects.head(call.visitor, await call.where(), call.key, {
    ...versionOf(call),
    raw: true,
  });
  return object;
}

const noLock = () =>
  new S3Refusal('NoSuchObjectLockConfiguration', 'The specified object does not have a ObjectLock configuration');

/** What is not said stays. */
async function setLock(call: Call, change: (before: ObjectLock) => ObjectLock): Promise<void> {
  await requireLockable(call, 'own');
  const { versionId, lock } = await objectOf(call);
  const bypassGovernance = call.header('x-amz-bypass-governance-retention')?.toLowerCase() === 'true';
  const options = { versionId, bypassGovernance };
  await call.services.objects.update(call.visitor, await call.where(), call.key, { lock: change(lock ?? {}) }, options);
  call.done(200, { 'x-amz-version-id': versionId });
}

const version = Type.Object({
  versionId: Type.Optional(Type.String()),
  retention: Type.Optional(Type.String()),
  'legal-hold': Type.Optional(Type.String()),
});
const text = Type.Optional(Type.String());

export const lockOperations: Operations = {
  GetObjectLockConfiguration: {
    ...{ method: 'GET', level: 'bucket', by: ['object-lock'], rights: 'open' },
    summary: 'whether a bucket may lock versions',
    async run(call) {
      const { settings } = await call.services.containers.show(call.visitor, await call.where(), 'read');
      if (!isLockable(settings)) {
        throw new S3Refusal(
          'ObjectLockConfigurationNotFoundError',
          'Object Lock configuration does not exist for this bucket',
        );
      }
      call.xml('ObjectLockConfiguration', [['ObjectLockEnabled', 'Enabled']]);
    },
  },
  PutObjectLockConfiguration: {
    ...{ method: 'PUT', level: 'bucket', by: ['object-lock'], rights: 'open', silent: true },
    summary: 'makes a bucket that keeps versions one that may lock them',
    body: Type.Object({
      ObjectLockEnabled: text,
      Rule: Type.Optional(
        Type.Object({
          DefaultRetention: Type.Optional(
            Type.Object({ Mode: text, Days: Type.Optional(Type.Integer()), Years: Type.Optional(Type.Integer()) }),
          ),
        }),
      ),
    }),
    async run(call) {
      const { ObjectLockEnabled, Rule } = call.requireDocument<{ ObjectLockEnabled?: string; Rule?: object }>();
      if (Rule !== undefined) throw notImplemented('a retention that all new objects of a bucket get');
      if (ObjectLockEnabled !== 'Enabled') throw new S3Refusal('MalformedXML', 'ObjectLockEnabled must be Enabled');
      const { versioning } = await call.services.containers.show(call.visitor, await call.where(), 'own');
      if (versioning !== 'enabled') {
        throw new S3Refusal(
          'InvalidBucketState',
          'Versioning must be ‘Enabled’ on the bucket to apply a Object Lock configuration',
        );
      }
      await call.services.containers.update(call.visitor, await call.where(), {
        settings: { lock: { enabled: true } },
      });
      call.done();
    },
  },
  GetObjectRetention: {
    ...{ method: 'GET', level: 'object', by: ['retention'], rights: 'open', query: version },
    summary: 'until when a version is locked',
    async run(call) {
      await requireLockable(call, 'read');
      const { lock } = await objectOf(call);
      if (!lock?.mode || !lock.retainUntil) throw noLock();
      call.xml('Retention', [
        ['Mode', lock.mode],
        ['RetainUntilDate', lock.retainUntil],
      ]);
    },
  },
  PutObjectRetention: {
    ...{ method: 'PUT', level: 'object', by: ['retention'], rights: 'open', query: version, silent: true },
    summary: 'locks a version until a time; that is only ever made later',
    body: Type.Object({ Mode: text, RetainUntilDate: text }),
    async run(call) {
      const { Mode, RetainUntilDate } = call.requireDocument<{ Mode?: string; RetainUntilDate?: string }>();
      if ((Mode === undefined) !== (RetainUntilDate === undefined))
        throw new S3Refusal('MalformedXML', 'Mode and RetainUntilDate come together');
      const retention = Mode === undefined ? {} : retentionOf(Mode, RetainUntilDate!);
      await setLock(call, ({ legalHold }) => ({ ...retention, ...(legalHold !== undefined && { legalHold }) }));
    },
  },
  GetObjectLegalHold: {
    ...{ method: 'GET', level: 'object', by: ['legal-hold'], rights: 'open', query: version },
    summary: 'whether somebody holds a version',
    async run(call) {
      await requireLockable(call, 'read');
      const { lock } = await objectOf(call);
      if (lock?.legalHold === undefined) throw noLock();
      call.xml('LegalHold', [['Status', lock.legalHold ? 'ON' : 'OFF']]);
    },
  },
  PutObjectLegalHold: {
    ...{ method: 'PUT', level: 'object', by: ['legal-hold'], rights: 'open', query: version, silent: true },
    summary: 'holds a version until somebody lets it go',
    body: Type.Object({ Status: text }),
    async run(call) {
      const { Status } = call.requireDocument<{ Status?: string }>();
      if (Status !== 'ON' && Status !== 'OFF') throw new S3Refusal('MalformedXML', 'Status must be ON or OFF');
      await setLock(call, (before) => ({ ...before, legalHold: Status === 'ON' }));
    },
  },
};

/** What a bucket of which nobody has said anything answers: that is true of all buckets here. */
interface Unset {
  by: string;
  root?: string;
  nodes?: readonly Node[];
  refusal?: () => S3Refusal;
}

const none: Readonly<Record<string, Unset>> = {
  GetBucketPolicy: {
    by: 'policy',
    refusal: () => new S3Refusal('NoSuchBucketPolicy', 'The bucket policy does not exist'),
  },
  GetBucketLifecycleConfiguration: {
    by: 'lifecycle',
    refusal: () => new S3Refusal('NoSuchLifecycleConfiguration', 'The lifecycle configuration does not exist'),
  },
  GetBucketWebsite: {
    by: 'website',
    refusal: () =>
      new S3Refusal('NoSuchWebsiteConfiguration', 'The specified bucket does not have a website configuration'),
  },
  GetBucketEncryption: {
    by: 'encryption',
    refusal: () =>
      new S3Refusal(
        'ServerSideEncryptionConfigurationNotFoundError',
        'The server side encryption configuration was not found',
      ),
  },
  GetBucketReplication: {
    by: 'replication',
    refusal: () =>
      new S3Refusal('ReplicationConfigurationNotFoundError', 'The replication configuration was not found'),
  },
  GetPublicAccessBlock: {
    by: 'publicAccessBlock',
    refusal: () =>
      new S3Refusal('NoSuchPublicAccessBlockConfiguration', 'The public access block configuration was not found'),
  },
  GetBucketOwnershipControls: {
    by: 'ownershipControls',
    refusal: () => new S3Refusal('OwnershipControlsNotFoundError', 'The bucket ownership controls were not found'),
  },
  GetBucketNotificationConfiguration: { by: 'notification', root: 'NotificationConfiguration' },
  GetBucketAccelerateConfiguration: { by: 'accelerate', root: 'AccelerateConfiguration' },
  GetBucketLogging: { by: 'logging', root: 'BucketLoggingStatus' },
  GetBucketRequestPayment: {
    by: 'requestPayment',
    root: 'RequestPaymentConfiguration',
    nodes: [['Payer', 'BucketOwner']],
  },
};

export const unsetOperations: Operations = Object.fromEntries(
  Object.entries(none).map(([name, { by, root = '', nodes = [], refusal }]) => [
    name,
    {
      ...({ method: 'GET', level: 'bucket', rights: 'open' } as const),
      by: [by],
      summary: 'none: no bucket here has it',
      async run(call: Call) {
        await call.services.containers.show(call.visitor, await call.where(), 'own');
        if (refusal) throw refusal();
        call.xml(root, nodes);
      },
    },
  ]),
);
