import { PassThrough, Transform, type Readable } from 'node:stream';
import { constants, createBrotliDecompress, createGunzip, createInflate } from 'node:zlib';
import { CountersignError } from './errors.js';

const RATIO = 100;
const RATIO_APPLIES_FROM = 1024 * 1024;

/** Undoes Content-Encoding without buffering. More than 100 bytes out for one in (from 1 MB on), or several encodings, end the body with TOO_LARGE (R17). */
export function decodeBody(body: Readable, encoding: string | undefined): Readable {
  const name = encoding?.trim().toLowerCase();
  if (!name || name === 'identity') return body;
  const decoder = decoderOf(name);
  if (!decoder) {
    body.destroy();
    throw new CountersignError(
      'TOO_LARGE',
      `The answer is encoded as ${JSON.stringify(name.slice(0, 60))}, which is not gzip, deflate or br alone.`,
    );
  }
  let received = 0;
  let produced = 0;
  body.on('data', (chunk: Buffer) => (received += chunk.length)); // pipe() below pauses and resumes it
  const meter = new Transform({
    transform(chunk: Buffer, _encoding, done) {
      produced += chunk.length;
      if (produced > RATIO_APPLIES_FROM && produced > RATIO * received) {
        done(new CountersignError('TOO_LARGE', `The answer unpacks to more than ${RATIO} times its size.`));
        body.destroy();
      } else done(null, chunk);
    },
  });
  const fail = (error: Error): void => void meter.destroy(error);
  body.on('error', fail);
  decoder.on('error', fail);
  meter.on('close', () => {
    decoder.destroy();
    body.destroy();
  });
  return body.pipe(decoder).pipe(meter);
}

function decoderOf(name: string): Transform | undefined {
  const flush = { flush: constants.Z_SYNC_FLUSH }; // events of a stream come through at once; an end that was cut is an error
  if (name === 'gzip' || name === 'x-gzip') return createGunzip(flush);
  if (name === 'deflate') return createInflate(flush);
  if (name === 'br')
    return createBrotliDecompress({
      flush: constants.BROTLI_OPERATION_FLUSH,
    });
  return undefined;
}

/** Counts what has come of one message: of the whole body, or of the current event of a stream. `count` throws TOO_LARGE past the cap (bytes). */
export function messageMeter(contentType: string | undefined, cap: number): (chunk: Uint8Array) => void {
  const events = contentType?.toLowerCase().startsWith('text/event-stream') ?? false;
  let size = 0;
  let lineStart = true;
  return (chunk) => {
    if (events) {
      for (let at = 0; at < chunk.length;) {
        const feed = chunk.indexOf(10, at);
        if (feed < 0) {
          size += chunk.length - at;
          lineStart = false;
          break;
        }
        const blank = feed === at ? lineStart : feed === at + 1 && chunk[at] === 13 && lineStart;
        size = blank ? 0 : size + feed - at;
        lineStart = true;
        at = feed + 1;
      }
    } else size += chunk.length;
    if (size > cap)
      throw new CountersignError(
        'TOO_LARGE',
        `The server sent a message of more than ${Math.round(cap / 1024 / 1024)} MB.`,
      );
  };
}

/** The beginning of a body, and a body that still has all of it. Ends at `limit` bytes, `milliseconds`, or the body's end or failure, whichever is first. */
export async function peekBody(
  body: Readable,
  limit: number,
  milliseconds: number,
): Promise<{ start: Buffer; body: Readable }> {
  const chunks: Buffer[] = [];
  let size = 0;
  await new Promise<void>((resolve) => {
    const timer = setTimeout(resolve, milliseconds);
    const take = (): void => {
      for (let chunk: Buffer | null; size < limit && (chunk = body.read() as Buffer | null) !== null;) {
        chunks.push(chunk);
        size += chunk.length;
      }
      if (size >= limit || body.readableEnded || body.destroyed) finish();
    };
    const finish = (): void => {
      clearTimeout(timer);
      body.off('readable', take).off('end', finish).off('error', finish).off('close', finish);
      resolve();
    };
    body.on('readable', take).on('end', finish).on('error', finish).on('close', finish);
    take();
  });
  const start = Buffer.concat(chunks);
  const whole = new PassThrough();
  whole.write(start);
  if (body.readableEnded) whole.end();
  else if (body.destroyed) whole.destroy(body.errored ?? undefined);
  else {
    body.on('error', (error) => whole.destroy(error));
    body.pipe(whole);
    whole.on('close', () => body.destroy());
  }
  return { start: start.subarray(0, limit), body: whole };
}
