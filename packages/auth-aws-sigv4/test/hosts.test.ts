import { expect, test } from '@jest/globals';
import { awsHost } from '../src/index.js';

test.each([
  ['bedrock-agentcore.us-west-2.amazonaws.com', 'bedrock-agentcore', 'us-west-2'],
  ['bedrock-agentcore-control.us-west-2.amazonaws.com', 'bedrock-agentcore', 'us-west-2'],
  ['vpce-0a1b.bedrock-agentcore.us-west-2.vpce.amazonaws.com', 'bedrock-agentcore', 'us-west-2'],
  ['my-gateway-abc.gateway.bedrock-agentcore.eu-central-1.amazonaws.com', 'bedrock-agentcore', 'eu-central-1'],
  ['aws-mcp.us-east-1.api.aws', 'aws-mcp', 'us-east-1'],
  ['knowledge-mcp.eu-west-3.api.aws', 'knowledge-mcp', 'eu-west-3'],
  ['a1b2c3.execute-api.us-east-1.api.aws', 'execute-api', 'us-east-1'],
  ['abcdefghij.lambda-url.ap-southeast-2.on.aws', 'lambda', 'ap-southeast-2'],
  ['a1b2c3.execute-api.us-gov-west-1.amazonaws.com', 'execute-api', 'us-gov-west-1'],
  ['a1b2c3-vpce-0a1b.execute-api.us-east-1.amazonaws.com', 'execute-api', 'us-east-1'],
  ['vpce-0a1b-xyz.execute-api.us-east-1.vpce.amazonaws.com', 'execute-api', 'us-east-1'],
  ['a1b2c3.execute-api.cn-north-1.amazonaws.com.cn', 'execute-api', 'cn-north-1'],
  ['orders-0a1b.7d67968.vpc-lattice-svcs.us-west-2.on.aws', 'vpc-lattice-svcs', 'us-west-2'],
  ['service.us-east-1.amazonaws.com', 'service', 'us-east-1'],
  ['service.cn-northwest-1.amazonaws.com.cn', 'service', 'cn-northwest-1'],
  ['SERVICE.US-EAST-1.AMAZONAWS.COM', 'service', 'us-east-1'],
  ['service.us-east-1.amazonaws.com.', 'service', 'us-east-1'],
])('%s is %s in %s', (host, service, region) => {
  expect(awsHost(host)).toMatchObject({ service, region });
});

test('only VPC Lattice leaves the payload unsigned', () => {
  expect(awsHost('orders-0a1b.7d67968.vpc-lattice-svcs.us-west-2.on.aws')).toHaveProperty('payload', 'unsigned');
  expect(awsHost('abcdefghij.lambda-url.us-east-1.on.aws')).not.toHaveProperty('payload');
});

test.each([
  'example.com',
  'localhost',
  '127.0.0.1',
  'amazonaws.com',
  'iam.amazonaws.com',
  'us-east-1.amazonaws.com',
  'service.us-east-1.amazonaws.com.example.com',
  'service.us-east-1.amazonaws.com.evil',
  'service.nowhere.amazonaws.com',
  'serviceXus-east-1.amazonaws.com',
  'evil-lambda-url.us-east-1.on.aws',
  'on.aws',
])('%s is no host of the table', (host) => {
  expect(awsHost(host)).toBeUndefined();
});
