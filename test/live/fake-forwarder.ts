/** For live tests: the name server of a machine. Any name has this one IPv4 address and none of IPv6, and those with `silent` in them are not spoken about. */
import { createSocket, type Socket } from 'node:dgram';

const aaaa = 28;

/** @param listens on port 5353 there */
export async function fakeForwarder(listens: string, address: string): Promise<Socket> {
  const socket = createSocket('udp4');
  socket.on('message', (query, from) => {
    if (query.includes('silent')) return;
    // The question without what stands behind it, as an answer with one record that points to the question's name.
    const end = query.indexOf(0, 12) + 5;
    const known = query[end - 3] !== aaaa;
    const head = Buffer.from([...query.subarray(0, 2), 0x81, 0x80, 0, 1, 0, known ? 1 : 0, 0, 0, 0, 0]);
    const record = Buffer.from([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, ...address.split('.').map(Number)]);
    const answer = Buffer.concat([head, query.subarray(12, end), ...(known ? [record] : [])]);
    socket.send(answer, from.port, from.address);
  });
  await new Promise<void>((resolve) => socket.bind(5353, listens, resolve));
  return socket;
}
