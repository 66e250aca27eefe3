import type { Command } from '../command.ts';
import { restartIfCold } from '../process/strip-types.mjs';

export const command: Command = {
  summary: 'host process (internal)',
  usage: '--configuration FILE',
  description: "Runs the host process of a cloud. Started by 'bothy up', not by people.",
  options: { configuration: { type: 'string', help: 'FILE that bothy up wrote' } },
  positionals: { min: 0, max: 0 },
  async run(args) {
    const { run } = await import('../process/host.ts');
    restartIfCold();
    return run(args);
  },
};
