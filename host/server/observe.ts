/** What a host says of a server that it has looked at. Pure. */
import type { DesiredServer, ObservedServer } from '../../contract/host/index.ts';
import type { VolumeId } from '../../contract/ids.ts';
import type { ServerRecord } from './record.ts';
import { observedVolumes } from './volumes.ts';

export interface Observation extends Pick<ObservedServer, 'state' | 'error' | 'step'> {
  record: ServerRecord | undefined;
  /** QEMU runs. */
  guest: boolean;
  onLeaseEnd: ObservedServer['onLeaseEnd'];
  /** For want of room to write to these it stands still. */
  full: ReadonlySet<VolumeId>;
}

export function observedServer(
  desired: DesiredServer,
  { record, guest, onLeaseEnd, full, state, error, step }: Observation,
): ObservedServer {
  const { id, epoch, generation } = desired;
  const asked = ({ imageId }: { imageId: string }) => desired.captures?.some((capture) => capture.imageId === imageId);
  return {
    ...{ id, epoch, generation, state },
    rebootCount: record?.rebootCount ?? 0,
    rescueCount: record?.rescue?.count ?? 0,
    rootCount: record?.disk?.count ?? 0,
    resizeCount: record?.resize?.count ?? 0,
    captures: record?.captures?.filter(asked) ?? [],
    ...(record?.volumes?.length && { volumes: observedVolumes(desired, record, { guest, full }) }),
    ...(record?.guestPassword && { guestPassword: record.guestPassword }),
    ...(onLeaseEnd && { onLeaseEnd }),
    ...{ step, error },
    startedAt: guest ? (record?.running?.startedAt ?? null) : null,
  };
}
