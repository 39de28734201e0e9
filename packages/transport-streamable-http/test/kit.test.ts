import { test } from '@jest/globals';
import { testTransportProvider } from '@countersign/testing';
import plugin from '../src/index.js';

testTransportProvider(test, { plugin, entry: ({ url }) => ({ transport_type: 'streamable_http', url: url.href }) });
