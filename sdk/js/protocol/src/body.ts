// Reading bodies up to a bound: nobody fills our memory.

const utf8 = new TextDecoder();

/** A body with more bytes than its bound. */
export class TooLargeError extends Error {
  override readonly name = "TooLargeError";
}

function tooLarge(): TooLargeError {
  return new TooLargeError("the body is larger than its bound");
}

/** The whole body, unless it has more than `limit` bytes. */
export async function readWhole(source: Response | Request, limit: number): Promise<Uint8Array<ArrayBuffer>> {
  // The usual answer says how long it is, and HTTP keeps it to that unless it is compressed.
  const stated = Number(source.headers.get("content-length") ?? Infinity);
  if (stated <= limit && !source.headers.has("content-encoding")) {
    const bytes = new Uint8Array(await source.arrayBuffer());
    if (bytes.byteLength > limit) throw tooLarge();
    return bytes;
  }
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of chunksOf(source)) {
    length += chunk.byteLength;
    if (length > limit) throw tooLarge();
    chunks.push(chunk);
  }
  return joined(chunks, length);
}

/** The same as text. */
export async function readText(source: Response, limit: number): Promise<string> {
  return utf8.decode(await readWhole(source, limit));
}

/** As much of a body as arrives and fits; breaks off silently. */
export async function readSome(source: Response, limit: number, milliseconds: number): Promise<string> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  const late = later(milliseconds);
  const reading = (async () => {
    for await (const chunk of chunksOf(source, late.promise)) {
      chunks.push(chunk.subarray(0, limit - length));
      length += Math.min(chunk.byteLength, limit - length);
      if (length >= limit) return;
    }
  })();
  await reading.catch(() => undefined).finally(late.cancel);
  const text = utf8.decode(joined(chunks, length));
  // A stranger's text ends up in logs and terminals, where control characters are commands.
  return text.replace(/[\u0000-\u0009\u000b-\u001f\u007f-\u009f]/g, " ");
}

async function* chunksOf(source: Response | Request, late?: Promise<undefined>): AsyncGenerator<Uint8Array> {
  if (source.body === null) return;
  const reader = (source.body as ReadableStream<Uint8Array>).getReader();
  let done = false;
  try {
    for (;;) {
      const next = await (late === undefined ? reader.read() : Promise.race([reader.read(), late]));
      done = next?.done ?? false;
      if (next?.value === undefined) return;
      yield next.value;
    }
  } finally {
    // A connection with an unread body cannot be used again, and would be held open for nothing.
    if (!done) void reader.cancel().catch(() => undefined);
  }
}

function later(milliseconds: number): { promise: Promise<undefined>; cancel: () => void } {
  let timer: ReturnType<typeof setTimeout>;
  const promise = new Promise<undefined>((resolve) => {
    timer = setTimeout(resolve, milliseconds, undefined);
  });
  return { promise, cancel: () => clearTimeout(timer) };
}

function joined(chunks: Uint8Array[], length: number): Uint8Array<ArrayBuffer> {
  const whole = new Uint8Array(length);
  let offset = 0;
  for (const chunk of chunks) {
    whole.set(chunk, offset);
    offset += chunk.byteLength;
  }
  return whole;
}
