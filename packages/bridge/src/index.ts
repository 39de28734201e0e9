export { runBridge } from './bridge.js';
export type { BridgeOptions } from './bridge-options.js';
export { watchProcess, type ProcessWatch } from './process-watch.js';
