/**
 * A console between a WebSocket and a host: whole bytes both ways, whoever sends waits for whoever reads, and when one ends the other
 * does. Keeps at most what is named here of a console; nothing of it outlives the process.
 */
import type { Duplex } from 'node:stream';
import type { Logger } from 'pino';
import type { RawData, WebSocket } from 'ws';
import { guarded } from '../../contract/guarded.ts';

/** Of one direction, before its sender has to wait. */
const maxWaitingBytes = 256 * 1024;
/** A viewer that has vanished without a word is found out by this. */
const pingMs = 30_000;
/** A peer that does not answer the closing handshake is cut off after this. */
const closeGraceMs = 2000;

export function relayConsole(webSocket: WebSocket, console: Duplex, log: Logger): void {
  let heard = true;
  const pinging = setInterval(() => {
    if (!heard) return webSocket.terminate();
    heard = false;
    webSocket.ping();
  }, pingMs);
  const end = (code: number) => {
    clearInterval(pinging);
    console.destroy();
    // A paused socket would never read the peer's answer.
    webSocket.resume();
    webSocket.close(code);
    setTimeout(() => webSocket.terminate(), closeGraceMs).unref();
  };
  const mine = <Arguments extends unknown[]>(handler: (...args: Arguments) => void) =>
    guarded(handler, (err: unknown, ..._args: Arguments) => {
      log.error({ err }, 'console: bytes could not be handed on');
      end(1011);
    });
  webSocket.on(
    'message',
    mine((data: RawData) => {
      if (!console.write(data as Buffer)) webSocket.pause();
    }),
  );
  webSocket.on('pong', () => {
    heard = true;
  });
  webSocket.on(
    'close',
    mine(() => end(1000)),
  );
  webSocket.on(
    'error',
    mine(() => end(1002)),
  );
  console.on('drain', () => webSocket.resume());
  console.on(
    'data',
    mine((bytes: Buffer) => {
      webSocket.send(bytes, () => {
        if (webSocket.bufferedAmount <= maxWaitingBytes) console.resume();
      });
      if (webSocket.bufferedAmount > maxWaitingBytes) console.pause();
    }),
  );
  console.on('error', (err) => log.info({ err }, 'console: the host broke off'));
  // The guest was switched off, somebody else has its serial port, or its host is gone.
  console.on(
    'close',
    mine(() => end(1001)),
  );
}
