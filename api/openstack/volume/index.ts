/**
 * Cinder's API, v3 with microversions. Translates; decides nothing. See README.md for what is and what is not in it.
 */
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { parseId } from '../../../contract/ids.ts';
import { isAdmin, requireAdmin, requireProjectMember } from '../../../control/kit/caller.ts';
import type { QuotaService } from '../../../control/kit/quota/index.ts';
import type { BackendService } from '../../../control/storage/backend/index.ts';
import type { BackupService } from '../../../control/storage/backup/index.ts';
import type { ConnectionService } from '../../../control/storage/connection/index.ts';
import type { GroupService } from '../../../control/storage/group/index.ts';
import type { GroupSnapshotService } from '../../../control/storage/group-snapshot/index.ts';
import type { GroupTypeService } from '../../../control/storage/group-type/index.ts';
import type { ManageService } from '../../../control/storage/manage/index.ts';
import type { MessageService } from '../../../control/storage/message/index.ts';
import type { QosSpecsService } from '../../../control/storage/qos-specs/index.ts';
import type { SnapshotService } from '../../../control/storage/snapshot/index.ts';
import type { TransferService } from '../../../control/storage/transfer/index.ts';
import type { VolumeService } from '../../../control/storage/volume/index.ts';
import type {
  DefaultTypeService,
  TypeEncryptionService,
  VolumeTypeService,
} from '../../../control/storage/volume-type/index.ts';
import { Boundary } from '../../boundary/boundary.ts';
import type { Contract } from '../../boundary/contract.ts';
import { readJson } from '../../boundary/json.ts';
import { Refusal } from '../../boundary/refusal.ts';
import type { Dialect } from '../../server.ts';
import { type Authenticator, authenticateAll, callerOf } from '../common/authenticate.ts';
import { permit } from '../common/permit.ts';
import * as a from './answers.ts';
import { attachmentActions } from './attachment-actions.ts';
import { attachmentRoutes } from './attachments.ts';
import { backupRoutes } from './backups.ts';
import { clusterRoutes, workerRoutes } from './clusters.ts';
import { defaultTypeRoutes } from './default-types.ts';
import { extensionRoutes } from './extensions.ts';
import { cinderFault, speakCinderFaults } from './faults.ts';
import { resourceFilterRoutes } from './filters.ts';
import { groupSnapshotRoutes } from './group-snapshots.ts';
import { groupTypeRoutes } from './group-types.ts';
import { groupRoutes } from './groups.ts';
import { manageRoutes } from './manage.ts';
import { messageRoutes } from './messages.ts';
import { metadataRoutes } from './metadata.ts';
import { maximumVersion, speakMicroversions } from './microversion.ts';
import { poolRoutes } from './pools.ts';
import { qosSpecsRoutes } from './qos-specs.ts';
import { limitRoutes, quotaClassRoutes, quotaSetRoutes } from './quotas.ts';
import { hostRoutes, serviceRoutes, zoneRoutes } from './services.ts';
import { snapshotRoutes } from './snapshots.ts';
import { transferRoutes } from './transfers.ts';
import { typeEncryptionRoutes } from './type-encryption.ts';
import { typeSpecRoutes } from './type-specs.ts';
import { typeRoutes } from './types.ts';
import { sentences } from './validate.ts';
import { versionRoutes } from './versions.ts';
import { volumeActionRoutes, volumeActions } from './volume-actions.ts';
import { volumeRoutes } from './volumes.ts';

export interface VolumeDialectOptions {
  authenticator: Authenticator;
  volumes: VolumeService;
  snapshots: SnapshotService;
  volumeTypes: VolumeTypeService;
  typeEncryptions: TypeEncryptionService;
  defaultTypes: DefaultTypeService;
  qosSpecs: QosSpecsService;
  groupTypes: GroupTypeService;
  groups: GroupService;
  groupSnapshots: GroupSnapshotService;
  transfers: TransferService;
  quotas: QuotaService;
  connections: ConnectionService;
  backups: BackupService;
  backends: BackendService;
  manageables: ManageService;
  messages: MessageService;
  /** For documents and walks: everything once. */
  withoutProjectPaths?: boolean;
}

