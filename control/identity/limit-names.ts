/** What this cloud serves and limits, by the names that unified limits have for it. `unit`: how much of quota's number is one. */
export const servedLimits = [
  { type: 'compute', name: 'servers', quota: 'servers', unit: 1 },
  { type: 'compute', name: 'class:VCPU', quota: 'vcpus', unit: 1 },
  { type: 'compute', name: 'class:MEMORY_MB', quota: 'memory_mib', unit: 1 },
  { type: 'compute', name: 'server_metadata_items', quota: 'server_metadata_items', unit: 1 },
  { type: 'compute', name: 'server_key_pairs', quota: 'key_pairs', unit: 1 },
  { type: 'image', name: 'image_count_total', quota: 'images', unit: 1 },
  { type: 'image', name: 'image_size_total', quota: 'image_bytes', unit: 1_048_576 },
  { type: 'image', name: 'image_stage_total', quota: 'image_staged_bytes', unit: 1_048_576 },
  { type: 'image', name: 'image_count_uploading', quota: 'image_uploads', unit: 1 },
  { type: 'network', name: 'network', quota: 'networks', unit: 1 },
  { type: 'network', name: 'subnet', quota: 'subnets', unit: 1 },
  { type: 'network', name: 'port', quota: 'ports', unit: 1 },
  { type: 'network', name: 'router', quota: 'routers', unit: 1 },
  { type: 'network', name: 'floatingip', quota: 'floating_ips', unit: 1 },
  { type: 'network', name: 'security_group', quota: 'security_groups', unit: 1 },
  { type: 'network', name: 'security_group_rule', quota: 'security_group_rules', unit: 1 },
] as const;
