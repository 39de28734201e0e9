import { test } from '@jest/globals';
import { testTransportProvider } from '@countersign/testing';
import plugin from '../src/index.js';

testTransportProvider(test, { plugin, entry: ({ sseUrl }) => ({ transport_type: 'sse', url: sseUrl.href }) });
