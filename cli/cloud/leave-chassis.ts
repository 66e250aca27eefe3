/** The network forgets this machine: its chassis leaves the southbound database, and with it the tunnels of others to it. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { hostSockets } from '../../engine/open-vswitch.ts';
import { callControl } from '../../engine/ovs-daemon.ts';
import { findEngine } from '../../engine/process.ts';
import { waitUntil } from '../../engine/wait.ts';
import type { Settings } from '../settings.ts';
import { cloudEngines } from './engines.ts';

/** To be called when nothing starts ovn-controller again; nothing is done where it does not run. */
export async function leaveChassis(settings: Settings): Promise<void> {
  const engine = cloudEngines(settings).find(({ name }) => name === 'ovn-controller')!;
  if (findEngine(engine) === undefined) return;
  const { ovsDirectory } = hostSockets(settings.paths.run);
  const pid = readFileSync(engine.pidFile, 'utf8').trim();
  // Unlike SIGTERM this takes the chassis away, as `ovn-ctl stop_controller` does. It does not end while the database is away.
  await callControl(join(ovsDirectory, `ovn-controller.${pid}.ctl`), 'exit', []);
  await waitUntil('ovn-controller to take its chassis away', async () => findEngine(engine) === undefined, {
    timeoutMs: 15_000,
  }).catch(() => {});
}
