/**
 * Whether what is sent to another host gets through. QEMU waits for a way that is cut as long as the kernel does, a quarter of an hour, and while it connects
 * it does nothing else: so the way is tried before QEMU is told of it, and watched while it copies.
 */
import { connect } from 'node:net';
import { HostFault } from '../host-error.ts';

/** How long nothing may get through. */
export const silenceMs = 30_000;
const connectMs = 3000;

export interface Passed {
  bytes: number;
  /** By performance.now(): when it was the first time so many. */
  atMs: number;
}

/** @returns what is to be remembered until the next look. @throws HostFault `way_cut` */
export function watchWay(before: Passed | undefined, bytes: number, nowMs = performance.now()): Passed {
  if (before?.bytes !== bytes) return { bytes, atMs: nowMs };
  if (nowMs - before.atMs > silenceMs)
    throw new HostFault('way_cut', `nothing has reached the target for ${silenceMs / 1000} s`, { permanent: true });
  return before;
}

/** Somebody takes connections there. @throws HostFault `way_cut` */
export function tryWay({ address, port }: { address: string; port: number }): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host: address, port, timeout: connectMs });
    const cut = (why: string) => {
      socket.destroy();
      reject(
        new HostFault('way_cut', `the target is not reached at ${address}, port ${port}: ${why}`, { permanent: true }),
      );
    };
    socket.once('connect', () => {
      socket.destroy();
      resolve();
    });
    socket.once('timeout', () => cut(`no answer in ${connectMs / 1000} s`));
    socket.once('error', ({ message }) => cut(message));
  });
}
