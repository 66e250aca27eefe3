import { hostname } from 'node:os';
import { UsageError } from '../arguments.ts';
import { joinCloud } from '../cloud/join.ts';
import { underMachineLock } from '../cloud/machine-lock.ts';
import { requireCloudNamespace } from '../cloud/namespace.ts';
import { requireRoot } from '../cloud/preflight.ts';
import { bringUp } from '../cloud/start.ts';
import { type Command, dataOption } from '../command.ts';
import { dataArgument, loadSettings } from '../settings.ts';
import { say, step } from '../terminal.ts';

export const command: Command = {
  summary: 'make this machine a host of a cloud that runs elsewhere',
  usage: 'URL --token TOKEN [--name NAME] [--data DIRECTORY]',
  description: `'bothy token' on the machine of control prints the whole command. Looks at this machine and at the cloud first: what does not fit is refused with
its cure, and nothing is changed. Then it becomes a host, installs what is missing, and runs in the background. Safe to repeat: what was interrupted goes on.

What other machines must reach here: host_port (TCP) and tunnels (UDP 6081); what this one must reach: the APIs' port and southbound_port of control's machine.
Settings: bothy.conf in the data directory, as for 'bothy up'; 'tunnels' and 'external_interface' are this machine's own.`,
  options: {
    token: { type: 'string', help: "TOKEN that 'bothy token' made" },
    name: { type: 'string', help: "NAME as a host (default: this machine's)" },
    ...dataOption,
  },
  positionals: { min: 1, max: 1 },
  async run(args) {
    const settings = loadSettings(args.text('data'));
    const token = args.text('token');
    const url = args.positionals[0]!.replace(/\/$/, '');
    if (!/^https:\/\/[^/]+$/.test(url) || !URL.canParse(url))
      throw new UsageError(`'${url}' is not https://NAME:PORT, without a path`);
    if (token === undefined)
      throw new UsageError("--token TOKEN is needed; 'bothy token' on the first machine makes one");
    requireRoot('joining a cloud');
    requireCloudNamespace(settings);
    const name = args.text('name') ?? hostname();
    await step('joining the cloud', () => underMachineLock(() => joinCloud(settings, { url, token, name }, dieAfter)));
    await bringUp(settings, 'host');
    say(
      `This machine is a host of the cloud at ${url}. Take it out again: sudo ./bothy leave${dataArgument(settings.paths)}`,
    );
    return 0;
  },
};

/** For tests of a join that ends on any line. */
function dieAfter(done: string): void {
  if (process.env.BOTHY_TEST_DIE_AFTER === done) process.kill(process.pid, 'SIGKILL');
}
