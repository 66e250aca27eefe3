/**
 * Tempest's configuration for a cloud of ours. What is off here turns failures into skips, and a skip is no pass: services and abilities
 * are named as present even where they are not built yet, except those that one host can not have where the cloud has one.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { LiveCloud } from '../support/live-cloud.ts';
import { type ConformanceCloud, poolNames } from './cloud.ts';
import { otherImageService, type Prepared } from './prepare.ts';
import { Stestr } from './stestr.ts';

type Sections = Record<string, Record<string, string | number | boolean>>;

/** Tempest's own tests. */
export const tempest = (cloud: ConformanceCloud, prepared: Prepared, folder: string): Stestr =>
  withSections(
    {
      ...access(cloud, prepared, folder),
      ...services(prepared, networkExtensions, cloud),
      ...guests(prepared),
    },
    { folder, cloud },
  );

/**
 * The plugin that Neutron's own developers test with, which asks about far more extensions than a cloud has: it is told of those that the
 * cloud names.
 */
export function neutronPlugin(cloud: ConformanceCloud, prepared: Prepared, folder: string): Stestr {
  const { physicalNetwork } = prepared.externalNetwork;
  const options = {
    provider_vlans: physicalNetwork,
    available_type_drivers: 'flat,vlan,geneve',
    // One policy that everybody has is not in the way of other classes here.
    create_shared_resources: true,
  };
  const sections = {
    ...services(prepared, prepared.networkExtensions),
    ...guests(prepared),
    neutron_plugin_options: options,
  };
  return withSections({ ...access(cloud, prepared, folder), ...sections }, { folder, cloud });
}

function withSections(sections: Sections, { folder, cloud }: { folder: string; cloud: ConformanceCloud }): Stestr {
  const etc = join(folder, 'etc');
  mkdirSync(etc, { recursive: true });
  writeFileSync(join(etc, 'tempest.conf'), iniOf(sections), { mode: 0o600 });
  return new Stestr({
    folder,
    testPath: '/usr/lib/python3/dist-packages/tempest/test_discover',
    topPath: '/usr/lib/python3/dist-packages',
    // One test of objects speaks TLS past its client, with the authorities that Python has by itself.
    environment: { TEMPEST_CONFIG_DIR: etc, OS_TEST_TIMEOUT: '900', SSL_CERT_FILE: cloud.caFile },
    concurrency: 2,
    deadlineMs: 3_600_000,
    within: cloud.within,
  });
}

function access({ adminEnvironment: admin, caFile }: LiveCloud, { defaultDomain }: Prepared, folder: string): Sections {
  const region = admin.OS_REGION_NAME!;
  return {
    DEFAULT: { log_file: 'tempest.log', log_dir: folder },
    oslo_concurrency: { lock_path: join(folder, 'lock') },
    auth: {
      use_dynamic_credentials: true,
      create_isolated_networks: true,
      default_credentials_domain_name: 'Default',
      admin_username: admin.OS_USERNAME!,
      admin_password: admin.OS_PASSWORD!,
      admin_project_name: admin.OS_PROJECT_NAME!,
      admin_domain_name: 'Default',
    },
    identity: {
      auth_version: 'v3',
      uri_v3: admin.OS_AUTH_URL!,
      region,
      admin_role: 'admin',
      v3_endpoint_type: 'public',
      default_domain_id: defaultDomain,
      ca_certificates_file: caFile,
      user_lockout_failure_attempts: 2,
      user_lockout_duration: 5,
      user_unique_last_password_count: 2,
    },
    'identity-feature-enabled': {
      api_v2: false,
      api_v3: true,
      trust: true,
      project_tags: true,
      application_credentials: true,
      access_rules: true,
      // Lock-out and password history are settings of the cloud, made so in run.ts.
      security_compliance: true,
    },
  };
}

/**
 * What the tests ask about, whether it is there yet or not. Not 'all': one of the bar's tests then wants each name that Neutron's agents of
 * other days had, schedulers of layer 3 among them.
 */
const networkExtensions = [
  'router',
  'external-net',
  'security-group',
  'quotas',
  'extraroute',
  'ext-gw-mode',
  'port-security',
  'allowed-address-pairs',
  'extra_dhcp_opt',
  'net-mtu',
  'subnet_allocation',
  'standard-attr-tag',
  'tag',
  'tag-ext',
  'service-type',
  'filter-validation',
  'ip-substring-filtering',
  'trunk',
  'binding',
  'agent',
  'availability_zone',
  'network_availability_zone',
  'provider',
  'default-subnetpools',
  'security-groups-shared-filtering',
  'security-groups-remote-address-group',
  'rbac-policies',
  'address-scope',
  'auto-allocated-topology',
  'project-id',
  'standard-attr-revisions',
  'standard-attr-timestamp',
  'standard-attr-description',
  'network-ip-availability',
  'pagination',
  'sorting',
  'subnet-service-types',
  'qos',
  'fip-port-details',
  'floating-ip-port-forwarding',
  'port-resource-request',
  'dvr',
  'l3-ha',
  'metering',
  'metering_source_and_destination_fields',
];

