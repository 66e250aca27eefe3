/** GET /native/v1/quarantine: what hosts keep and the database does not account for. Administrators; deciding is `bothy recover`. */
import { describeQuarantine } from '../../control/host/index.ts';
import { requireAdmin } from '../../control/kit/caller.ts';
import { currentIncarnation } from '../../control/kit/database/incarnation.ts';
import type { Boundary } from '../boundary/boundary.ts';
import { callerOf } from '../openstack/common/authenticate.ts';
import type { NativeDeps } from './deps.ts';
import { quarantineDocument } from './documents.ts';

const show = {
  summary: 'What hosts keep and the database does not account for',
  rights: 'admin',
  answers: { 200: quarantineDocument },
} as const;

export function quarantineRoutes(app: Boundary, { database }: NativeDeps): void {
  app.get('/v1/quarantine', show, async (request) => {
    requireAdmin(callerOf(request), 'reading the quarantine');
    const [{ servers, layers, images }, incarnation] = await Promise.all([
      describeQuarantine(database.query),
      currentIncarnation(database.query),
    ]);
    return {
      incarnation: { id: incarnation.id, at: incarnation.at.toISOString(), reason: incarnation.reason },
      servers: servers.map(({ server_id, host_id, host_name, reason, since, guest, name, project_id }) => ({
        ...{
          id: server_id,
          host_id,
          host_name,
          reason,
          since: since.toISOString(),
          guest_runs: guest,
          name,
          project_id,
        },
      })),
      layers: layers.map(({ layer_id, host_id, host_name, reason, since, ...layer }) => ({
        ...{ id: layer_id, host_id, host_name, reason, since: since.toISOString(), ...layer },
      })),
      images: images.map(({ image_id, host_id, host_name, size_bytes, sha256 }) => ({
        ...{ id: image_id, host_id, host_name, size_bytes, sha256 },
      })),
    };
  });
}
