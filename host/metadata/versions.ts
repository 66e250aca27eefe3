/** The dated versions of both metadata APIs, as Nova lists them; guests look for the newest that they know. */

/** @see https://docs.openstack.org/nova/latest/user/metadata.html */
export const openstackVersions = [
  '2012-08-10',
  '2013-04-04',
  '2013-10-17',
  '2015-10-15',
  '2016-06-30',
  '2016-10-06',
  '2017-02-22',
  '2018-08-27',
  '2020-10-14',
] as const;

export const ec2Versions = [
  '1.0',
  '2007-01-19',
  '2007-03-01',
  '2007-08-29',
  '2007-10-10',
  '2007-12-15',
  '2008-02-01',
  '2008-09-01',
  '2009-04-04',
] as const;

/** Nova's names of the releases in which a part of the OpenStack format appeared. */
export const since = {
  randomSeed: '2013-04-04',
  password: '2013-04-04',
  vendorData: '2013-10-17',
  networkData: '2015-10-15',
  projectId: '2015-10-15',
  devices: '2016-06-30',
  vendorData2: '2016-10-06',
  trustedCards: '2018-08-27',
  dedicatedCpus: '2020-10-14',
} as const;

/** True where `version` is 'latest' or not older than `required`; dates compare as text. */
export function atLeast(version: string, required: string): boolean {
  return version === 'latest' || version >= required;
}
