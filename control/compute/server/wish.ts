/** What a create asks for, in the domain's words. */
import type { ImageId } from '../../../contract/ids.ts';
import type { Secret } from '../../../contract/secret.ts';
import type { ServerPortRequest } from '../../network/port/server-ports.ts';
import type { PlacementPolicy } from '../placement/index.ts';
import type { ServerVolumeWish } from './create-volumes.ts';
import type { LocalDiskWish } from './local-disks.ts';
import type { InjectedFile } from './personality.ts';

export interface ServerWish {
  name: string;
  description: string | null;
  /** Null: made from the name. */
  hostname: string | null;
  /** The flavor's id as callers see it. */
  flavor: string;
  /** Of which its own disk is made; null: it has none, and boots from one of its volumes. */
  imageId: ImageId | null;
  volumes: ServerVolumeWish[];
  /** Beside the one with its system; empty: what the flavor says. */
  localDisks: LocalDiskWish[];
  /** What the guest is told beside the one with its system. */
  rootTag: string | null;
  /** That its disks shall be on, each of them. */
  diskBuses: string[];
  ports: ServerPortRequest[];
  automatic: 'auto' | 'none' | null;
  /** Names or ids; empty: the project's default group. */
  securityGroups: string[];
  keyName: string | null;
  /** Base64. */
  userData: string | null;
  /** Nova's personality. */
  files: InjectedFile[];
  configDrive: boolean;
  /** Reaches the guest by its config drive only. */
  adminPassword: Secret | null;
  metadata: Record<string, string>;
  tags: string[];
  availabilityZone: string | null;
  /** Id of a server group of the project. */
  serverGroup: string | null;
  /** Ids of servers on whose host it shall be, or shall not be; of other projects', and of what is not there, nothing is known. */
  sameHost: string[];
  differentHost: string[];
  /** Null: as the cloud's setting says. */
  placementPolicy: PlacementPolicy | null;
  /** Name of a host; administrators only. */
  requestedHost: string | null;
  minCount: number;
  maxCount: number;
  diskConfig: 'AUTO' | 'MANUAL';
  accessIpv4: string | null;
  accessIpv6: string | null;
}
