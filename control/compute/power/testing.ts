/** A host's BMC, fake and on the wire, in a test database. Tests only. */
import { randomBytes } from 'node:crypto';
import { sql } from 'kysely';
import { newId } from '../../../contract/ids.ts';
import { Secret } from '../../../contract/secret.ts';
import { FakeBmc, type FakeBmcOptions } from '../../../simulator/redfish/index.ts';
import { testAuthority } from '../../../test/support/certificates.ts';
import { Sealer } from '../../identity/index.ts';
import type { Caller } from '../../kit/caller.ts';
import type { Database } from '../../kit/database/database.ts';
import { BmcService } from './service.ts';

const user = 'bothy';
const password = 'a Пароль';

export interface BmcWorld extends AsyncDisposable {
  sealer: Sealer;
  service: BmcService;
  /** One of this host's; what it does with its machine is the test's. Where no `uuid` is said both say one. */
  give(hostId: string, over?: Partial<FakeBmcOptions> & { fences?: boolean }): Promise<FakeBmc>;
}

export async function bmcWorld(database: Database, admin: Caller): Promise<BmcWorld> {
  const tls = await (await testAuthority()).issue('bmc');
  const sealer = new Sealer([new Secret(randomBytes(32))]);
  const service = new BmcService({ database, sealer });
  const stack = new AsyncDisposableStack();
  return {
    sealer,
    service,
    async give(hostId, { fences = true, ...over } = {}) {
      const uuid = newId();
      if (!('uuid' in over))
        await sql`update host set facts = facts || ${JSON.stringify({ machineUuid: uuid })}::jsonb where id = ${hostId}`.execute(
          database.query,
        );
      const bmc = stack.use(new FakeBmc({ tls, user, password, uuid, ...over }));
      const url = await bmc.listen();
      await service.set(admin, hostId, { url, user, password, trust: { ca: tls.ca }, fences });
      return bmc;
    },
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
}
