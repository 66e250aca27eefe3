/** What a host says of a server that it has looked at. Pure. */
import type {
  DesiredServer,
  IncomingServer,
  ObservedIncoming,
  ObservedOutgoing,
  ObservedServer,
  OutgoingServer,
} from '../../contract/host/index.ts';
import type { VolumeId } from '../../contract/ids.ts';
import type { Passed } from '../migration/way.ts';
import { type KnownCopies, observedCopies } from './copies.ts';
import type { MigrationRecord, ServerRecord } from './record.ts';
import { observedVolumes } from './volumes.ts';

export interface Observation extends Pick<ObservedServer, 'state' | 'error' | 'step'> {
  record: ServerRecord | undefined;
  /** QEMU runs. */
  guest: boolean;
  onLeaseEnd: ObservedServer['onLeaseEnd'];
  /** For want of room to write to these it stands still. */
  full: ReadonlySet<VolumeId>;
  progress: OutgoingProgress | undefined;
  copies: KnownCopies;
}

type OutgoingProgress = Pick<ObservedOutgoing, 'disks' | 'memory' | 'forecastMs'>;

export interface Sending {
  /** How far it is, as QEMU said last. */
  progress?: OutgoingProgress;
  /** Its QEMU has the key. */
  keyGiven?: true;
  /** Its QEMU was told to send the memory, or was seen to do so. */
  memorySent?: true;
  /** What has got through, and since when no more. */
  passed?: Passed;
  /** By performance.now(): since when it hands over. */
  handsOverSinceMs?: number;
  /** By performance.now(): since when its QEMU is not heard. */
  silentSinceMs?: number | undefined;
  /** By performance.now(): since when nobody has said that the target has the guest. */
  handedOverSinceMs?: number;
}

export function observedServer(
  desired: DesiredServer,
  { record, guest, onLeaseEnd, full, progress, copies: known, state, error, step }: Observation,
): ObservedServer {
  const { id, epoch, generation } = desired;
  const copies = observedCopies(desired, { record, guest, ...known });
  const asked = ({ imageId }: { imageId: string }) => desired.captures?.some((capture) => capture.imageId === imageId);
  return {
    ...{ id, epoch, generation, state },
    rebootCount: record?.rebootCount ?? 0,
    rescueCount: record?.rescue?.count ?? 0,
    rootCount: record?.disk?.count ?? 0,
    resizeCount: record?.resize?.count ?? 0,
    captures: record?.captures?.filter(asked) ?? [],
    ...(record?.volumes?.length && { volumes: observedVolumes(desired, record, { guest, full }) }),
    ...(copies.length > 0 && { copies }),
    ...(desired.incoming && { incoming: observedIncoming(desired.incoming, record?.migration) }),
    ...(desired.outgoing && { outgoing: observedOutgoing(desired.outgoing, record?.migration, progress) }),
    ...(record?.guestPassword && { guestPassword: record.guestPassword }),
    ...(onLeaseEnd && { onLeaseEnd }),
    ...{ step, error },
    startedAt: guest ? (record?.running?.startedAt ?? null) : null,
  };
}

function observedIncoming({ id }: IncomingServer, known: MigrationRecord | undefined): ObservedIncoming {
  if (known?.side !== 'incoming' || known.id !== id) return { id, state: 'preparing', error: null };
  const { state, target, error } = known;
  const waiting = target ? ('ready' as const) : ('preparing' as const);
  return { id, state: state === 'receiving' ? waiting : state, ...(target && { target }), error };
}

const noDisks = { total: 0, copied: 0 };

function observedOutgoing(
  { id }: OutgoingServer,
  known: MigrationRecord | undefined,
  { disks = noDisks, ...progress }: Partial<OutgoingProgress> = {},
): ObservedOutgoing {
  if (known?.side !== 'outgoing' || known.id !== id) return { id, state: 'preparing', disks: noDisks, error: null };
  const { state, downtimeMs, error } = known;
  return {
    ...{ id, state: state === 'sending' ? 'copying' : state, disks, ...progress },
    ...(downtimeMs !== undefined && { downtimeMs }),
    error,
  };
}
