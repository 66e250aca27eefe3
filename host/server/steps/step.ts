/**
 * What a step is made of. It does one thing that may be done again, says what it does, and answers how long to wait before the
 * next look (nothing: at once). The hook after each step, and those within, is where crash tests die.
 */
import type { DesiredServer } from '../../../contract/host/index.ts';
import type { Step } from '../decide.ts';
import type { ServerTask } from '../task.ts';

export interface StepWork {
  task: ServerTask;
  /** There is one wherever a step is about what shall be. */
  desired: DesiredServer;
  /** Ends when something else shall be. */
  signal: AbortSignal;
}

export type Doing = Exclude<Step, { do: 'nothing' }>;

export type StepFunction<Name extends Doing['do'] = Doing['do']> = (
  work: StepWork,
  step: Extract<Doing, { do: Name }>,
) => Promise<number | undefined>;
