/** The commands by which a QEMU sends to another one and takes from there: names and arguments of QEMU 7.2. */
import type { Moving } from './moving.ts';

type Arguments = Readonly<Record<string, unknown>>;

interface MovingContext {
  moving: Moving;
}

export const movingTakes: Readonly<Record<string, readonly string[]>> = {
  'object-add': ['qom-type', 'id', 'dir', 'endpoint'],
  'object-del': ['id'],
  'migrate-set-parameters': ['max-bandwidth', 'tls-creds', 'downtime-limit'],
  'migrate-set-capabilities': ['capabilities'],
  'migrate-incoming': ['uri'],
  'migrate-continue': ['state'],
  'nbd-server-start': ['addr', 'tls-creds'],
  'block-export-add': ['type', 'id', 'node-name', 'name', 'writable'],
  'blockdev-mirror': [
    'job-id',
    'device',
    'target',
    'copy-mode',
    'auto-dismiss',
    'sync',
    'on-target-error',
    'on-source-error',
  ],
  'block-job-cancel': ['device', 'force'],
  'job-dismiss': ['id'],
  yank: ['instances'],
};

export const movingCommands = {
  'object-add': ({ moving }: MovingContext, args: Arguments) => moving.addKey(args),
  'object-del': ({ moving }: MovingContext, args: Arguments) => moving.removeKey(args),
  'migrate-set-parameters': ({ moving }: MovingContext, args: Arguments) => moving.set(args),
  'migrate-set-capabilities': ({ moving }: MovingContext, args: Arguments) => moving.enable(args),
  'migrate-incoming': ({ moving }: MovingContext, args: Arguments) => moving.takeMemory(args),
  'migrate-continue': ({ moving }: MovingContext) => moving.switchOver(),
  'nbd-server-start': ({ moving }: MovingContext, args: Arguments) => moving.serveDisks(args),
  'nbd-server-stop': ({ moving }: MovingContext) => moving.stopDisks(),
  'block-export-add': ({ moving }: MovingContext, args: Arguments) => moving.export(args),
  'blockdev-mirror': ({ moving }: MovingContext, args: Arguments) => moving.mirror(args),
  'query-block-jobs': ({ moving }: MovingContext) => moving.jobs(),
  'block-job-cancel': ({ moving }: MovingContext, args: Arguments) => moving.endMirror(args),
  'job-dismiss': ({ moving }: MovingContext, args: Arguments) => moving.dismiss(args),
  'query-yank': ({ moving }: MovingContext) => moving.yankable(),
  yank: ({ moving }: MovingContext, args: Arguments) => moving.yank(args),
};
