/** The functional tests that come with Debian's python3-openstackclient: each runs the `openstack` command. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { LiveCloud } from '../support/live-cloud.ts';
import type { ConformanceCloud } from './cloud.ts';
import { Stestr } from './stestr.ts';

const packages = '/usr/lib/python3/dist-packages';

export function openstackClient(cloud: ConformanceCloud, folder: string): Stestr {
  const configuration = join(folder, '.config/openstack');
  mkdirSync(configuration, { recursive: true });
  // JSON is YAML. The tests name these clouds; all are the administrator's here, as the second needs no less in most of them.
  const project = { project_name: cloud.adminEnvironment.OS_PROJECT_NAME, project_domain_name: 'Default' };
  const clouds = {
    'devstack-admin': entry(cloud, project),
    devstack: entry(cloud, project),
    'devstack-system-admin': entry(cloud, { system_scope: 'all' }),
  };
  writeFileSync(join(configuration, 'clouds.yaml'), JSON.stringify({ clouds }), { mode: 0o600 });
  return new Stestr({
    folder,
    testPath: `${packages}/openstackclient/tests/functional`,
    topPath: packages,
    environment: { OS_TEST_TIMEOUT: '600' },
    concurrency: 2,
    deadlineMs: 3_600_000,
    within: cloud.within,
  });
}

/** Of the services that there are, in the versions that there are (lists/not-asked.txt). */
export const isOfClient = (id: string): boolean =>
  /\.functional\.(common|compute|identity|image|volume|network|object)\./.test(id) &&
  !/\.(identity\.v2|image\.v1|volume\.v[12])\./.test(id);

function entry({ adminEnvironment: admin, caFile }: LiveCloud, scope: object) {
  return {
    region_name: admin.OS_REGION_NAME,
    cacert: caFile,
    identity_api_version: '3',
    auth: {
      auth_url: admin.OS_AUTH_URL,
      username: admin.OS_USERNAME,
      password: admin.OS_PASSWORD,
      user_domain_name: 'Default',
      ...scope,
    },
  };
}
