export { type ExportRow, exportDocument, exportDocumentSql, exportUser } from './desired.ts';
export { exportIsOpenSql, recordEnded } from './observed.ts';
export { exportSecret, handOutSecrets, newSecret } from './secret.ts';
export { carryExport, endExport, freePort, insertExport, tellExports } from './store.ts';
