/**
 * The clients that people have for S3, unmodified, against a whole cloud: large files in parts, many small ones, odd names, an upload
 * that is cut off and sent again, a download that goes on where it ended.
 */
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { type LiveCloud, liveCloud, mustRun, notLive, run, until } from '../support/live-cloud.ts';
import { administrator } from '../support/tenant.ts';

const has = (command: string): boolean => {
  try {
    execFileSync('sh', ['-c', `command -v /usr/bin/${command}`]);
    return true;
  } catch {
    return false;
  }
};
const needs = (command: string, packageName = command) => (has(command) ? false : `needs Debian's ${packageName}`);

const names = [
  'plain',
  'with blank',
  'plus+',
  'percent%41%2F',
  'amp&;=',
  'häuschen 小屋 🏔',
  'quote\'"',
  'hash#question?',
  '.dot',
  '~tilde',
];

describe('the cloud’s objects by the clients of S3', { skip: notLive, concurrency: 1 }, () => {
  let cloud: LiveCloud;
  let folder: string;
  let endpoint: string;
  let keys: { access: string; secret: string };
  let environment: NodeJS.ProcessEnv;
  const file = (name: string) => join(folder, name);

  before(
    async () => {
      cloud = await liveCloud();
      endpoint = new URL(cloud.adminEnvironment.OS_AUTH_URL!).origin;
      folder = mkdtempSync(join(tmpdir(), 'bothy-s3-'));
      const admin = await administrator(cloud);
      const { user, project } = await made(admin);
      const { credential } = await admin.must('POST', 'identity', `/v3/users/${user}/credentials/OS-EC2`, {
        tenant_id: project,
      });
      keys = credential;
      admin.close();
      environment = {
        ...{ PATH: process.env.PATH, HOME: folder, LANG: 'C.UTF-8', RESTIC_PASSWORD: 'a password' },
        ...{ AWS_ACCESS_KEY_ID: keys.access, AWS_SECRET_ACCESS_KEY: keys.secret, AWS_DEFAULT_REGION: 'RegionOne' },
        AWS_EC2_METADATA_DISABLED: 'true',
      };
      writeFileSync(file('large'), randomBytes(40 * 1024 * 1024));
      mkdirSync(file('many'));
      for (const name of names) writeFileSync(join(file('many'), name), `in ${name}`);
      for (let at = 0; at < 200; at++) writeFileSync(join(file('many'), `n${at}`), `${at}`.repeat(at));
    },
    { timeout: 600_000 },
  );
  after(
    async () => {
      rmSync(folder, { recursive: true, force: true });
      await cloud?.[Symbol.asyncDispose]();
    },
    { timeout: 300_000 },
  );

  const made = async (admin: Awaited<ReturnType<typeof administrator>>) => {
    const { projects } = await admin.must('GET', 'identity', '/v3/projects?name=admin');
    const { users } = await admin.must('GET', 'identity', '/v3/users?name=admin');
    return { user: users[0].id as string, project: projects[0].id as string };
  };
  const tell = (command: string, args: string[], env: NodeJS.ProcessEnv = {}) =>
    mustRun(command, args, { env: { ...environment, ...env }, cwd: folder, deadlineMs: 300_000 });
  const sameFile = (a: string, b: string) =>
    assert.equal(
      createHash('sha256').update(readFileSync(a)).digest('hex'),
      createHash('sha256').update(readFileSync(b)).digest('hex'),
      b,
    );
  const sameFolder = (a: string, b: string) => {
    assert.deepEqual(readdirSync(b).sort(), readdirSync(a).sort());
    for (const name of readdirSync(a)) sameFile(join(a, name), join(b, name));
  };

  describe('awscli', { skip: needs('aws', 'awscli') }, () => {
    const aws = (...args: string[]) =>
      tell('/usr/bin/aws', ['--endpoint-url', endpoint, ...args], { AWS_CA_BUNDLE: cloud.caFile });

    test('a large file goes in parts and comes back, and so does a folder of many', async () => {
      await aws('s3', 'mb', 's3://by-aws');
      await aws('s3', 'cp', '--no-progress', 'large', 's3://by-aws/large');
      await aws('s3', 'cp', '--no-progress', 's3://by-aws/large', 'large.aws');
      sameFile(file('large'), file('large.aws'));
      const head = JSON.parse(await aws('s3api', 'head-object', '--bucket', 'by-aws', '--key', 'large'));
      assert.match(head.ETag, /-5"$/);
      await aws('s3', 'sync', '--no-progress', 'many', 's3://by-aws/many');
      await aws('s3', 'sync', '--no-progress', 's3://by-aws/many', 'many.aws');
      sameFolder(file('many'), file('many.aws'));
      await aws('s3', 'cp', '--no-progress', 's3://by-aws/large', 's3://by-aws/copy');
      await aws('s3', 'cp', '--no-progress', 's3://by-aws/copy', 'copy.aws');
      sameFile(file('large'), file('copy.aws'));
    });

    test('an upload that is cut off leaves nothing that is seen, and parts that can be given up', async () => {
      const args = ['--endpoint-url', endpoint, 's3', 'cp', '--no-progress', 'large', 's3://by-aws/cut'];
      const child = spawn('/usr/bin/aws', args, {
        env: { ...environment, AWS_CA_BUNDLE: cloud.caFile },
        cwd: folder,
        stdio: 'ignore',
      });
      const uploads = async () =>
        JSON.parse((await aws('s3api', 'list-multipart-uploads', '--bucket', 'by-aws')) || '{}').Uploads ?? [];
      const begun = await until('an upload to begin, or to be over', async () => {
        const [upload] = await uploads();
        return upload ?? (child.exitCode !== null && 'over');
      });
      child.kill('SIGKILL');
      if (begun !== 'over') {
        const [left] = await uploads();
        if (left) {
          assert.notEqual(
            (
              await run(
                '/usr/bin/aws',
                ['--endpoint-url', endpoint, 's3api', 'head-object', '--bucket', 'by-aws', '--key', 'cut'],
                { env: { ...environment, AWS_CA_BUNDLE: cloud.caFile } },
              )
            ).status,
            0,
          );
          await aws(
            's3api',
            'abort-multipart-upload',
            '--bucket',
            'by-aws',
            '--key',
            'cut',
            '--upload-id',
            left.UploadId,
          );
        }
      }
      assert.deepEqual(await uploads(), []);
      await aws('s3', 'cp', '--no-progress', 'large', 's3://by-aws/cut');
      await aws('s3', 'cp', '--no-progress', 's3://by-aws/cut', 'cut.aws');
      sameFile(file('large'), file('cut.aws'));
    });

    test('versions are kept, told and removed; then the bucket goes', async () => {
      await aws('s3api', 'put-bucket-versioning', '--bucket', 'by-aws', '--versioning-configuration', 'Status=Enabled');
      for (const name of ['plain', 'plus+']) {
        await aws('s3api', 'put-object', '--bucket', 'by-aws', '--key', 'kept', '--body', join('many', name));
      }
      const { Versions } = JSON.parse(
        await aws('s3api', 'list-object-versions', '--bucket', 'by-aws', '--prefix', 'kept'),
      );
      assert.equal(Versions.length, 2);
      await aws(
        's3api',
        'get-object',
        '--bucket',
        'by-aws',
        '--key',
        'kept',
        '--version-id',
        Versions[1].VersionId,
        'kept.aws',
      );
      sameFile(join(file('many'), 'plain'), file('kept.aws'));
      await aws('s3', 'rm', '--recursive', '--quiet', 's3://by-aws');
      const { Versions: all = [], DeleteMarkers: markers = [] } = JSON.parse(
        await aws('s3api', 'list-object-versions', '--bucket', 'by-aws'),
      );
      const Objects = [...all, ...markers].map(({ Key, VersionId }: { Key: string; VersionId: string }) => ({
        Key,
        VersionId,
      }));
      writeFileSync(file('delete.json'), JSON.stringify({ Objects, Quiet: true }));
      await aws('s3api', 'delete-objects', '--bucket', 'by-aws', '--delete', 'file://delete.json');
      await aws('s3', 'rb', 's3://by-aws');
    });
  });

  test('s3cmd: files there and back, with their attributes, and a download that goes on', {
    skip: needs('s3cmd'),
  }, async () => {
    const hostPort = new URL(endpoint).host;
    const lines = {
      access_key: keys.access,
      secret_key: keys.secret,
      host_base: hostPort,
      host_bucket: hostPort,
      ca_certs_file: cloud.caFile,
    };
    writeFileSync(
      file('s3cfg'),
      `[default]\nbucket_location = RegionOne\n${Object.entries(lines)
        .map(([name, value]) => `${name} = ${value}\n`)
        .join('')}`,
    );
    const s3cmd = (...args: string[]) => tell('/usr/bin/s3cmd', ['-c', 's3cfg', '--no-progress', ...args]);
    await s3cmd('mb', 's3://by-s3cmd');
    await s3cmd('put', 'large', 's3://by-s3cmd/large');
    await s3cmd('get', 's3://by-s3cmd/large', 'large.s3cmd');
    sameFile(file('large'), file('large.s3cmd'));
    truncateSync(file('large.s3cmd'), 1_000_003);
    await s3cmd('get', '--continue', 's3://by-s3cmd/large', 'large.s3cmd');
    sameFile(file('large'), file('large.s3cmd'));
    await s3cmd('sync', 'many/', 's3://by-s3cmd/many/');
    mkdirSync(file('many.s3cmd'));
    await s3cmd('sync', 's3://by-s3cmd/many/', 'many.s3cmd/');
    sameFolder(file('many'), file('many.s3cmd'));
    assert.match(await s3cmd('info', 's3://by-s3cmd/large'), /x-amz-meta-s3cmd-attrs/);
    await s3cmd('rm', '--recursive', '--force', 's3://by-s3cmd');
    await s3cmd('rb', 's3://by-s3cmd');
  });

  test('rclone: what is there is what was sent, by its own check', { skip: needs('rclone') }, async () => {
    const lines = {
      type: 's3',
      provider: 'Other',
      access_key_id: keys.access,
      secret_access_key: keys.secret,
      endpoint,
      region: 'RegionOne',
    };
    writeFileSync(
      file('rclone.conf'),
      `[bothy]\n${Object.entries(lines)
        .map(([name, value]) => `${name} = ${value}\n`)
        .join('')}`,
    );
    const rclone = (...args: string[]) =>
      tell('/usr/bin/rclone', ['--config', 'rclone.conf', '--ca-cert', cloud.caFile, ...args]);
    await rclone('mkdir', 'bothy:by-rclone');
    await rclone('copy', 'large', 'bothy:by-rclone', '--s3-upload-cutoff', '10M');
    await rclone('sync', 'many', 'bothy:by-rclone/many');
    await rclone('check', 'many', 'bothy:by-rclone/many', '--download');
    await rclone('copyto', 'bothy:by-rclone/large', 'large.rclone');
    sameFile(file('large'), file('large.rclone'));
    await rclone('copy', 'bothy:by-rclone/many', 'bothy:by-rclone/again');
    await rclone('check', 'bothy:by-rclone/many', 'bothy:by-rclone/again');
    await rclone('purge', 'bothy:by-rclone');
  });

  test('restic: a backup is checked byte for byte, restored, and thinned out', { skip: needs('restic') }, async () => {
    const restic = (...args: string[]) =>
      tell('/usr/bin/restic', ['--cacert', cloud.caFile, '--no-cache', '-r', `s3:${endpoint}/by-restic`, ...args]);
    await restic('init');
    await restic('backup', 'large', 'many');
    await restic('backup', 'many');
    await restic('check', '--read-data');
    await restic('restore', 'latest', '--path', file('many'), '--target', 'restored');
    sameFolder(file('many'), join(file('restored'), 'many'));
    await restic('forget', '--keep-last', '1', '--prune');
    await restic('check');
  });
});
