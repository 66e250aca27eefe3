/** What hosts take, for administrators: as it was measured, or where nobody measures it as a model says. Reads alone. */
import { sql } from 'kysely';
import { type Caller, requireAdmin } from '../../kit/caller.ts';
import type { Database } from '../../kit/database/database.ts';

/** bmc, rapl: measured by these; model: reckoned of what is given away; off: it has no power, by its BMC's word. */
export type WattsSource = 'bmc' | 'rapl' | 'model' | 'off';

export interface HostWatts {
  host_id: string;
  host_name: string;
  /** Null: nobody can say. */
  watts: number | null;
  source: WattsSource | null;
  measured_at: Date | null;
}

/** Of a machine that does nothing, and of one all of whose processors are given away. */
export interface WattsModel {
  idle: number;
  max: number;
}

/** A measurement that is older counts no more. */
const freshSeconds = 300;

export class WattsService {
  readonly #database: Database;
  readonly #model: WattsModel | undefined;

  constructor(options: { database: Database; model?: WattsModel | undefined }) {
    this.#database = options.database;
    this.#model = options.model;
  }

  async list(caller: Caller): Promise<HostWatts[]> {
    requireAdmin(caller, 'show what hosts take');
    const { idle, max } = this.#model ?? { idle: null, max: null };
    const { rows } = await sql<HostWatts>`
      select h.id as host_id, h.name as host_name,
        case when m.measured then w.watts when m.off then 0 when h.connected then ${idle}::integer + round((${max}::integer - ${idle}::integer)
          * least(1, coalesce(u.vcpus, 0) / greatest(1, (h.facts ->> 'cpus')::numeric)))::integer end as watts,
        case when m.measured then w.source when m.off then 'off' when h.connected and ${max}::integer is not null then 'model' end as source,
        case when m.measured then w.measured_at end as measured_at
      from host h left join host_watts w on w.host_id = h.id left join host_usage u on u.host_id = h.id left join host_standby y on y.host_id = h.id,
        lateral (select coalesce(w.watts is not null and w.measured_at > now() - ${freshSeconds} * interval '1 second', false) as measured,
          y.off_at is not null and not h.connected or h.powered_off_at is not null as off) m
      order by h.name, h.id`.execute(this.#database.query);
    return rows;
  }
}
