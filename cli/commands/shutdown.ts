import { setTimeout as wait } from 'node:timers/promises';
import { maintenanceOf } from '../cloud/maintenance.ts';
import { requireRoot } from '../cloud/preflight.ts';
import { bootId, drainFor, inhibitDelayMs, shutdownTimes } from '../cloud/shutdown.ts';
import { stopCloud } from '../cloud/stop.ts';
import { type Command, dataOption } from '../command.ts';
import { loadSettings, type Settings } from '../settings.ts';
import { say } from '../terminal.ts';

export const command: Command = {
  summary: 'move servers away and stop, for the machine goes down (internal)',
  usage: '[--over] [--data DIRECTORY]',
  description: `The supervisor runs it when systemd says that the machine goes down, and, with --over, at its start: what the shutdown before asked for is over then.`,
  options: { over: { type: 'boolean', help: 'the machine is up again' }, ...dataOption },
  positionals: { min: 0, max: 0 },
  async run(args) {
    requireRoot('a shutdown');
    const settings = loadSettings(args.text('data'));
    if (args.flag('over')) return takeBack(settings);
    const calledOff = new AbortController();
    process.once('SIGTERM', () => calledOff.abort());
    const wantedMs = 1000 * Number(settings.values.shutdown_seconds);
    const { drainMs, guestDeadlineMs } = shutdownTimes({ delayMs: await inhibitDelayMs(), wantedMs });
    if (settings.values.on_shutdown === 'drain') {
      const host = await maintenanceOf(settings, undefined);
      const outcome = await drainFor(host, { drainMs, calledOff: calledOff.signal });
      if (outcome === 'called off') await host.endShutdown(null);
      await host.close();
      say(`servers that move away: ${outcome}`);
      if (outcome === 'called off') return 0;
    }
    await stopCloud(settings, { keepGuests: false, guestDeadlineMs });
    return 0;
  },
};

const patienceMs = 10 * 60_000;

/** As soon as the cloud answers. */
async function takeBack(settings: Settings): Promise<number> {
  for (const until = performance.now() + patienceMs; performance.now() < until; await wait(2000)) {
    const host = await maintenanceOf(settings, undefined);
    try {
      await host.endShutdown(bootId());
      return 0;
    } catch {
      // Not yet.
    } finally {
      await host.close();
    }
  }
  say("the cloud did not answer: 'bothy undrain' takes back what the shutdown asked for");
  return 1;
}
