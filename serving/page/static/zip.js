// The files of a zip archive, through its central directory; each file is unpacked when it is
// needed, up to a size.

import { Unreadable } from "./npy.js";

const LARGEST = 16 * 2 ** 20; // bytes of one file: an image of a sample has about 10 kB
const MOST = 2000; // entries

/** Return [{name, read}] of the archive's files; `read()` resolves to a Uint8Array. */
export function entriesOf(buffer) {
  const view = new DataView(buffer);
  const end = findEnd(view);
  const count = view.getUint16(end + 10, true);
  let at = view.getUint32(end + 16, true);
  if (count > MOST) throw new Unreadable(`it holds ${count} files`);
  const entries = [];
  try {
    for (let index = 0; index < count; index++) {
      if (view.getUint32(at, true) !== 0x02014b50) throw new Unreadable("its list of files is damaged");
      const [nameLength, extra, comment] = [28, 30, 32].map((offset) => view.getUint16(at + offset, true));
      const entry = {
        flags: view.getUint16(at + 8, true),
        method: view.getUint16(at + 10, true),
        packed: view.getUint32(at + 20, true),
        start: view.getUint32(at + 42, true),
      };
      const name = new TextDecoder().decode(new Uint8Array(buffer, at + 46, nameLength));
      if (!name.endsWith("/")) entries.push({ name, read: () => unpack(buffer, view, entry) });
      at += 46 + nameLength + extra + comment;
    }
  } catch (error) {
    if (error instanceof RangeError) throw new Unreadable("it is cut short");
    throw error;
  }
  return entries;
}

function findEnd(view) {
  // The record of 22 bytes is followed by a comment of at most 65535.
  for (let at = view.byteLength - 22; at >= Math.max(0, view.byteLength - 22 - 65535); at--) {
    if (view.getUint32(at, true) === 0x06054b50) return at;
  }
  throw new Unreadable("it is not a zip archive, or it is cut short");
}

async function unpack(buffer, view, { flags, method, packed, start }) {
  if (flags & 1) throw new Unreadable("a file in it is encrypted");
  if (start + 30 > view.byteLength) throw new Unreadable("it is cut short");
  const data = start + 30 + view.getUint16(start + 26, true) + view.getUint16(start + 28, true);
  if (data + packed > view.byteLength) throw new Unreadable("it is cut short");
  const bytes = new Uint8Array(buffer, data, packed);
  if (method === 0) return bytes;
  if (method !== 8) throw new Unreadable(`a file in it is compressed by method ${method}`);
  return inflate(bytes);
}

async function inflate(bytes) {
  const reader = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate-raw")).getReader();
  const parts = [];
  let length = 0;
  for (;;) {
    const { done, value } = await reader.read();
    if (done) break;
    length += value.length;
    if (length > LARGEST) {
      await reader.cancel();
      throw new Unreadable("a file in it is far too large for an image");
    }
    parts.push(value);
  }
  return new Uint8Array(await new Blob(parts).arrayBuffer());
}
