/** The domain of a network's guests: what its resolvers answer for, and what DHCP and router advertisements tell to search. */
import { type RawBuilder, sql } from 'kysely';

/** Neutron's default, where the network has no domain of its own. */
const defaultDomain = 'openstacklocal';

/** Lower-case, without the dot at the end. @param dnsDomain the column of table `network` */
export const domainOf = (dnsDomain: RawBuilder<unknown>): RawBuilder<string> =>
  sql`coalesce(nullif(rtrim(lower(${dnsDomain}), '.'), ''), ${sql.lit(defaultDomain)})`;
