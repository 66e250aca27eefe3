/**
 * Whether what is sent to another host gets through. QEMU waits for a way that is cut as long as the kernel does, a quarter of an hour, and while it connects
 * it does nothing else: so the way is tried before QEMU is told of it, and watched while it copies. That the target's kernel takes a connection says nothing
 * of its QEMU, which may stand still: it must say a word.
 */
import { connect } from 'node:net';
import { HostFault } from '../host-error.ts';

/** How long nothing may get through. */
export const silenceMs = 30_000;
const answerMs = 10_000;
/** With it an NBD server greets (NBD protocol, newstyle handshake). */
const greeting = Buffer.from('NBDMAGICIHAVEOPT');

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

/** A QEMU greets those who want disks there. @throws HostFault `way_cut` */
export function tryWay({ address, port }: { address: string; port: number }): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host: address, port });
    const timer = setTimeout(() => cut(`no answer in ${answerMs / 1000} s`), answerMs);
    const end = (): void => {
      clearTimeout(timer);
      socket.destroy();
    };
    const cut = (why: string): void => {
      end();
      const message = `the target is not reached at ${address}, port ${port}: ${why}`;
      reject(new HostFault('way_cut', message, { permanent: true }));
    };
    let heard = Buffer.alloc(0);
    socket.on('data', (chunk) => {
      heard = Buffer.concat([heard, chunk]);
      if (!heard.subarray(0, greeting.length).equals(greeting.subarray(0, heard.length)))
        return cut('no NBD server answers');
      if (heard.length < greeting.length) return;
      end();
      resolve();
    });
    socket.once('end', () => cut('it closes the connection'));
    socket.once('error', ({ message }) => cut(message));
  });
}
