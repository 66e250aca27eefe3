/** Steps at the guest's end. */
import type { DesiredServer } from '../../../contract/host/index.ts';
import { askAgent } from '../../../protocols/guest-agent/index.ts';
import type { ServerTask } from '../task.ts';
import type { StepFunction } from './step.ts';

const purposes = {
  stop: 'waiting for the guest to shut down',
  reboot: 'waiting for the guest to shut down, then starting it',
  resize: 'waiting for the guest to shut down, then resizing it',
  rescue: 'waiting for the guest to shut down, then starting the rescue',
} as const;

export const powerDown: StepFunction<'power-down'> = async ({ task, desired }, { purpose }) => {
  const { limits, log } = task.context;
  const now = performance.now();
  const seconds = desired?.hardware?.shutdownSeconds;
  const stopMs = seconds === undefined ? undefined : seconds * 1000;
  const allowedMs = purpose === 'reboot' ? limits.softRebootTimeoutMs : (stopMs ?? limits.stopTimeoutMs);
  task.powerdown ??= { deadlineMs: now + allowedMs, nextPressMs: now };
  const { powerdown } = task;
  if (now >= powerdown.deadlineMs) {
    log.info({ serverId: task.id }, 'server: the guest did not obey the power button');
    return quit(task, 'the guest did not obey the power button');
  }
  if (now >= powerdown.nextPressMs) {
    task.say(purposes[purpose]);
    await press(task, desired);
    powerdown.nextPressMs = now + limits.powerdownRepeatMs;
  }
  return Math.min(powerdown.nextPressMs, powerdown.deadlineMs) - now;
};

/** An agent that is told to shut down says nothing, and one that does not listen has this long to be found out. */
const agentWordMs = 2000;

/** The power button, and a word to the agent where there is one: a guest may hear either alone, and more often than once. */
async function press({ guest, paths }: ServerTask, desired: DesiredServer | undefined): Promise<void> {
  if (desired?.hardware?.guestAgent) {
    const timeoutMs = agentWordMs;
    askAgent(paths.agent, 'guest-shutdown', { mode: 'powerdown' }, { timeoutMs }).catch(() => {});
  }
  await guest!.powerdown();
}

/** `running` is taken back first: a host that dies in between must not take the end for a crash. */
export async function quit(task: ServerTask, why: string): Promise<undefined> {
  task.say(`ending the guest: ${why}`);
  if (task.record?.running) await task.save({ running: null });
  await task.context.step('take-back-running');
  const guest = task.guest;
  if (!guest) return;
  await guest.quit();
  task.letGo(guest);
  leaveCpuGroup(task);
}

/** Its next QEMU finds the group as it is, and erasing the server waits for its end: a process still there is no failure here. */
function leaveCpuGroup({ context, id }: ServerTask): void {
  try {
    context.cpuGroups?.leave(id);
  } catch (error) {
    context.log.warn({ err: error, serverId: id }, 'server: the group of its processes stays for now');
  }
}

export const halt: StepFunction<'halt'> = async ({ task, desired }, { error }) => {
  task.context.log.info(
    { serverId: task.id, error },
    error ? 'server: the guest died' : 'server: the guest switched itself off',
  );
  // One that switched itself off leaves its QEMU standing.
  if (!task.guest?.process.alive) leaveCpuGroup(task);
  await task.save({ running: null, memory: null, halted: { generation: desired.generation, error } });
  return undefined;
};
