/**
 * Handlers that no exception leaves. What an emitter, a timer or a socket calls has no caller of ours above it: an
 * exception there ends the process, and with it every other tenant's requests. So a handler that sees bytes of someone
 * else is registered through this, and says what becomes of its one connection when it fails.
 */

/**
 * The handler, with its exceptions and rejections handed to `failed` instead of the event loop.
 * @param failed must not throw: it logs and lets go of the one thing that the handler served
 */
export function guarded<Arguments extends unknown[]>(
  handler: (...args: Arguments) => unknown,
  failed: (error: unknown, ...args: Arguments) => void,
): (...args: Arguments) => void {
  return (...args) => {
    try {
      const result = handler(...args);
      if (result instanceof Promise) result.catch((error: unknown) => failed(error, ...args));
    } catch (error) {
      failed(error, ...args);
    }
  };
}
