/** This machine's addresses, as others reach it. */
import dgram from 'node:dgram';
import { hostname, networkInterfaces } from 'node:os';

/** The address that packets to the world leave from, IPv4 where there is one; undefined on a machine without a default route. */
export const mainAddress = async (): Promise<string | undefined> =>
  (await sourceAddress('udp4', '192.0.2.1')) ?? (await sourceAddress('udp6', '2001:db8::1'));

/** Sends nothing: "connecting" a datagram socket only looks up the route. @param destination one that documentation reserves */
function sourceAddress(type: dgram.SocketType, destination: string): Promise<string | undefined> {
  return new Promise((resolve) => {
    const socket = dgram.createSocket(type);
    socket.once('error', () => {
      socket.close();
      resolve(undefined);
    });
    socket.connect(9, destination, () => {
      const { address } = socket.address();
      socket.close();
      resolve(/^(0\.0\.0\.0|::|fe80:.*)$/.test(address) ? undefined : address);
    });
  });
}

/** All that the API's certificate should be good for: names and lasting addresses, link-local ones left out. */
export function ownNames(): string[] {
  const addresses = Object.values(networkInterfaces())
    .flatMap((list) => list ?? [])
    .map((entry) => entry.address)
    .filter((address) => !address.startsWith('fe80:'));
  return [...new Set(['localhost', hostname(), '127.0.0.1', '::1', ...addresses])];
}

/** The n-th address of a range, e.g. (172.24.4.0/24, 1) → 172.24.4.1; '' for an empty range. */
export function addressIn(cidr: string, n: number): string {
  const [base, length] = cidr.split('/');
  if (base === undefined || length === undefined) return '';
  if (!base.includes(':')) {
    const number = base.split('.').reduce((sum, part) => sum * 256 + Number(part), 0) + n;
    return [24, 16, 8, 0].map((shift) => Math.floor(number / 2 ** shift) % 256).join('.');
  }
  // Host bits of an IPv6 range are its last group here: nobody gives a machine the 65,536th address.
  return base.endsWith('::')
    ? `${base}${n.toString(16)}`
    : base.replace(/[0-9a-f]*$/i, (last) => (Number.parseInt(last, 16) + n).toString(16));
}

/** As it stands in a URL. */
export const bracketed = (address: string): string => (address.includes(':') ? `[${address}]` : address);
