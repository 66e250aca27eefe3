export { type MessageKind, type MessageRow, MessageService } from './service.ts';
