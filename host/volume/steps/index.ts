/** The steps of a layer: a function each, a line each. */
import type { DesiredLayer } from '../../../contract/host/index.ts';
import { HostFault } from '../../host-error.ts';
import { basesOf, type Doing } from '../decide.ts';
import type { KindStep, LayerKind } from '../kind.ts';
import type { Perform } from '../task.ts';
import { endExport, exportIt, limitExport } from './exporting.ts';
import { furnish } from './furnishing.ts';
import { dropTaken, giveBack } from './managing.ts';
import { backUp, capture, forgetOutcomes } from './outcomes.ts';
import { endReceiving, receiveWrites } from './receiving.ts';
import type { StepFunction } from './step.ts';

/** Who does what is waited for wakes the task; this is for the case that nobody does. */
const waitMs = 5000;

/** What is the same for layers of every kind. */
const functions: { [Name in Exclude<Doing['do'], KindStep>]: StepFunction<Name> } = {
  async 'await-lease'({ task }) {
    task.say('waiting for control, which has been silent for longer than it lends');
    return waitMs;
  },
  async wait({ task }, { what }) {
    task.say(what);
    return waitMs;
  },
  async 'stay-erased'() {
    const message = 'it was erased here when it was deleted: the database is older than that';
    throw new HostFault('layer_erased', message, { permanent: true });
  },
  // Tried again and again: the file may come back.
  async miss() {
    throw new HostFault('layer_missing', 'its file was made on this host and is not there any more');
  },
  async 'note-made'({ task, desired }) {
    const { ledger } = task.context;
    // Its file is what one of these says; were it not, it would have been refused.
    await ledger.mayBuildOn(task.id, basesOf(desired, ledger));
    await ledger.made(task.id);
    return undefined;
  },
  furnish,
  export: exportIt,
  'limit-export': limitExport,
  'end-export': endExport,
  'receive-writes': receiveWrites,
  'end-receiving': endReceiving,
  'drop-taken': dropTaken,
  'give-back': giveBack,
  capture,
  'back-up': backUp,
  'forget-outcomes': forgetOutcomes,
};

export function performer(kindOf: (desired: DesiredLayer) => LayerKind): Perform {
  return async (task, step, desired) => {
    const act = { ...functions, ...kindOf(desired).steps }[step.do] as StepFunction;
    const waitMs = await act({ task, desired }, step);
    await task.context.step(step.do);
    return waitMs;
  };
}
