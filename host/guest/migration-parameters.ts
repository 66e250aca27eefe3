/** How a QEMU sends its memory, and takes one in. Each QEMU keeps what it was last told, so each sending and taking in says all of it. */
import type { Execute } from '../../protocols/qmp/index.ts';

/** The object that has the key of a way to another host. */
export const credentials = 'migration';

const capabilities = ['events', 'pause-before-switchover', 'auto-converge', 'multifd'] as const;
type Capability = (typeof capabilities)[number];

/** As high as QEMU takes it. Its own limit is that of a network that others use too. */
const unlimited = 2 ** 50;

async function say(execute: Execute, on: readonly Capability[], parameters: Record<string, unknown>): Promise<void> {
  await execute('migrate-set-capabilities', {
    capabilities: capabilities.map((capability) => ({ capability, state: on.includes(capability) })),
  });
  await execute('migrate-set-parameters', parameters);
}

/** To a file, or from one. */
export const toFile = (execute: Execute): Promise<void> =>
  say(execute, [], { 'max-bandwidth': unlimited, 'tls-creds': '' });

/**
 * To another host. Without QEMU's return path: a source that waits for the target's word lets its guest run again by itself where that is lost, with the
 * target running it already (7.2; findings/qemu-lets-a-source-run-whose-target-has-the-guest.sh). This way neither `completed` nor `failed` at the end says whether the
 * target has all of it: what was written last may have arrived although the source saw an error. After `failed` QEMU lets the guest run again by itself, see ../server/steps/sending.ts.
 */
export const toHost = (execute: Execute): Promise<void> =>
  say(execute, ['events', 'pause-before-switchover', 'auto-converge'], {
    ...{ 'max-bandwidth': unlimited, 'tls-creds': credentials, 'downtime-limit': downtimeMs },
  });

/** What may be left to send when the guest is stopped takes so long. */
const downtimeMs = 100;

export const fromHost = (execute: Execute): Promise<void> => say(execute, ['events'], { 'tls-creds': credentials });
