/**
 * Every time that an answer tells has its own field's form: what one client library in wide use reads of a zone, volumes or an application
 * credential it does not read of a server, and the other way round. All answers of OpenStack's dialects that any test gets are held to
 * this table.
 */

/** As most of Nova's tables, and all of Cinder's, and what Keystone keeps of passwords and application credentials: no zone. */
const bare = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}$/;
/** Keystone's tokens. */
const zoned = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/;
/** oslo's isotime: servers, Glance, Neutron. */
const seconds = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/;
/** Neutron's agents. */
const spaced = /^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d$/;
/** Neutron's extensions. */
const offset = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d-00:00$/;

/** By the first word of the path; then by the field, or by it and what it is in where that makes a difference. */
const forms: Readonly<Record<string, Readonly<Record<string, RegExp>>>> = {
  compute: {
    created: seconds,
    updated: seconds,
    'OS-SRV-USG:launched_at': bare,
    'OS-SRV-USG:terminated_at': bare,
    created_at: bare,
    updated_at: bare,
    start_time: bare,
    finish_time: bare,
    start: bare,
    stop: bare,
    started_at: bare,
    ended_at: bare,
    // Of volumes and snapshots, which Cinder told it so.
    createdAt: bare,
  },
  identity: {
    updated: seconds,
    issued_at: zoned,
    'token.expires_at': zoned,
    'receipt.expires_at': zoned,
    password_expires_at: bare,
    'application_credential.expires_at': bare,
    'application_credentials.expires_at': bare,
    'trust.expires_at': zoned,
    'trusts.expires_at': zoned,
    issued_before: zoned,
    revoked_at: zoned,
  },
  image: { created_at: seconds, updated_at: seconds, expires_at: seconds },
  network: {
    created_at: seconds,
    updated_at: seconds,
    updated: offset,
    ...Object.fromEntries(
      ['agent', 'agents'].flatMap((what) =>
        ['created_at', 'started_at', 'heartbeat_timestamp'].map((field) => [`${what}.${field}`, spaced]),
      ),
    ),
  },
  // Of a version document and an extension the day is fixed.
  volume: {
    ...Object.fromEntries(
      [
        'created_at',
        'updated_at',
        'attached_at',
        'detached_at',
        'launched_at',
        'terminated_at',
        'guaranteed_until',
        'timestamp',
        'updated',
        'last-update',
        'data_timestamp',
      ].map((field) => [field, bare]),
    ),
    'versions.updated': seconds,
    'extension.updated': seconds,
    'extensions.updated': seconds,
  },
};

// The walk gives names of the year 0.
const looksLikeTime = /^[12]\d{3}-\d\d-\d\d[T ]\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?:Z|[+-]\d\d:?\d\d)?$/;

/** @returns what is wrong with a time in the document; undefined where all is as it shall be */
export function oddTime(url: string, document: unknown): string | undefined {
  const table = forms[url.split(/[/?]/, 2)[1] ?? ''];
  return table && inside(table, document, []);
}

function inside(table: Readonly<Record<string, RegExp>>, value: unknown, path: string[]): string | undefined {
  if (typeof value === 'string') {
    if (!looksLikeTime.test(value)) return undefined;
    const [field = '', holder = ''] = path.toReversed();
    const form = table[`${holder}.${field}`] ?? table[field];
    if (form?.test(value)) return undefined;
    return `${path.join('.')} is ${value}, ${form ? `not of the form ${form.source}` : 'a time that times.ts does not know'}`;
  }
  if (value === null || typeof value !== 'object') return undefined;
  for (const [key, one] of Object.entries(value)) {
    const odd = inside(table, one, Array.isArray(value) ? path : [...path, key]);
    if (odd !== undefined) return odd;
  }
  return undefined;
}
