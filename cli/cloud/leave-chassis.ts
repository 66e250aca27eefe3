/**
 * The network forgets a machine: its chassis leaves the southbound database, and with it the tunnels of others to it. One that stays there keeps its address
 * for itself: a machine that joins with the same address is a new chassis, and the database takes no second one whose tunnels end there.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { hostSockets } from '../../engine/open-vswitch.ts';
import { callControl } from '../../engine/ovs-daemon.ts';
import { findEngine } from '../../engine/process.ts';
import { waitUntil } from '../../engine/wait.ts';
import { Session, type SessionOptions } from '../../protocols/ovsdb/session.ts';
import type { Settings } from '../settings.ts';
import { cloudEngines } from './engines.ts';
import { hostCredentials } from './host-certificate.ts';
import { readIdentity } from './identity.ts';

/** Of this machine, which has joined. To be called when nothing starts ovn-controller again. */
export async function leaveChassis(settings: Settings): Promise<void> {
  const engine = cloudEngines(settings).find(({ name }) => name === 'ovn-controller')!;
  if (findEngine(engine) === undefined) return leaveByItself(settings);
  const { ovsDirectory } = hostSockets(settings.paths.run);
  const pid = readFileSync(engine.pidFile, 'utf8').trim();
  // Unlike SIGTERM this takes the chassis away, as `ovn-ctl stop_controller` does. It does not end while the database is away.
  await callControl(join(ovsDirectory, `ovn-controller.${pid}.ctl`), 'exit', []);
  await waitUntil('ovn-controller to take its chassis away', async () => findEngine(engine) === undefined, {
    timeoutMs: 15_000,
  }).catch(() => {});
}

/** What can't be taken away now is by the machine of control, before the next one joins (`bothy token`). */
async function leaveByItself({ paths }: Settings): Promise<void> {
  const { hostId, joined } = readIdentity(paths) ?? {};
  if (!joined || hostId === undefined) return;
  const { ca, certificate } = hostCredentials(paths);
  const database = { target: joined.southbound, tls: { ca, ...certificate, commonName: 'bothy-control' } };
  await inSession(database, (session) => removeChassis(session, hostId)).catch(() => {});
}

/**
 * On the machine of control: the chassis of hosts that the cloud has forgotten while they were down or lost, which nobody else may take away.
 * @param known the ids of all hosts; asked after the chassis were read, since a host is known before it has one
 */
export function forgetChassis(
  database: Pick<SessionOptions, 'target' | 'tls'>,
  known: () => Promise<ReadonlySet<string>>,
): Promise<void> {
  return inSession(database, async (session) => {
    const [found] = await transact(session, { op: 'select', table: 'Chassis', where: [], columns: ['name'] });
    const names = (found?.rows ?? []).map(({ name }) => name);
    const hosts = await known();
    for (const name of names) if (!hosts.has(name)) await removeChassis(session, name);
  });
}

async function removeChassis(session: Session, name: string): Promise<void> {
  const where = [['name', '==', name]];
  const results = await transact(
    session,
    ...['Chassis', 'Chassis_Private'].map((table) => ({ op: 'delete', table, where })),
  );
  const failed = results.find((result) => result?.error);
  if (failed) throw new Error(`the southbound database keeps the chassis ${name}: ${failed.error}`);
}

async function inSession(
  database: Pick<SessionOptions, 'target' | 'tls'>,
  work: (session: Session) => Promise<void>,
): Promise<void> {
  const session = await Session.open({ ...database, probeMs: 0 });
  try {
    await work(session);
  } finally {
    session.close();
  }
}

const transact = (session: Session, ...operations: object[]): Promise<Outcome[]> =>
  session.call('transact', ['OVN_Southbound', ...operations], { timeoutMs: 5000 }) as Promise<Outcome[]>;

type Outcome = { error?: string; rows?: { name: string }[] } | null;
