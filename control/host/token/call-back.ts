/**
 * Calls a machine back at the address where it says that others will reach it, before it becomes a host: an address that is mistyped, another's, or behind
 * a filter is found while nothing has been changed. The machine says a word there that it has told in its request; whoever says another is
 * another machine. Owns one connection for as long as the call lasts.
 */
import { connect } from 'node:net';

const callMs = 5000;
const mostBytes = 200;

/** What the machine says to whoever connects. @param word of its request */
export const greeting = (word: string): string => `bothy-join ${word}\n`;

/** Undefined where the machine itself answers; else what was met, for people. */
export function callBack(options: { address: string; port: number; word: string }): Promise<string | undefined> {
  const { address, port, word } = options;
  return new Promise((resolve) => {
    let heard = '';
    const socket = connect({ host: address, port });
    const end = (why?: string) => {
      clearTimeout(timer);
      socket.destroy();
      resolve(why);
    };
    const timer = setTimeout(() => end(`no answer in ${callMs / 1000} s`), callMs);
    socket.once('error', (error: NodeJS.ErrnoException) => end(error.code ?? error.message));
    socket.once('close', () => end('another machine answers there'));
    socket.on('data', (bytes) => {
      heard += bytes.toString('latin1');
      if (heard === greeting(word)) end();
      else if (heard.length >= mostBytes || !greeting(word).startsWith(heard)) end('another machine answers there');
    });
  });
}
