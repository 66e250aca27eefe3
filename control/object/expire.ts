/** Objects whose time is over go as if somebody deleted them; until then nobody is shown them. */
import { hasReason } from '../../contract/errors.ts';
import { newOrderedId } from '../../contract/ids.ts';
import type { Database } from '../kit/database/database.ts';
import type { Commits } from './commit.ts';
import { run } from './statements.ts';

/** What a lock keeps is left out: were it the oldest it would be all that is ever seen here. */
const text = `select o.container_id as "containerId", o.name, c.project_id as "projectId", c.name as container
  from object o join container c on c.id = o.container_id where o.expires_at <= now() and o.current
    and not (o.lock is not null and o.null_version and c.versioning <> 'enabled' and (coalesce((o.lock->>'legalHold')::boolean, false)
      or coalesce((o.lock->>'retainUntil')::timestamptz > now(), false)))
  order by o.expires_at limit $1`;

/** @returns how many there were */
export async function expireObjects(
  { database, commits }: { database: Database; commits: Commits },
  most = 500,
): Promise<number> {
  const rows = await run<{ containerId: string; name: string; projectId: string; container: string }>(
    database.query,
    text,
    [most],
  );
  await Promise.all(
    rows.map((row) =>
      commits
        .ask({
          ...{ kind: 'delete', ...row, visitor: { caller: null, granted: ['write'] } },
          ...{ markerId: newOrderedId(), conditions: {}, onlyExpired: true },
        })
        .catch((error) => {
          // Somebody else was first, or a lock keeps it.
          if (!hasReason(error, 'object_not_found') && !hasReason(error, 'object_locked')) throw error;
        }),
    ),
  );
  return rows.length;
}
