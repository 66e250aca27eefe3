/** Where tenants' downloads may go: to public addresses that are not the cloud's own, and wherever the administrator allows. */
import { isIP } from 'node:net';
import { networkInterfaces } from 'node:os';
import { listEndpoints } from '../host/index.ts';
import type { Database } from '../kit/database/database.ts';
import { addressList } from './address.ts';
import type { WebRulesNow } from './web-source.ts';

export interface WebRulesOptions {
  database: Database;
  /** Ranges, or single addresses, that may be private. */
  ranges: readonly string[];
  /** Beside 80 and 443. */
  ports: readonly number[];
}

export function webRules({ database, ranges, ports }: WebRulesOptions): WebRulesNow {
  const allowed = addressList(ranges);
  return async () => {
    const hosts = (await listEndpoints(database.query)).flatMap(({ url }) =>
      URL.canParse(url) ? [new URL(url).hostname.replace(/^\[(.*)\]$/, '$1')] : [],
    );
    const here = Object.values(networkInterfaces()).flatMap((all) => (all ?? []).map(({ address }) => address));
    return { allowed, ports, own: addressList([...here, ...hosts].filter((address) => isIP(address) !== 0)) };
  };
}