function services({ externalNetwork }: Prepared, extensions: readonly string[], cloud?: ConformanceCloud): Sections {
  return {
    service_available: { nova: true, glance: true, neutron: true, cinder: true, swift: true },
    network: {
      public_network_id: externalNetwork.id,
      floating_network_name: externalNetwork.name,
      project_network_cidr: '10.100.0.0/16',
      project_network_mask_bits: 28,
      project_network_v6_cidr: '2001:db8::/48',
      project_network_v6_mask_bits: 64,
      project_networks_reachable: false,
      default_network: '1.0.0.0/16,2.0.0.0/16',
      build_timeout: 120,
    },
    'network-feature-enabled': {
      api_extensions: extensions.join(),
      floating_ips: true,
      ipv6: true,
      ipv6_subnet_attributes: true,
      port_admin_state_change: true,
      port_security: true,
    },
    image: {
      ...{ container_formats: 'bare,ovf,ova', disk_formats: 'raw,qcow2,vmdk,iso,vdi,vhd', build_timeout: 120 },
      image_caching_enabled: true,
      ...(cloud?.webImage !== undefined && { http_image: cloud.webImage }),
      ...(cloud?.secondUrl !== undefined && { alternate_image_endpoint: otherImageService }),
    },
    'image-feature-enabled': { import_image: true, manage_locations: true },
    volume: {
      ...{ catalog_type: 'volumev3', max_microversion: 'latest', volume_size: 1, build_timeout: 300 },
      // What pools say of themselves (control/storage/pool/capabilities.ts): types of the tests ask for it.
      ...{ vendor_name: 'Bothy', storage_protocol: 'file', backend_names: poolNames.join() },
      // The file that an unmanaged volume leaves.
      manage_volume_ref: 'source-name,%s.qcow2',
    },
    'volume-feature-enabled': {
      ...{ backup: true, snapshot: true, clone: true },
      ...{
        extend_attached_volume: true,
        extend_attached_encrypted_volume: true,
        multi_backend: true,
        manage_volume: true,
      },
    },
  };
}

function guests({ images, flavors, externalNetwork, guestFile, hosts }: Prepared): Sections {
  const login = { image_ssh_user: 'cirros', image_ssh_password: 'gocubsgo' };
  return {
    compute: {
      image_ref: images[0],
      image_ref_alt: images[1],
      flavor_ref: flavors[0],
      flavor_ref_alt: flavors[1],
      // Without one every test that names a microversion is skipped.
      max_microversion: 'latest',
      build_timeout: 300,
      build_interval: 1,
      min_compute_nodes: hosts,
      volume_device_name: 'vdb',
      hypervisor_type: 'QEMU',
    },
    'compute-feature-enabled': {
      scheduler_enabled_filters: 'all',
      ...Object.fromEntries(abilities.map((name) => [name, true])),
      ...Object.fromEntries(betweenHosts.map((name) => [name, hosts > 1])),
    },
    validation: {
      run_validation: true,
      connect_method: 'floating',
      auth_method: 'keypair',
      ...login,
      image_alt_ssh_user: login.image_ssh_user,
      image_alt_ssh_password: login.image_ssh_password,
      ssh_shell_prologue: 'set -eu -o pipefail; PATH=$$PATH:/sbin:/usr/sbin;',
      ssh_key_type: 'ecdsa',
      ssh_timeout: 300,
      network_for_ssh: externalNetwork.name,
    },
    scenario: { img_file: guestFile, img_disk_format: 'qcow2', img_container_format: 'bare', dhcp_client: 'udhcpc' },
  };
}

/** No storage is shared: all disks are sent, as by OpenStack's own jobs of two hosts. */
const betweenHosts = [
  'cold_migration',
  'live_migration',
  'live_migrate_back_and_forth',
  'block_migration_for_live_migration',
  'block_migrate_cinder_iscsi',
  'shelve_migrate',
  'volume_backed_live_migration',
];

const abilities = [
  ...[
    'disk_config',
    'config_drive',
    'metadata_service',
    'console_output',
    'interface_attach',
    'snapshot',
    'pause',
    'suspend',
  ],
  ...[
    'shelve',
    'rescue',
    'stable_rescue',
    'resize',
    'enable_instance_password',
    'hostname_fqdn_sanitization',
    'ide_bus',
    'vnc_console',
    'serial_console',
    'change_password',
  ],
  'volume_multiattach',
];

const iniOf = (sections: Sections): string =>
  Object.entries(sections)
    .map(([name, options]) =>
      [`[${name}]`, ...Object.entries(options).map(([key, value]) => `${key} = ${value}`), ''].join('\n'),
    )
    .join('\n');
