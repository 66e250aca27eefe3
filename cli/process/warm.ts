/**
 * A long-lived process that had to strip types of its sources keeps the stripper's 30 MiB (and more) for life. So where the compile
 * cache was cold, a process that has loaded all its code writes the cache and becomes itself anew, before it opens anything:
 * same pid, same arguments, no stripper.
 */
import { flushCompileCache, getCompileCacheDir } from 'node:module';

const variable = 'BOTHY_CACHE_WARM';

export function restartIfCold(): void {
  const stripped = (process as unknown as { moduleLoadList: string[] }).moduleLoadList.some((name) =>
    name.includes('amaro'),
  );
  // Without a cache, or where the second time is as cold as the first (a read-only disk), it stays as it is.
  if (!stripped || process.env[variable] !== undefined || getCompileCacheDir() === undefined) return;
  flushCompileCache();
  const argv = [process.execPath, ...process.execArgv, ...process.argv.slice(1)];
  process.execve?.(process.execPath, argv, { ...process.env, [variable]: '1' } as Record<string, string>);
}
