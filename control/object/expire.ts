/** Objects whose time is over go as if somebody deleted them; until then nobody is shown them. */
import { hasReason } from '../../contract/errors.ts';
import { newOrderedId } from '../../contract/ids.ts';
import type { Database } from '../kit/database/database.ts';
import type { Commits } from './commit.ts';
import { run } from './statements.ts';

const most = 500;

const text = `select o.container_id as "containerId", o.name, c.project_id as "projectId", c.name as container
  from object o join container c on c.id = o.container_id where o.expires_at <= now() and o.current order by o.expires_at limit $1`;

/** @returns how many there were */
export async function expireObjects({ database, commits }: { database: Database; commits: Commits }): Promise<number> {
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
