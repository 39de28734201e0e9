export { runBridge, type BridgeOptions } from './bridge.js';
export { watchProcess, type ProcessWatch } from './process-watch.js';
