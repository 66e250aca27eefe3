/** What PostgreSQL spends on a resource of the network that is read by its id. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { sql } from 'kysely';
import { newId } from '../../contract/ids.ts';
import { Database } from '../kit/database/database.ts';
import { type TestDatabase, testDatabase } from '../kit/database/testing.ts';
import { type Listing, readRow } from '../kit/listing.ts';
import { floatingIpListing } from './floating-ip/floating-ip.ts';
import { networkListing } from './network/network.ts';
import { portListing } from './port/port.ts';
import { routerListing } from './router/router.ts';
import { subnetListing } from './subnet/subnet.ts';
import { testAdmin } from './testing.ts';

let db: TestDatabase;
before(async () => {
  db = await testDatabase();
});
after(() => db[Symbol.asyncDispose]());

for (const listing of [networkListing, subnetListing, portListing, routerListing, floatingIpListing] as Listing<{
  id: string;
}>[]) {
  test(`a ${listing.noun.replaceAll('_', ' ')} is read by a plan that is made once, not at each call`, async () => {
    await using stack = new AsyncDisposableStack();
    const database = new Database({ url: db.url, maxConnections: 1 });
    stack.defer(() => database.close());
    for (let n = 0; n < 10; n++) {
      await assert.rejects(readRow(database.query, testAdmin(), listing, newId()), { code: 'not_found' });
    }
    const { rows } = await sql<{ custom: number; generic: number }>`
      select custom_plans as custom, generic_plans as generic from pg_prepared_statements`.execute(database.query);
    // The first call has no name, and PostgreSQL tries five plans for the very values.
    assert.deepEqual(rows, [{ custom: 5, generic: 4 }]);
  });
}
