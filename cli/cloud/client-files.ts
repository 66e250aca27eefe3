/** What clients need to reach the cloud: `clouds.yaml` (cloud name `bothy`), `openrc` and, for S3, `aws.conf` (profile `bothy`), all with the administrator. */
import { join } from 'node:path';
import { writeIfChanged } from '../../control/kit/files.ts';

export interface ClientAccess {
  publicUrl: string;
  region: string;
  adminPassword: string;
  caFile: string;
}

export interface AccessKeyPair {
  access: string;
  secret: string;
}

export interface UserAccess extends ClientAccess {
  user: string;
  password: string;
  project: string;
}

export function writeClientFiles(
  data: string,
  { accessKey, ...access }: ClientAccess & { accessKey: AccessKeyPair | undefined },
): void {
  const admin = { ...access, user: 'admin', password: access.adminPassword, project: 'admin' };
  writeIfChanged(
    join(data, 'clouds.yaml'),
    `# Written by bothy at each start.\nclouds:\n${cloudEntry('bothy', admin)}`,
    { mode: 0o600 },
  );
  writeIfChanged(join(data, 'openrc'), openrc(admin), { mode: 0o600 });
  if (accessKey) writeIfChanged(join(data, 'aws.conf'), awsProfile(access, accessKey), { mode: 0o600 });
}

/** One entry below `clouds:`. Strings are JSON, which is YAML. */
export function cloudEntry(name: string, access: UserAccess): string {
  const text = (value: string) => JSON.stringify(value);
  return `  ${name}:
    auth:
      auth_url: ${text(`${access.publicUrl}/identity/v3`)}
      username: ${text(access.user)}
      password: ${text(access.password)}
      project_name: ${text(access.project)}
      user_domain_name: Default
      project_domain_name: Default
    region_name: ${text(access.region)}
    identity_api_version: 3
    cacert: ${text(access.caFile)}
`;
}

function openrc(access: UserAccess): string {
  const quote = (value: string) => `'${value.replaceAll("'", "'\\''")}'`;
  const variables = {
    OS_AUTH_URL: `${access.publicUrl}/identity/v3`,
    OS_USERNAME: access.user,
    OS_PASSWORD: access.password,
    OS_PROJECT_NAME: access.project,
    OS_USER_DOMAIN_NAME: 'Default',
    OS_PROJECT_DOMAIN_NAME: 'Default',
    OS_REGION_NAME: access.region,
    OS_IDENTITY_API_VERSION: '3',
    OS_CACERT: access.caFile,
  };
  const lines = Object.entries(variables).map(([name, value]) => `export ${name}=${quote(value)}`);
  return `# Written by bothy at each start. Use: source openrc\n${lines.join('\n')}\n`;
}

/** Keys and place in one file: clients that read the place (awscli from 2.13 on, SDKs) need no other option. */
function awsProfile({ publicUrl, region, caFile }: ClientAccess, { access, secret }: AccessKeyPair): string {
  return `# Written by bothy at each start. Use: AWS_CONFIG_FILE=aws.conf aws --profile bothy --endpoint-url ${publicUrl} s3 ls
[profile bothy]
region = ${region}
endpoint_url = ${publicUrl}
ca_bundle = ${caFile}
aws_access_key_id = ${access}
aws_secret_access_key = ${secret}
s3 =
  addressing_style = path
`;
}
