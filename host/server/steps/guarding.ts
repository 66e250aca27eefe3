/** Steps of a guest that may not outlive the lease: see ../../lease/README.md. */
import type { StepFunction } from './step.ts';

/** A watchdog may be in the middle of a look at a lease that had ended: it is looked at once more. */
const againMs = 1000;

export const guardGuest: StepFunction<'guard'> = async ({ task }, { onLeaseEnd }) => {
  await task.context.guard.guard(task.id, task.guest!.process.pid, onLeaseEnd);
  return undefined;
};

export const unguardGuest: StepFunction<'unguard'> = async ({ task }) => {
  task.context.guard.unguard(task.id);
  return undefined;
};

export const releaseGuest: StepFunction<'release'> = async ({ task }) => {
  task.say('the guest goes on: control lends it again');
  task.context.guard.release(task.guest!.process.pid);
  return againMs;
};
