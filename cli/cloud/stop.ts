/**
 * Brings a cloud down. Order: the host process first, so that nobody starts a guest again; then the guests, by ACPI with
 * a deadline; then everything else in reverse order. What was desired stays in the database, so the next start brings
 * the same guests back.
 */
import type { Engine } from '../../engine/engine.ts';
import { findEngine, stopEngine } from '../../engine/process.ts';
import { proxyEngine, stopResolvers } from '../../host/network/index.ts';
import type { Settings } from '../settings.ts';
import { ask } from '../supervisor/socket.ts';
import { stopOrphans } from '../supervisor/supervisor.ts';
import { step } from '../terminal.ts';
import { cloudEngines } from './engines.ts';
import { runningGuests, stopExports, stopGuests } from './guests.ts';
import { cloudLayout } from './layout.ts';

/** Answers false where nothing ran. */
export async function stopCloud(
  settings: Settings,
  options: { keepGuests: boolean; guestDeadlineMs: number },
): Promise<boolean> {
  const layout = cloudLayout(settings.paths);
  const engines = cloudEngines(settings);
  const running = engines.filter((engine) => findEngine(engine) !== undefined);
  const guests = options.keepGuests ? [] : await runningGuests(settings);
  const supervised = (await ask(layout.supervisorSocket, { command: 'status' })) !== undefined;
  if (running.length === 0 && guests.length === 0 && !supervised) return false;
  // Guests need their network to the end, so the supervisor's first stop leaves it up.
  await step('stopping the processes', async (progress) => {
    await ask(layout.supervisorSocket, { command: 'stop', keepGuests: true }, (answer) => {
      const left = answer.engines.filter((engine) => engine.pid !== null && engine.state !== 'stopped');
      progress.detail(left.map((engine) => engine.name).join(', '));
    });
    await stopOrphans(engines, { keepGuests: true });
  });
  if (options.keepGuests) return true;
  if (guests.length > 0) {
    await step(`stopping ${guests.length} guests`, (progress) =>
      stopGuests(settings, { deadlineMs: options.guestDeadlineMs, progress }),
    );
  }
  await stopExports(settings);
  await step('stopping the network', async () => {
    await stopOrphans(engines as Engine[], { keepGuests: false });
    await stopEngine(proxyEngine({ runDirectory: settings.paths.run }));
    await stopResolvers(settings.paths.run);
  });
  return true;
}
