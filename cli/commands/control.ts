import type { Command } from '../command.ts';
import { restartIfCold } from '../process/strip-types.mjs';

export const command: Command = {
  summary: 'control process (internal)',
  usage: '--configuration FILE',
  description: "Runs the control process of a cloud. Started by 'bothy up', not by people.",
  options: { configuration: { type: 'string', help: 'FILE that bothy up wrote' } },
  positionals: { min: 0, max: 0 },
  async run(args) {
    const { run } = await import('../process/control.ts');
    restartIfCold();
    return run(args);
  },
};
