/** Until 2.43 a server's association with a floating IP, which is the network service's and named by its address. */
import { Type } from 'typebox';
import { isCloudError } from '../../../../contract/errors.ts';
import type { Caller } from '../../../../control/kit/caller.ts';
import type { FloatingIpRow } from '../../../../control/network/floating-ip/floating-ip.ts';
import type { FloatingIpService } from '../../../../control/network/floating-ip/service.ts';
import { Refusal } from '../../../boundary/refusal.ts';
import * as v from '../validate.ts';
import { type ActionCall, accepted, action } from './action.ts';

const proxy = { rights: 'member', versions: { to: 43 }, answers: accepted } as const;

export const addFloatingIp = action({
  summary: 'Associate a floating IP with a server',
  ...proxy,
  body: v.strict({ address: v.ip, fixed_address: Type.Optional(v.ip) }),
  async run(call, { address, fixed_address }) {
    const { floatingIps, caller } = call;
    const inside = await portOf(call, fixed_address);
    const { id } = await byAddress(floatingIps, caller, address);
    await floatingIps.update(caller, id, inside).catch((error: unknown) => {
      // No way there, or a second one to the same address: for Nova the request is wrong.
      throw isCloudError(error, 'conflict') || isCloudError(error, 'not_found') ? error.as('invalid') : error;
    });
  },
});

export const removeFloatingIp = action({
  summary: 'Take a floating IP from a server',
  ...proxy,
  body: v.strict({ address: v.ip }),
  async run({ servers, floatingIps, caller, id }, { address }) {
    await servers.get(caller, id);
    const row = await byAddress(floatingIps, caller, address);
    if (row.port_details?.device_id !== id) {
      throw new Refusal('conflict', `Floating IP ${address} is not associated with instance ${id}.`);
    }
    await floatingIps.update(caller, row.id, { port_id: null });
  },
});

async function byAddress(floatingIps: FloatingIpService, caller: Caller, address: string): Promise<FloatingIpRow> {
  const [row] = await floatingIps.list(caller, { filters: [{ column: 'floating_ip', values: [address] }] });
  if (!row) throw new Refusal('not_found', 'floating IP not found');
  return row;
}

/** The port with that address of the server; else its first with one of IPv4. */
async function portOf({ servers, caller, id }: ActionCall, wanted: string | undefined) {
  const all = (await servers.ports(caller, id)).flatMap((port) =>
    port.fixed_ips.map(({ ip_address }) => ({ port_id: port.id, fixed_ip: ip_address })),
  );
  if (all.length === 0) throw new Refusal('invalid', 'No fixed IPs associated to instance');
  const found = all.find(({ fixed_ip }) => (wanted === undefined ? !fixed_ip.includes(':') : fixed_ip === wanted));
  if (found) return found;
  throw new Refusal(
    'invalid',
    wanted === undefined
      ? `Unable to associate a floating IP: instance ${id} has no fixed IPv4 addresses to associate.`
      : 'Specified fixed address not assigned to instance',
  );
}
