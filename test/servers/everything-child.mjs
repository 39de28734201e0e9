// Entry of the child process that runs @modelcontextprotocol/server-everything over HTTP. The server takes only a port and listens on every
// interface; here it gets a free port of loopback, without a race, tells its parent which, and ends when the parent does.
import { Server } from 'node:net';
import process from 'node:process';

const listen = Server.prototype.listen;
/** @type {any} */ (Server.prototype).listen =
  /** @this {import('node:http').Server} @param {...unknown} args */ function (...args) {
    this.keepAliveTimeout = 0; // A guard's idle connection stays: none is closed just as a request goes out on it.
    this.once('listening', () => process.send?.(this.address()));
    return /** @type {any} */ (listen).call(this, { port: 0, host: '127.0.0.1' }, ...args.slice(1));
  };
process.on('disconnect', () => process.exit());
await import(/** @type {string} */ ('@modelcontextprotocol/server-everything/dist/index.js'));
