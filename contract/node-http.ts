/**
 * `node:http` for processes that live long. Imported as an ES module it brings along Node.js' own fetch client (undici), 6 MiB that nobody
 * here uses: the module's facade reads every export, and three of them (`WebSocket` and its events) load it when they are read. Seen
 * with Node.js 24.21; `node:https` has no such exports.
 */
export const http = process.getBuiltinModule('node:http');
