/**
 * The part of OVN_Northbound (7.0.0, OVN 23.03) that Bothy uses, so that tests need no OVN installed. A test compares it
 * with the real schema where that is installed.
 */
import { schema } from './notation.ts';

export const northbound = schema('OVN_Northbound', '7.0.0', {
  NB_Global: {
    root: true,
    maxRows: 1,
    columns: {
      name: 'string',
      nb_cfg: 'integer',
      nb_cfg_timestamp: 'integer',
      sb_cfg: 'integer',
      sb_cfg_timestamp: 'integer',
      hv_cfg: 'integer',
      hv_cfg_timestamp: 'integer',
      external_ids: 'string:string*',
      options: 'string:string*',
      ipsec: 'boolean',
    },
  },
  Logical_Switch: {
    root: true,
    columns: {
      name: 'string',
      ports: '->Logical_Switch_Port*',
      acls: '->ACL*',
      qos_rules: '->QoS*',
      dns_records: '~>DNS*',
      other_config: 'string:string*',
      external_ids: 'string:string*',
    },
  },
  Logical_Switch_Port: {
    unique: [['name']],
    columns: {
      name: 'string',
      type: 'string',
      options: 'string:string*',
      parent_name: 'string?',
      tag_request: 'integer 0..4095?',
      tag: 'integer 1..4095?',
      addresses: 'string*',
      dynamic_addresses: 'string?',
      port_security: 'string*',
      up: 'boolean?',
      enabled: 'boolean?',
      dhcpv4_options: '~>DHCP_Options?',
      dhcpv6_options: '~>DHCP_Options?',
      external_ids: 'string:string*',
    },
  },
  Address_Set: {
    root: true,
    unique: [['name']],
    columns: { name: 'string', addresses: 'string*', external_ids: 'string:string*' },
  },
  Port_Group: {
    root: true,
    unique: [['name']],
    columns: { name: 'string', ports: '~>Logical_Switch_Port*', acls: '->ACL*', external_ids: 'string:string*' },
  },
  ACL: {
    columns: {
      name: 'string <=63?',
      priority: 'integer 0..32767',
      direction: 'string{from-lport,to-lport}',
      match: 'string',
      action: 'string{allow,allow-related,allow-stateless,drop,reject}',
      log: 'boolean',
      severity: 'string{alert,warning,notice,info,debug}?',
      meter: 'string?',
      label: 'integer 0..4294967295',
      options: 'string:string*',
      external_ids: 'string:string*',
    },
  },
  QoS: {
    columns: {
      priority: 'integer 0..32767',
      direction: 'string{from-lport,to-lport}',
      match: 'string',
      action: 'string{dscp}:integer 0..63*',
      bandwidth: 'string{rate,burst}:integer 1..4294967295*',
      external_ids: 'string:string*',
    },
  },
  Logical_Router: {
    root: true,
    columns: {
      name: 'string',
      ports: '->Logical_Router_Port*',
      static_routes: '->Logical_Router_Static_Route*',
      policies: '->Logical_Router_Policy*',
      enabled: 'boolean?',
      nat: '->NAT*',
      options: 'string:string*',
      external_ids: 'string:string*',
    },
  },
  Logical_Router_Port: {
    unique: [['name']],
    columns: {
      name: 'string',
      gateway_chassis: '->Gateway_Chassis*',
      options: 'string:string*',
      networks: 'string+',
      mac: 'string',
      peer: 'string?',
      enabled: 'boolean?',
      ipv6_ra_configs: 'string:string*',
      ipv6_prefix: 'string*',
      external_ids: 'string:string*',
    },
  },
  Logical_Router_Static_Route: {
    columns: {
      route_table: 'string',
      ip_prefix: 'string',
      policy: 'string{src-ip,dst-ip}?',
      nexthop: 'string',
      output_port: 'string?',
      options: 'string:string*',
      external_ids: 'string:string*',
    },
  },
  Logical_Router_Policy: {
    columns: {
      priority: 'integer 0..32767',
      match: 'string',
      action: 'string{allow,drop,reroute}',
      nexthop: 'string?',
      nexthops: 'string*',
      options: 'string:string*',
      external_ids: 'string:string*',
    },
  },
  NAT: {
    columns: {
      external_ip: 'string',
      external_mac: 'string?',
      external_port_range: 'string',
      logical_ip: 'string',
      logical_port: 'string?',
      type: 'string{dnat,snat,dnat_and_snat}',
      allowed_ext_ips: '->Address_Set?',
      exempted_ext_ips: '->Address_Set?',
      gateway_port: '~>Logical_Router_Port?',
      options: 'string:string*',
      external_ids: 'string:string*',
    },
  },
  DHCP_Options: {
    root: true,
    columns: { cidr: 'string', options: 'string:string*', external_ids: 'string:string*' },
  },
  DNS: {
    root: true,
    columns: { records: 'string:string*', external_ids: 'string:string*' },
  },
  Gateway_Chassis: {
    unique: [['name']],
    columns: {
      name: 'string',
      chassis_name: 'string',
      priority: 'integer 0..32767',
      external_ids: 'string:string*',
      options: 'string:string*',
    },
  },
  Static_MAC_Binding: {
    root: true,
    unique: [['logical_port', 'ip']],
    columns: { logical_port: 'string', ip: 'string', mac: 'string', override_dynamic_mac: 'boolean' },
  },
});
