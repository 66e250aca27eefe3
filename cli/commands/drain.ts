import { maintenanceOf, sayWhatIsLeft, untilDrained } from '../cloud/maintenance.ts';
import { requireRoot } from '../cloud/preflight.ts';
import { type Command, dataOption } from '../command.ts';
import { dataArgument, loadSettings } from '../settings.ts';
import { faint, say } from '../terminal.ts';

export const command: Command = {
  summary: 'empty a host: its servers move to others, live where they run',
  usage: '[HOST] [--reason TEXT] [--no-wait] [--data DIRECTORY]',
  description: `HOST is a host's name; without it, this machine. It gets no new servers; those that it has move away, two at a time, and what does not go is named
with the reason and what would help. The cloud goes on with it when the command is interrupted, and until 'bothy undrain'.
On a machine that has joined it is for that machine alone; for any host run it on the machine of control.`,
  options: {
    reason: { type: 'string', help: 'TEXT that people are told' },
    'no-wait': { type: 'boolean', help: 'do not wait until the host is empty' },
    ...dataOption,
  },
  positionals: { min: 0, max: 1 },
  async run(args) {
    const settings = loadSettings(args.text('data'));
    requireRoot('emptying a host');
    const host = await maintenanceOf(settings, args.positionals[0]);
    try {
      await host.begin(args.text('reason') ?? null);
      const undo = `sudo ./bothy undrain${args.positionals[0] ? ` ${args.positionals[0]}` : ''}${dataArgument(settings.paths)}`;
      if (args.flag('no-wait')) {
        say(faint(`it is being emptied; to take it back: ${undo}`));
        return 0;
      }
      const found = await untilDrained(host);
      if (found === null) return 1;
      if (found.state === 'drained') say(`No server is left on ${found.host}. ${faint(`To use it again: ${undo}`)}`);
      else sayWhatIsLeft(found);
      return found.state === 'drained' ? 0 : 1;
    } finally {
      await host.close();
    }
  },
};
