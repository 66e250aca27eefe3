export { type CredentialFiles, Credentials, type TlsTexts } from './credentials.ts';
