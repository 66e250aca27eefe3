import type { GuestHardware } from '../../../contract/host/index.ts';
import type { CardLimits } from '../../network/port/tables.ts';
import type { HostWish } from '../placement/host-wish.ts';

/** As the server's row keeps it. */
export interface ServerHardware extends Omit<GuestHardware, 'guestAgent'> {
  guest_agent?: boolean;
  /** Whose password is the guest's (os_admin_user; else by os_type). */
  admin_user?: string;
  /** The one that the image asks for; else the newest of its first host. */
  machine_type?: string;
  /** The network's business (control/network/ovn); its host hears nothing of it. */
  card_limits?: CardLimits;
  /** What its host shall be; placement's business. */
  host_wish?: HostWish;
  /** Of the image's properties those that are about the machine, for the next flavor. Absent: of before they were kept. */
  image?: Record<string, string>;
}
