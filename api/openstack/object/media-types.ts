/** What an object is by its name's ending, where its sender does not say (the types that browsers need, of IANA's registry). */
const types: Readonly<Record<string, string>> = {
  ...{ css: 'text/css', csv: 'text/csv', htm: 'text/html', html: 'text/html', md: 'text/markdown', txt: 'text/plain' },
  ...{ js: 'text/javascript', mjs: 'text/javascript', xml: 'text/xml', py: 'text/x-python', ics: 'text/calendar' },
  ...{ json: 'application/json', pdf: 'application/pdf', wasm: 'application/wasm', zip: 'application/zip' },
  ...{ tar: 'application/x-tar', xhtml: 'application/xhtml+xml', rtf: 'application/rtf', ps: 'application/postscript' },
  ...{ bmp: 'image/bmp', gif: 'image/gif', ico: 'image/vnd.microsoft.icon', jpeg: 'image/jpeg', jpg: 'image/jpeg' },
  ...{ png: 'image/png', svg: 'image/svg+xml', tif: 'image/tiff', tiff: 'image/tiff', webp: 'image/webp' },
  ...{ mp3: 'audio/mpeg', ogg: 'audio/ogg', wav: 'audio/x-wav', flac: 'audio/flac' },
  ...{ avi: 'video/x-msvideo', mov: 'video/quicktime', mp4: 'video/mp4', mpeg: 'video/mpeg', webm: 'video/webm' },
  ...{ woff: 'font/woff', woff2: 'font/woff2', ttf: 'font/ttf', otf: 'font/otf' },
  ...{ doc: 'application/msword', docx: 'application/vnd.openxmlformats-officedocument.wordprocessingml.document' },
  ...{ xls: 'application/vnd.ms-excel', xlsx: 'application/vnd.openxmlformats-officedocument.spreadsheetml.sheet' },
};

export function typeOfName(name: string): string {
  const [, ending] = /\.([A-Za-z0-9]+)$/.exec(name) ?? [];
  const type = ending?.toLowerCase();
  return type !== undefined && Object.hasOwn(types, type) ? types[type]! : 'application/octet-stream';
}
