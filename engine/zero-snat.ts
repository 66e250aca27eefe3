/**
 * An ability of Open vSwitch that OVN must not use with the userspace datapath: to commit connections with a source translation to no address.
 * ovn-controller does so wherever a datapath says that it can. In the connection tracking of ovs-vswitchd 3.1.0 an ordinary connection that was
 * so committed ends the whole switch by an assertion of its own when another one follows with the same ports; newer versions have it mended. Where
 * a datapath does not offer it, ovn-controller does as it did before there was such a thing.
 *
 * ovs-vswitchd writes what it can when it makes the datapath. Here it is put right before each start of ovn-controller; what comes later, the host
 * process sees and puts right (host/network/state.ts).
 */
import { Session } from '../protocols/ovsdb/session.ts';

export const zeroSnat = 'ct_zero_snat';
/** What the database calls the datapath that is ovs-vswitchd itself. */
export const userspaceDatapath = 'netdev';

/** @param socket of the Open vSwitch database */
export async function withdrawZeroSnat(socket: string): Promise<void> {
  const offered = ['map', [[zeroSnat, 'true']]];
  const session = await Session.open({ target: `unix:${socket}`, probeMs: 0, connectTimeoutMs: 2000 });
  try {
    const transact = (...operations: object[]) =>
      session.call('transact', ['Open_vSwitch', ...operations], { timeoutMs: 2000 });
    const [found] = (await transact({ op: 'select', table: 'Open_vSwitch', where: [], columns: ['datapaths'] })) as [
      { rows: { datapaths: ['map', [string, ['uuid', string]][]] }[] },
    ];
    const uuid = found.rows[0]?.datapaths[1].find(([type]) => type === userspaceDatapath)?.[1];
    if (!uuid) return;
    await transact({
      op: 'mutate',
      table: 'Datapath',
      where: [
        ['_uuid', '==', uuid],
        ['capabilities', 'includes', offered],
      ],
      mutations: [
        ['capabilities', 'delete', offered],
        ['capabilities', 'insert', ['map', [[zeroSnat, 'false']]]],
      ],
    });
  } finally {
    session.close();
  }
}
