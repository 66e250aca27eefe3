export { type ControlProcess, Presence, type PresenceOptions } from './presence.ts';
