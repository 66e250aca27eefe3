/**
 * What a project's members may read of a row: column by column, so that a new column stays hidden until someone shows it. A
 * type that is not here is shown to administrators only. Secrets are in no row of the change log at all.
 */
const generalColumns = ['id', 'project_id', 'name', 'description', 'tags', 'created_at', 'updated_at', 'generation'];

/** Columns shown beside the general ones. */
export const publicColumns: Readonly<Record<string, readonly string[]>> = {
  project: ['domain_id', 'parent_id', 'enabled'],
  operation: [
    'resource_type',
    'resource_id',
    'verb',
    'state',
    'waiting_for',
    'deadline',
    'attempt',
    'error_code',
    'error_message',
    'actor_id',
    'request_id',
    'finished_at',
  ],
  quota: ['resource', 'maximum'],
  image: [
    'visibility',
    'status',
    'disk_format',
    'container_format',
    'size_bytes',
    'virtual_size_bytes',
    'md5',
    'sha256',
    'min_disk_gib',
    'min_memory_mib',
    'protected',
    'hidden',
    'owner_properties',
    'desired_presence',
  ],
  network: ['admin_state_up', 'shared', 'external', 'is_default', 'port_security_enabled', 'mtu', 'dns_domain'],
  subnet: [
    'network_id',
    'ip_version',
    'cidr',
    'gateway_ip',
    'enable_dhcp',
    'ipv6_address_mode',
    'ipv6_ra_mode',
    'allocation_pools',
    'dns_nameservers',
    'host_routes',
    'service_types',
  ],
  port: [
    'network_id',
    'mac',
    'admin_state_up',
    'device_id',
    'device_owner',
    'port_security_enabled',
    'allowed_address_pairs',
    'extra_dhcp_opts',
    'dns_name',
    'binding_vnic_type',
    'observed_up',
  ],
  router: ['admin_state_up', 'gateway_network_id', 'enable_snat', 'routes'],
  floating_ip: ['floating_network_id', 'floating_ip', 'port_id', 'fixed_ip', 'router_id', 'dns_name', 'dns_domain'],
  security_group: ['stateful', 'is_default'],
  security_group_rule: [
    'security_group_id',
    'direction',
    'ethertype',
    'protocol',
    'port_range_min',
    'port_range_max',
    'remote_group_id',
    'remote_ip_prefix',
  ],
  server: [
    'user_id',
    'hostname',
    'image_id',
    'flavor_id',
    'flavor',
    'vcpus',
    'memory_mib',
    'disk_gib',
    'key_name',
    'config_drive',
    'metadata',
    'availability_zone',
    'access_ipv4',
    'access_ipv6',
    'locked',
    'locked_reason',
    'disk_config',
    'desired_presence',
    'desired_power',
    'observed_generation',
    'observed_state',
    'observed_step',
    'fault',
    'launched_at',
  ],
};

/** Types of the change log that members never see: the cloud's inside, other people's rights. A test keeps both lists total. */
export const administratorTypes: readonly string[] = [
  'domain',
  'user',
  'role',
  'role_implication',
  'role_assignment',
  'user_group',
  'user_group_member',
  'application_credential',
  'access_rule',
  'token_revocation',
  'host',
  'image_member',
  'port_ip',
  'port_security_group',
  'flavor',
  'key_pair',
  'server_absence',
];

export const memberTypes: readonly string[] = Object.keys(publicColumns);

const shown = new Map(
  Object.entries(publicColumns).map(([type, columns]) => [type, new Set([...generalColumns, ...columns])]),
);

/** The row as members may read it; undefined where they may not. */
export function publicForm(type: string, row: Readonly<Record<string, unknown>>): Record<string, unknown> | undefined {
  const columns = shown.get(type);
  if (!columns) return undefined;
  const seen = Object.entries(row).filter(([column]) => columns.has(column));
  return Object.fromEntries(seen.map(([column, value]) => [column, column === 'fault' ? publicFault(value) : value]));
}

/** Why a host refused, and which, is in a fault's details: for administrators, as in Nova. */
function publicFault(fault: unknown): unknown {
  if (fault === null || typeof fault !== 'object') return fault;
  const { details: _, ...told } = fault as Record<string, unknown>;
  return told;
}
