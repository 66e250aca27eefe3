/** Cinder's list of extensions; old clients look here for what they may call. Only those that are served are in it. */
import { Type } from 'typebox';
import type { Boundary } from '../../boundary/boundary.ts';
import * as a from './answers.ts';

const extensions: readonly [string, string, string][] = [
  ['os-admin-actions', 'AdminActions', 'Enable admin actions.'],
  ['os-availability-zone', 'AvailabilityZones', 'Describe Availability Zones.'],
  ['backups', 'Backups', 'Backups support.'],
  ['capabilities', 'Capabilities', 'Capabilities support.'],
  ['os-extended-services', 'ExtendedServices', 'Extended services support.'],
  ['os-extended-snapshot-attributes', 'ExtendedSnapshotAttributes', 'Extended SnapshotAttributes support.'],
  ['os-hosts', 'Hosts', 'Admin-only host administration.'],
  ['qos-specs', 'Qos_specs_manage', 'QoS specs support.'],
  ['os-quota-class-sets', 'QuotaClasses', 'Quota classes management support.'],
  ['os-quota-sets', 'Quotas', 'Quota management support.'],
  ['OS-SCH-HNT', 'SchedulerHints', 'Pass arbitrary key/value pairs to the scheduler.'],
  ['scheduler-stats', 'Scheduler_stats', 'Scheduler stats support.'],
  ['os-services', 'Services', 'Services support.'],
  ['os-snapshot-actions', 'SnapshotActions', 'Enable snapshot manager actions.'],
  ['os-types-extra-specs', 'TypesExtraSpecs', 'Type extra specs support.'],
  ['os-types-manage', 'TypesManage', 'Types manage support.'],
  ['os-used-limits', 'UsedLimits', 'Provide data on limited resources that are being used.'],
  ['os-volume-actions', 'VolumeActions', 'Enable volume actions.'],
  ['os-volume-encryption-metadata', 'VolumeEncryptionMetadata', 'Volume encryption metadata retrieval support.'],
  ['os-vol-host-attr', 'VolumeHostAttribute', 'Expose host as an attribute of a volume.'],
  ['os-vol-image-meta', 'VolumeImageMetadata', 'Show image metadata associated with the volume.'],
  ['os-vol-mig-status-attr', 'VolumeMigStatusAttribute', 'Expose migration_status as an attribute of a volume.'],
  ['os-vol-tenant-attr', 'VolumeTenantAttribute', 'Expose the internal project_id as an attribute of a volume.'],
  ['os-volume-transfer', 'VolumeTransfer', 'Volume transfer management support.'],
  ['os-volume-type-access', 'VolumeTypeAccess', 'Volume type access support.'],
  ['encryption', 'VolumeTypeEncryption', 'Encryption support for volume types.'],
];

const extension = ([alias, name, description]: (typeof extensions)[number]) => ({
  ...{ alias, name, description },
  links: [],
  updated: '2014-06-26T00:00:00Z',
});

const shown = a.record({ alias: a.text, name: a.text, description: a.text, links: a.none, updated: a.text });
const contracts = {
  list: { summary: 'List extensions', rights: 'caller', answers: { 200: a.record({ extensions: Type.Array(shown) }) } },
  show: { summary: 'Show an extension', rights: 'caller', answers: { 200: a.record({ extension: shown }) } },
} as const;

export function extensionRoutes(app: Boundary): void {
  app.get('/extensions', contracts.list, async () => ({ extensions: extensions.map(extension) }));
  app.get('/extensions/:alias', contracts.show, async (request, reply) => {
    const found = extensions.find(([one]) => one === request.params.alias);
    return found ? { extension: extension(found) } : reply.callNotFound();
  });
}
