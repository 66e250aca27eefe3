/** GET /native/v1/volumes/{id}/space: what a volume takes, by who else needs it. Whoever sees the volume sees it. */
import { volumeSpace } from '../../control/storage/volume/index.ts';
import type { Boundary } from '../boundary/boundary.ts';
import { callerOf } from '../openstack/common/authenticate.ts';
import type { NativeDeps } from './deps.ts';
import { spaceDocument } from './documents.ts';

const show = {
  summary: 'What a volume takes: alone, for its snapshots, shared with others, and what is about to go',
  rights: 'caller',
  answers: { 200: spaceDocument },
} as const;

export function volumeSpaceRoutes(app: Boundary, { database }: NativeDeps): void {
  app.get('/v1/volumes/:id/space', show, async (request) => ({
    space: {
      volume_id: request.params.id,
      ...(await volumeSpace(database.query, callerOf(request), request.params.id)),
    },
  }));
}
