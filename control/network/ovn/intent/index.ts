/** desired rows = f(model), for each unit. A unit whose resource is gone has none. */
import type { DesiredRow } from '../desired.ts';
import type { IndexedModel } from '../model.ts';
import { idOf, kindOf, type Unit } from '../units.ts';
import { hostRows } from './local-ip.ts';
import { networkRows } from './network.ts';
import { portRows } from './port.ts';
import { routerRows } from './router.ts';
import { addressGroupRows, dropRows, securityGroupRows } from './security.ts';

export function desiredRows(model: IndexedModel, name: Unit): DesiredRow[] {
  const id = idOf(name);
  switch (kindOf(name)) {
    case 'cloud':
      return dropRows();
    case 'host':
      return hostRows(model, id);
    case 'network':
      return networkRows(model, id);
    case 'address_group':
      return addressGroupRows(model, id);
    case 'security_group':
      return securityGroupRows(model, id);
    case 'port':
      return portRows(model, id);
    case 'router':
      return routerRows(model, id);
  }
}
