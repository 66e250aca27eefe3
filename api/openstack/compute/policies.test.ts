/**
 * Every route asks for what Nova's own policies ask for by default. The table is Nova's (nova/policies/*.py, its default rules), in full: also
 * of routes that there are not yet. That a route keeps what its contract says is the walk's (boundary.db.test.ts).
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { routesOf } from '../../boundary/testing/documents.ts';
import { type ComputeDialectOptions, computeDialect } from './index.ts';

/** `caller`: RULE_ANY, and key pairs, which are the user's own. */
const nova = `
GET / open
GET /extensions caller
GET /extensions/: caller
GET /flavors caller
GET /flavors/detail caller
GET /flavors/: caller
POST /flavors admin
PUT /flavors/: admin
DELETE /flavors/: admin
POST /flavors/:/action addTenantAccess admin
POST /flavors/:/action removeTenantAccess admin
GET /flavors/:/os-flavor-access admin
GET /flavors/:/os-extra_specs reader
GET /flavors/:/os-extra_specs/: reader
POST /flavors/:/os-extra_specs admin
PUT /flavors/:/os-extra_specs/: admin
DELETE /flavors/:/os-extra_specs/: admin
GET /images caller
GET /images/detail caller
GET /images/: caller
DELETE /images/: member
GET /images/:/metadata caller
POST /images/:/metadata member
PUT /images/:/metadata member
GET /images/:/metadata/: caller
PUT /images/:/metadata/: member
DELETE /images/:/metadata/: member
GET /limits caller
GET /os-aggregates admin
POST /os-aggregates admin
GET /os-aggregates/: admin
PUT /os-aggregates/: admin
DELETE /os-aggregates/: admin
POST /os-aggregates/:/action set_metadata admin
POST /os-aggregates/:/action add_host admin
POST /os-aggregates/:/action remove_host admin
POST /os-aggregates/:/images admin
POST /os-assisted-volume-snapshots service
DELETE /os-assisted-volume-snapshots/: service
GET /os-availability-zone caller
GET /os-availability-zone/detail admin
GET /os-baremetal-nodes admin
GET /os-baremetal-nodes/: admin
GET /os-console-auth-tokens/: admin
GET /os-floating-ip-pools caller
GET /os-floating-ips reader
POST /os-floating-ips member
GET /os-floating-ips/: reader
DELETE /os-floating-ips/: member
GET /os-hosts admin
GET /os-hosts/: admin
PUT /os-hosts/: admin
GET /os-hosts/:/reboot admin
GET /os-hosts/:/shutdown admin
GET /os-hosts/:/startup admin
GET /os-hypervisors admin
GET /os-hypervisors/detail admin
GET /os-hypervisors/statistics admin
GET /os-hypervisors/: admin
GET /os-hypervisors/:/uptime admin
GET /os-hypervisors/:/search admin
GET /os-hypervisors/:/servers admin
GET /os-instance_usage_audit_log admin
GET /os-instance_usage_audit_log/: admin
GET /os-keypairs caller
POST /os-keypairs caller
GET /os-keypairs/: caller
DELETE /os-keypairs/: caller
GET /os-migrations admin
GET /os-networks reader
GET /os-networks/: reader
GET /os-quota-class-sets/: admin
PUT /os-quota-class-sets/: admin
GET /os-quota-sets/: reader
PUT /os-quota-sets/: admin
DELETE /os-quota-sets/: admin
GET /os-quota-sets/:/defaults caller
GET /os-quota-sets/:/detail reader
GET /os-security-groups reader
POST /os-security-groups member
GET /os-security-groups/: reader
PUT /os-security-groups/: member
DELETE /os-security-groups/: member
POST /os-security-group-rules member
DELETE /os-security-group-rules/: member
POST /os-server-external-events service
GET /os-server-groups reader
POST /os-server-groups member
GET /os-server-groups/: reader
DELETE /os-server-groups/: member
GET /os-services admin
PUT /os-services/: admin
DELETE /os-services/: admin
GET /os-simple-tenant-usage admin
GET /os-simple-tenant-usage/: reader
GET /os-snapshots reader
POST /os-snapshots member
GET /os-snapshots/detail reader
GET /os-snapshots/: reader
DELETE /os-snapshots/: member
GET /os-tenant-networks reader
GET /os-tenant-networks/: reader
GET /os-volumes reader
POST /os-volumes_boot member
POST /os-volumes member
GET /os-volumes/detail reader
GET /os-volumes/: reader
DELETE /os-volumes/: member
GET /servers reader
GET /servers/detail reader
POST /servers member
GET /servers/: reader
PUT /servers/: member
DELETE /servers/: member
POST /servers/:/action addFixedIp member
POST /servers/:/action addFloatingIp member
POST /servers/:/action addSecurityGroup member
POST /servers/:/action changePassword member
POST /servers/:/action confirmResize member
POST /servers/:/action createBackup member
POST /servers/:/action createImage member
POST /servers/:/action evacuate admin
POST /servers/:/action forceDelete member
POST /servers/:/action injectNetworkInfo caller
POST /servers/:/action lock member
POST /servers/:/action migrate manager
POST /servers/:/action os-getConsoleOutput member
POST /servers/:/action os-getRDPConsole member
POST /servers/:/action os-getSerialConsole member
POST /servers/:/action os-getSPICEConsole member
POST /servers/:/action os-getVNCConsole member
POST /servers/:/action os-migrateLive manager
POST /servers/:/action os-resetState admin
POST /servers/:/action os-start member
POST /servers/:/action os-stop member
POST /servers/:/action pause member
POST /servers/:/action reboot member
POST /servers/:/action rebuild member
POST /servers/:/action removeFixedIp member
POST /servers/:/action removeFloatingIp member
POST /servers/:/action removeSecurityGroup member
POST /servers/:/action rescue member
POST /servers/:/action resetNetwork caller
GET /os-agents caller
POST /os-agents caller
PUT /os-agents/: caller
DELETE /os-agents/: caller
GET /os-cells caller
POST /os-cells caller
GET /os-cells/capacities caller
GET /os-cells/detail caller
GET /os-cells/info caller
POST /os-cells/sync_instances caller
GET /os-cells/: caller
PUT /os-cells/: caller
DELETE /os-cells/: caller
GET /os-cells/:/capacities caller
POST /os-certificates caller
GET /os-certificates/: caller
GET /os-cloudpipe caller
POST /os-cloudpipe caller
PUT /os-cloudpipe/: caller
GET /os-fixed-ips/: caller
POST /os-fixed-ips/:/action caller
GET /os-floating-ip-dns caller
PUT /os-floating-ip-dns/: caller
DELETE /os-floating-ip-dns/: caller
GET /os-floating-ip-dns/:/entries/: caller
PUT /os-floating-ip-dns/:/entries/: caller
DELETE /os-floating-ip-dns/:/entries/: caller
GET /os-floating-ips-bulk caller
POST /os-floating-ips-bulk caller
GET /os-floating-ips-bulk/: caller
PUT /os-floating-ips-bulk/: caller
GET /os-fping caller
GET /os-fping/: caller
POST /os-networks caller
POST /os-networks/add caller
DELETE /os-networks/: caller
POST /os-networks/:/action caller
GET /os-security-group-default-rules caller
POST /os-security-group-default-rules caller
GET /os-security-group-default-rules/: caller
DELETE /os-security-group-default-rules/: caller
POST /os-tenant-networks caller
DELETE /os-tenant-networks/: caller
GET /servers/:/consoles caller
POST /servers/:/consoles caller
GET /servers/:/consoles/: caller
DELETE /servers/:/consoles/: caller
POST /os-baremetal-nodes admin
DELETE /os-baremetal-nodes/: admin
POST /os-baremetal-nodes/:/action admin
POST /servers/:/action resize member
POST /servers/:/action restore member
POST /servers/:/action resume member
POST /servers/:/action revertResize member
POST /servers/:/action shelve member
POST /servers/:/action shelveOffload admin
POST /servers/:/action suspend member
POST /servers/:/action trigger_crash_dump member
POST /servers/:/action unlock member
POST /servers/:/action unpause member
POST /servers/:/action unrescue member
POST /servers/:/action unshelve member
GET /servers/:/diagnostics admin
GET /servers/:/ips reader
GET /servers/:/ips/: reader
GET /servers/:/metadata reader
POST /servers/:/metadata member
PUT /servers/:/metadata member
GET /servers/:/metadata/: reader
PUT /servers/:/metadata/: member
DELETE /servers/:/metadata/: member
GET /servers/:/migrations manager
GET /servers/:/migrations/: admin
DELETE /servers/:/migrations/: manager
POST /servers/:/migrations/:/action force_complete manager
GET /servers/:/os-instance-actions reader
GET /servers/:/os-instance-actions/: reader
GET /servers/:/os-interface reader
POST /servers/:/os-interface member
GET /servers/:/os-interface/: reader
DELETE /servers/:/os-interface/: member
GET /servers/:/os-security-groups reader
GET /servers/:/os-server-password reader
DELETE /servers/:/os-server-password member
GET /servers/:/os-server-password reader
DELETE /servers/:/os-server-password member
GET /servers/:/os-virtual-interfaces caller
GET /servers/:/os-volume_attachments reader
POST /servers/:/os-volume_attachments member
GET /servers/:/os-volume_attachments/: reader
PUT /servers/:/os-volume_attachments/: member
DELETE /servers/:/os-volume_attachments/: member
POST /servers/:/remote-consoles member
GET /servers/:/shares reader
POST /servers/:/shares member
GET /servers/:/shares/: reader
DELETE /servers/:/shares/: member
GET /servers/:/tags reader
PUT /servers/:/tags member
DELETE /servers/:/tags member
GET /servers/:/tags/: reader
PUT /servers/:/tags/: member
DELETE /servers/:/tags/: member
GET /servers/:/topology reader`;

const rights = new Map(
  nova
    .trim()
    .split('\n')
    .map((line) => [line.slice(0, line.lastIndexOf(' ')), line.slice(line.lastIndexOf(' ') + 1)]),
);

test('each route and action asks for what Nova’s policy asks for', async () => {
  const routes = await routesOf(computeDialect({ withoutLegacy: true } as ComputeDialectOptions));
  const wrong = routes.flatMap(({ method, url, contract }) => {
    if (!url.startsWith('/compute/v2.1/')) return [];
    const path = `${method} ${url.slice('/compute/v2.1'.length).replace(/:\w+/g, ':')}`;
    const each: [string, { rights: string; later?: true }][] = contract.actions
      ? Object.entries(contract.actions).map(([name, action]) => [`${path} ${name}`, action])
      : [[path, contract]];
    // What is refused to everybody asks for nothing yet.
    return each.flatMap(([name, asked]) =>
      (asked.later && asked.rights === 'caller') || rights.get(name) === asked.rights
        ? []
        : `${name}: ${asked.rights}, Nova: ${rights.get(name)}`,
    );
  });
  assert.deepEqual(wrong, []);
});
