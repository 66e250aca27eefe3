import { maintenanceOf } from '../cloud/maintenance.ts';
import { requireRoot } from '../cloud/preflight.ts';
import { type Command, dataOption } from '../command.ts';
import { loadSettings } from '../settings.ts';
import { say } from '../terminal.ts';

export const command: Command = {
  summary: 'let a host carry servers again that was emptied',
  usage: '[HOST] [--data DIRECTORY]',
  description: `HOST is a host's name; without it, this machine. What is on its way is called off where it still can be; what has left stays where it is.`,
  options: { ...dataOption },
  positionals: { min: 0, max: 1 },
  async run(args) {
    const settings = loadSettings(args.text('data'));
    requireRoot('opening a host');
    const host = await maintenanceOf(settings, args.positionals[0]);
    try {
      await host.end();
    } finally {
      await host.close();
    }
    say(`${args.positionals[0] ?? 'This machine'} carries servers again.`);
    return 0;
  },
};
