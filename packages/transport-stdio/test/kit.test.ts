import { test } from '@jest/globals';
import { stdioServer, testTransportProvider } from '@countersign/testing';
import plugin from '../src/index.js';

testTransportProvider(test, { plugin, entry: stdioServer, local: true });
