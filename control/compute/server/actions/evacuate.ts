/**
 * A server of a host that is lost is brought back on another one, as an administrator asks for it: its own disk made anew of its image. Never without
 * evidence that its guest does not run where it was (../evacuation-evidence.ts); that nobody hears the host is none.
 */
import { sql } from 'kysely';
import { CloudError } from '../../../../contract/errors.ts';
import type { HostId, ServerId } from '../../../../contract/ids.ts';
import type { Secret } from '../../../../contract/secret.ts';
import { actorOf } from '../../../kit/caller.ts';
import { lockVolumesOf } from '../../../storage/volume/index.ts';
import { lockPlacement } from '../../placement/index.ts';
import { replaceAdminPassword } from '../admin-password.ts';
import { evacuate as giveToAnother } from '../evacuating.ts';
import { evidenceOf, lookAtHost } from '../evacuation-evidence.ts';
import { recordRefusedMove } from '../moving.ts';
import { sentences } from '../refuse.ts';
import { bytesMs, requireNoTpm, type ServerAction } from './action.ts';
import type { MoveWish } from './move.ts';

export interface EvacuateWish extends MoveWish {
  /** For the guest that boots from a new disk; absent: none is told to it. */
  password?: Secret | undefined;
  /** It stays off on the other host, whatever it was; absent: a server that ran runs there. */
  stopped?: boolean;
}

export const evacuate: ServerAction<EvacuateWish> = {
  verb: 'evacuate',
  doing: 'evacuate a server',
  needs: 'admin',
  deadlineMs: bytesMs,
  async decide({ tx, caller, deps, refusing }, server, { host: name, password, stopped = false }) {
    requireNoTpm(server, 'evacuate');
    const { rows } = await sql<{ wanted_id: HostId | null; others: number }>`select
      (select id from host where name = ${name}::text) as wanted_id,
      (select count(*)::integer from host where id <> ${server.host_id} and connected and enabled and not forced_down) as others`.execute(
      tx,
    );
    const { wanted_id: only, others } = rows[0]!;
    if (name !== null && only === null) throw new CloudError('not_found', 'host_not_found', { id: name });
    if (name !== null && only === server.host_id) throw new CloudError('invalid', 'move_to_same_host', { host: name });
    await lockVolumesOf(tx, [server.id]);
    await lockPlacement(tx);
    const host = (await lookAtHost(tx, server.host_id!))!;
    const evidence = evidenceOf(host, server);
    if (!evidence) {
      const reason = host.connected ? 'host_still_in_use' : 'evacuation_unproven';
      throw new CloudError('invalid', reason, { host: host.name });
    }
    const wish = { server, evidence, only, stopped };
    const [found] = await giveToAnother(tx, { ports: deps.ports, actor: actorOf(caller) }, [wish]);
    if (!found?.host) {
      refusing?.((again) => recordRefusedMove(again, { serverId: server.id as ServerId, only }));
      throw new CloudError('invalid', 'no_other_host', {
        id: server.id,
        why: others === 0 || !found ? null : sentences(found),
      });
    }
    if (server.config_drive && password) await replaceAdminPassword(tx, server.id, password);
    deps.log.warn({ serverId: server.id, from: host.name, to: found.host.name, evidence }, 'server evacuated');
    // All of it is written, its operation too.
    return undefined;
  },
};
