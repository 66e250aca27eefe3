/**
 * The catalogue: which services there are and where. Made from what the process was started with; it has no rows. Ids are
 * derived from what they name, so that every control process and every start tells the same ones.
 */
import { createHash } from 'node:crypto';

/** `{project_id}` in a path stands for the token's project. */
export interface CatalogueEntry {
  type: string;
  name: string;
  path: string;
}

export interface Service {
  id: string;
  type: string;
  name: string;
}

export interface Endpoint {
  id: string;
  serviceId: string;
  interface: (typeof interfaces)[number];
  region: string;
  /** May hold `{project_id}`. */
  url: string;
}

export interface CatalogueDocument {
  id: string;
  type: string;
  name: string;
  endpoints: { id: string; interface: string; region: string; region_id: string; url: string }[];
}

const interfaces = ['public', 'internal', 'admin'] as const;
const projectPlace = /\{project_id\}/g;

/** A UUID (RFC 9562, version 8) that is always the same for the same name. */
function idOf(name: string): string {
  const bytes = createHash('sha256').update(`bothy catalogue ${name}`).digest().subarray(0, 16);
  bytes[6] = (bytes[6]! & 0x0f) | 0x80;
  bytes[8] = (bytes[8]! & 0x3f) | 0x80;
  return bytes.toString('hex').replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
}

export class Catalogue {
  readonly region: string;
  readonly services: readonly Service[];
  readonly endpoints: readonly Endpoint[];

  constructor(options: { region: string; publicUrl: string; entries: readonly CatalogueEntry[] }) {
    const { region, publicUrl, entries } = options;
    this.region = region;
    this.services = entries.map(({ type, name }) => ({ id: idOf(`service ${type}`), type, name }));
    this.endpoints = entries.flatMap((entry) =>
      interfaces.map((face) => ({
        id: idOf(`endpoint ${region} ${entry.type} ${face}`),
        serviceId: idOf(`service ${entry.type}`),
        interface: face,
        region,
        url: `${publicUrl}${entry.path}`,
      })),
    );
  }

  /** As a token carries it. What needs a project is left out where there is none. */
  document(projectId: string | null): CatalogueDocument[] {
    return this.services.flatMap((service) => {
      const endpoints = this.endpoints.filter(
        (endpoint) => endpoint.serviceId === service.id && (projectId !== null || !endpoint.url.match(projectPlace)),
      );
      if (endpoints.length === 0) return [];
      return {
        ...service,
        endpoints: endpoints.map((endpoint) => ({
          id: endpoint.id,
          interface: endpoint.interface,
          region: endpoint.region,
          region_id: endpoint.region,
          url: endpoint.url.replace(projectPlace, projectId ?? ''),
        })),
      };
    });
  }
}
