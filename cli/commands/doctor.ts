import { type Command, CommandError, dataOption } from '../command.ts';

export const command: Command = {
  summary: 'doctor',
  usage: '',
  description: '',
  options: { ...dataOption },
  positionals: { min: 0, max: 0 },
  async run() {
    throw new CommandError('not there yet', '');
  },
};
