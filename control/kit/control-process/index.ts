export { type ControlProcess, Presence } from './presence.ts';