export function volumeDialect(options: VolumeDialectOptions): Dialect {
  return {
    prefix: '/volume',
    plugin: async (app) => {
      speakCinderFaults(app);
      readJson(app);
      speakMicroversions(app, (error, reply) => reply.code(406).send(cinderFault(406, error.message)));
      refuseEmptyIds(app);
      authenticateAll(app, options.authenticator);
      versionRoutes(boundaryOf(app));
      // Since 3.67 Cinder asks for no project in its paths, whatever the version of the request is.
      await app.register(async (scope) => routes(scope, options), { prefix: '/v3' });
      if (options.withoutProjectPaths) return;
      await app.register(
        async (scope) => {
          requireOwnProject(scope);
          routes(scope, options);
        },
        { prefix: '/v3/:projectId' },
      );
    },
  };
}

export const volumeInfo = {
  title: 'Block Storage API v3',
  version: `3.${maximumVersion}`,
  description: "OpenStack's Block Storage API (Cinder's) as Bothy answers it, with microversions.",
  fault: a.cinderFault,
} as const;

/** The project in a path is only said again: it is that of the token. */
function requireOwnProject(app: FastifyInstance): void {
  app.addHook('preHandler', async (request) => {
    const asked = parseId((request.params as { projectId: string }).projectId);
    if (asked === undefined || asked !== callerOf(request).projectId)
      throw new Refusal('invalid', 'Malformed request url');
  });
}

/** `/volumes/` names a volume without an id, and no list: clients could not read one there. As in Cinder, whose routes end without a slash. */
function refuseEmptyIds(app: FastifyInstance): void {
  app.addHook('onRequest', async ({ url }) => {
    const [path = ''] = url.split('?');
    const [, , , ...parts] = path.split('/');
    const named = parts.length - (parseId(parts[0] ?? '') === undefined ? 0 : 1);
    if (path.endsWith('/') && named > 1) throw new Refusal('not_found', 'The resource could not be found.');
  });
}

const boundaryOf = (app: FastifyInstance): Boundary =>
  new Boundary(app, { sentences, permit: permitted, versionOf: (request) => request.microversion });

/** What not everybody may do is refused to others before their request is looked at. */
function permitted(contract: Pick<Contract, 'summary' | 'rights'>, request: FastifyRequest): void {
  const { rights, summary } = contract;
  if (rights === 'admin') requireAdmin(callerOf(request), summary);
  if (rights === 'member' && !isAdmin(callerOf(request))) requireProjectMember(callerOf(request), summary);
  permit(contract, request);
}

function routes(app: FastifyInstance, options: VolumeDialectOptions): void {
  const boundary = boundaryOf(app);
  extensionRoutes(boundary);
  resourceFilterRoutes(boundary);
  volumeRoutes(boundary, options);
  volumeActionRoutes(boundary, options, { ...volumeActions, ...attachmentActions });
  metadataRoutes(boundary, options);
  manageRoutes(boundary, options.manageables);
  snapshotRoutes(boundary, options.snapshots);
  typeRoutes(boundary, options.volumeTypes);
  typeSpecRoutes(boundary, options.volumeTypes);
  typeEncryptionRoutes(boundary, options);
  defaultTypeRoutes(boundary, options.defaultTypes);
  qosSpecsRoutes(boundary, options.qosSpecs);
  groupTypeRoutes(boundary, options.groupTypes);
  groupRoutes(boundary, options.groups);
  groupSnapshotRoutes(boundary, options.groupSnapshots);
  transferRoutes(boundary, options.transfers);
  backupRoutes(boundary, options.backups);
  quotaSetRoutes(boundary, options);
  quotaClassRoutes(boundary, options);
  limitRoutes(boundary, options);
  serviceRoutes(boundary, options.backends);
  hostRoutes(boundary, options.backends);
  zoneRoutes(boundary, options.backends);
  poolRoutes(boundary, options.backends);
  clusterRoutes(boundary);
  workerRoutes(boundary);
  messageRoutes(boundary, options.messages);
  attachmentRoutes(boundary, options.connections);
}
