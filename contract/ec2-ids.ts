/**
 * EC2 names resources by a prefix and 17 hex digits. Ours are the last 17 digits of the UUID: at least 62 of its bits
 * are random in either kind, so they are as unique as the id itself and can be looked up without a table of their own.
 */
export function ec2Id(prefix: 'i' | 'ami' | 'r', id: string): string {
  return `${prefix}-${id.replaceAll('-', '').slice(-17)}`;
}
