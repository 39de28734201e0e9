import { test } from 'node:test';
import { testTransportProvider } from '@countersign/testing';
import plugin from './index.mjs';

testTransportProvider(test, { plugin, entry: ({ url }) => ({ transport_type: 'http_post', url: url.href }) });
