export { handOut, type KeyDependencies } from './handed-out.ts';
export { encryptionWith, insertKey, type VolumeEncryption } from './store.ts';
