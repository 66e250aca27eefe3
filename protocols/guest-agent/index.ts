export { AgentError, askAgent } from './client.ts';
