export interface AutoAllocatedTopologyTable {
  project_id: string;
  network_id: string;
  /** Null when somebody deleted it since. */
  router_id: string | null;
}

interface AutoTopologyTables {
  auto_allocated_topology: AutoAllocatedTopologyTable;
}

declare module '../../kit/database/schema.ts' {
  interface Schema extends AutoTopologyTables {}
}
