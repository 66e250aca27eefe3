import { existsSync } from 'node:fs';
import { cloudLayout } from '../cloud/layout.ts';
import { type CloudState, observeCloud } from '../cloud/observe.ts';
import { type Command, dataOption } from '../command.ts';
import { dataArgument, loadSettings, type Settings } from '../settings.ts';
import { bold, green, red, say, table, yellow } from '../terminal.ts';

export const command: Command = {
  summary: 'what runs',
  usage: '[--json] [--data DIRECTORY]',
  description: `Shows the processes of the cloud with state, memory and restarts. Exit code 0 if everything serves, 1 if not.
'bothy doctor' looks deeper and says what to do.`,
  options: { json: { type: 'boolean', help: 'for programs' }, ...dataOption },
  positionals: { min: 0, max: 0 },
  async run(args) {
    const settings = loadSettings(args.text('data'));
    const state = await observeCloud(settings);
    if (args.flag('json')) say(JSON.stringify(state, null, 2));
    else show(state, settings);
    return state.state === 'up' ? 0 : 1;
  },
};

function show(state: CloudState, { paths, values }: Settings): void {
  const { data } = paths;
  const colour = state.state === 'up' ? green : state.state === 'down' ? red : yellow;
  say(
    `Cloud in ${data}: ${bold(colour(state.state))}${state.supervisor === null ? '' : `, supervisor pid ${state.supervisor}`}`,
  );
  if (state.joined) say(`A host of the cloud at ${state.publicUrl}`);
  else if (state.publicUrl !== null && ['up', 'starting'].includes(state.state))
    say(`Identity: ${state.publicUrl}/identity/v3`);
  // For dumps and a look inside; the runbooks' `<tag>` is in it.
  if (!state.joined && state.state === 'up' && values.database_url === '')
    say(`Database: bothy, in PostgreSQL at ${cloudLayout(paths).postgres.socketDirectory}`);
  if (state.processes.some((item) => item.pid !== null)) {
    const rows = state.processes.map((item) => [
      item.name,
      item.state,
      item.pid === null ? '-' : String(item.pid),
      item.pid === null ? '-' : duration(item.uptimeSeconds),
      item.pid === null ? '-' : `${item.memoryMiB.toFixed(0)} MiB`,
      item.restarts === 0 ? '' : `${item.restarts} restarts, last: ${item.lastError}`,
    ]);
    say(table([['PROCESS', 'STATE', 'PID', 'UP', 'MEMORY', ''], ...rows]));
  }
  if (state.state === 'unsupervised')
    say("The supervisor is gone but its processes go on; 'bothy up --detach' takes them over.");
  if (state.state === 'kept')
    say(
      "The cloud is down; guests and their network go on (those with an evacuation policy stand still or end without a lease): 'bothy up --detach', or 'bothy down' for them too.",
    );
  if (state.state === 'down' && !existsSync(paths.identityFile)) say('(None has ever been started there.)');
  if (state.state === 'down') say(`Start it: sudo ./bothy up --detach${dataArgument(paths)}`);
}

export function duration(total: number): string {
  const units: [string, number][] = [
    ['d', 86_400],
    ['h', 3_600],
    ['min', 60],
  ];
  for (const [unit, size] of units) if (total >= size) return `${Math.floor(total / size)} ${unit}`;
  return `${Math.floor(total)} s`;
}
