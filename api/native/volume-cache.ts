/** GET /native/v1/volumes/{id}/cache: what a volume's cache has done, and what a larger one would bring. Whoever sees the volume sees it. */
import { type Caller, isAdmin } from '../../control/kit/caller.ts';
import { type CacheReport, cacheReport } from '../../control/storage/volume/index.ts';
import type { Boundary } from '../boundary/boundary.ts';
import { callerOf } from '../openstack/common/authenticate.ts';
import type { NativeDeps } from './deps.ts';
import { cacheDocument } from './documents.ts';

const show = {
  summary: 'What the cache of a volume has done, and what a larger one would bring',
  rights: 'caller',
  answers: { 200: cacheDocument },
} as const;

export function volumeCacheRoutes(app: Boundary, { database }: NativeDeps): void {
  app.get('/v1/volumes/:id/cache', show, async (request) => {
    const caller = callerOf(request);
    const report = await cacheReport(database.query, caller, request.params.id);
    return { cache: report && document(caller, request.params.id, report) };
  });
}

function document(caller: Caller, id: string, report: CacheReport) {
  const { policy, size_bytes, reads, misses, promoted_bytes, sunk_bytes, warmings, last_warming_ms } = report;
  return {
    ...{ volume_id: id, policy, size_bytes, promoted_bytes, sunk_bytes, reads, warmings },
    hits: reads - misses,
    hit_ratio: reads === 0 ? null : (reads - misses) / reads,
    last_warming_seconds: last_warming_ms === null ? null : last_warming_ms / 1000,
    advice: {
      generations: report.generations,
      miss_ratio: report.miss_ratio,
      next_gib: report.next_gib,
      curve: report.curve,
    },
    // Both may name what is the host's.
    ...(isAdmin(caller) && { pool: report.pool_name, problem: report.problem }),
  };
}
