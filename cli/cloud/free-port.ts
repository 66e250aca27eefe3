/**
 * A port for a process that is told which one to listen at. It is none of those that the kernel lends to outgoing connections: one of
 * these may be lent to anybody between this look and the process's start, or while the process is away for a restart.
 */
import { randomInt } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:net';

/** Below are the ports that services of the machine have. */
const first = 10_000;

/** Where the kernel's own begin; 32768 by default. */
function firstLent(): number {
  try {
    return Number.parseInt(readFileSync('/proc/sys/net/ipv4/ip_local_port_range', 'utf8'), 10);
  } catch {
    return 32_768;
  }
}

/** A TCP port that nobody on this machine listens at now; two calls hardly ever answer the same. */
export async function freePort(): Promise<number> {
  const end = Math.max(firstLent(), first + 1000);
  for (;;) {
    const port = randomInt(first, end);
    const server = createServer();
    const free = await new Promise<boolean>((resolve) => {
      server.once('error', () => resolve(false));
      server.listen(port, () => resolve(true));
    });
    if (!free) continue;
    await new Promise((resolve) => server.close(resolve));
    return port;
  }
}
