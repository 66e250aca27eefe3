/**
 * The last resort against an exception that left a handler (docs/decisions/0009-an-exception-ends-no-process.md): it is
 * written down and the process goes on. Ending would be worse on both sides: whoever found the way in would end control
 * for everyone as often as they like, and a host that restarts adopts every guest anew. What the exception interrupted is
 * begun again by a timer or by the next signal, as after a crash. `bothy doctor` tells of it until the process is restarted.
 */
import type { Logger } from 'pino';
import type { HealthPart } from './health.ts';

export interface LastResort extends Disposable {
  /** Undefined where nothing has escaped. */
  health(): HealthPart | undefined;
}

/** From here on nothing that escapes a handler ends this process. Call it once, when the start has succeeded. */
export function surviveDefects(log: Logger, emitter: NodeJS.EventEmitter = process): LastResort {
  let count = 0;
  let last = '';
  const survive = (error: unknown, origin: unknown) => {
    count += 1;
    last = error instanceof Error ? error.message : String(error);
    // A logger that fails must not bring it back here.
    try {
      log.error({ err: error, origin }, 'an exception left its handler; the process goes on, please report this');
    } catch {}
  };
  // Rejections arrive here too, with their origin, as long as nobody listens for them separately.
  emitter.on('uncaughtException', survive);
  return {
    health: () =>
      count === 0
        ? undefined
        : {
            name: 'defects',
            ok: false,
            detail: `${count} exceptions left their handlers since the start, the last: ${last.slice(0, 200)}`,
            cure: 'report the line of the log; restarting the process clears this',
          },
    [Symbol.dispose]() {
      emitter.off('uncaughtException', survive);
    },
  };
}
