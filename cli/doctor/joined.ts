/** What hosts need of each other and of control, looked at from this machine. */

import { parseTarget } from '../../protocols/ovsdb/target.ts';
import { mainAddress } from '../cloud/addresses.ts';
import { askControl } from '../cloud/control-client.ts';
import { hostCredentials } from '../cloud/host-certificate.ts';
import type { JoinedCloud } from '../cloud/identity.ts';
import { requireTunnels, tunnelMtu } from '../cloud/tunnels.ts';
import { CommandError } from '../command.ts';
import type { Settings } from '../settings.ts';
import { checkClocks } from './cloud.ts';
import { type Finding, ok, problem, warning } from './finding.ts';

/** Control and the southbound database of a machine that has joined: both answer it, and the clocks agree. */
export async function checkControlOf({ paths }: Settings, joined: JoinedCloud): Promise<Finding[]> {
  const findings: Finding[] = [];
  const credentials = hostCredentials(paths);
  try {
    const { status, clockMs } = await askControl({
      method: 'GET',
      url: joined.controlUrl,
      path: '/native/v1',
      ca: credentials.ca,
    });
    findings.push(
      status === 200
        ? ok('control', `${joined.controlUrl} answers`)
        : problem('control', `${joined.controlUrl} answers ${status}`, 'bothy doctor, on the machine of control'),
    );
    // The answer has whole seconds: what is left of one says nothing.
    if (clockMs !== undefined)
      findings.push(...checkClocks([{ of: 'control', offsetMs: Math.abs(clockMs) <= 500 ? 0 : clockMs }]));
  } catch (error) {
    if (!(error instanceof CommandError)) throw error;
    findings.push(problem('control', error.message, error.cure));
  }
  return [...findings, await checkSouthbound(joined.southbound)];
}

async function checkSouthbound(target: string): Promise<Finding> {
  const { connect } = await import('node:net');
  const parsed = parseTarget(target);
  const why = await new Promise<string | undefined>((resolve) => {
    const socket = connect({
      ...('path' in parsed ? { path: parsed.path } : { host: parsed.host, port: parsed.port }),
      timeout: 5000,
    });
    const end = (said?: string) => {
      socket.destroy();
      resolve(said);
    };
    socket.once('connect', () => end());
    socket.once('timeout', () => end('no answer in 5 s'));
    socket.once('error', (error: NodeJS.ErrnoException) => end(error.code ?? error.message));
  });
  if (why === undefined) return ok('network database', `${target} can be reached`);
  return problem(
    'network database',
    `${target}: ${why}`,
    "is 'southbound_port' of control's machine open to this one?",
  );
}

/** Nothing to say of a machine that is alone and sends none. */
export async function checkTunnels(settings: Settings, joined: JoinedCloud | undefined): Promise<Finding[]> {
  if (!joined && settings.values.tunnels === '') return [];
  try {
    await requireTunnels(settings);
  } catch (error) {
    if (!(error instanceof CommandError)) throw error;
    return [problem('tunnels', error.message, error.cure)];
  }
  const found = await tunnelMtu(settings, joined?.address ?? (await mainAddress()));
  if (!found)
    return [warning('tunnels', 'no card has their address', 'the running host gives it to the card; else: ip addr')];
  const detail = `${found.device}, MTU ${found.mtu}`;
  return found.mtu >= found.needed
    ? [ok('tunnels', detail)]
    : [
        problem(
          'tunnels',
          `${detail}: whole frames of guests need ${found.needed}`,
          `ip link set ${found.device} mtu ${found.needed}`,
        ),
      ];
}
