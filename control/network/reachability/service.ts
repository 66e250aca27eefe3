/** The question as a dialect may put it: who asks, about ends as people name them. Reads only. */
import { type Caller, isAdmin, requireProject } from '../../kit/caller.ts';
import type { Database } from '../../kit/database/database.ts';
import { type Asked, answerOf, readShape, type Told, versionsOf } from './answer.ts';
import { findEnds, requireOwnEnd } from './ends.ts';
import { loadGround } from './load.ts';
import { asSeen } from './sight.ts';

export class ReachabilityService {
  readonly #database: Database;

  constructor(options: { database: Database }) {
    this.#database = options.database;
  }

  /**
   * @throws CloudError `invalid` for what can be no question; `not_found` for an end that the caller does not see; `conflict` for an
   * address that several of its ports have
   */
  async ask(caller: Caller, asked: Asked): Promise<Told> {
    if (!isAdmin(caller)) requireProject(caller, 'ask for reachability');
    const shape = readShape(asked);
    const db = this.#database.query;
    const [from, to] = await Promise.all([
      findEnds(db, caller, 'from', asked.from),
      findEnds(db, caller, 'to', asked.to),
    ]);
    const versions = versionsOf([...from, ...to], asked.version);
    await requireOwnEnd(db, caller, from, to);
    const ground = await loadGround(db, [...from, ...to]);
    const told = answerOf(ground, { from, to, versions, shape });
    return this.#database.together(async (seen) => ({ ...told, ...(await asSeen(seen, caller, told)) }));
  }
}
