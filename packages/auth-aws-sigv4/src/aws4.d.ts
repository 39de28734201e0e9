/** The part of aws4 1.13 that the signer stands on. */
declare module 'aws4' {
  interface SignerRequest {
    host: string;
    method: string;
    service: string;
    region: string;
    headers: Record<string, string>;
    hostname?: string;
  }
  interface SignerCredentials {
    accessKeyId: string;
    secretAccessKey: string;
  }
  export class RequestSigner {
    constructor(request: SignerRequest, credentials: SignerCredentials);
    readonly request: SignerRequest;
    readonly credentials: SignerCredentials;
    readonly service: string;
    readonly region: string;
    authHeader(): string;
    signature(): string;
    signedHeaders(): string;
    credentialString(): string;
  }
  const aws4: { RequestSigner: typeof RequestSigner; sign(request: object, credentials: object): unknown };
  export default aws4;
}
