/** What a step is made of: one thing that may be done again. It answers how long to wait before the next look (nothing: at once). */
import type { DesiredLayer } from '../../../contract/host/index.ts';
import type { Doing } from '../decide.ts';
import type { LayerTask } from '../task.ts';

export interface StepWork {
  task: LayerTask;
  desired: DesiredLayer;
}

export type StepFunction<Name extends Doing['do'] = Doing['do']> = (
  work: StepWork,
  step: Extract<Doing, { do: Name }>,
) => Promise<number | undefined>;
