// Reads deterministic CBOR (RFC 8949 section 4.2.1) strictly: the shortest form of every number and
// nothing left over, as the ledger's own reader does (`kernel/src/codec.rs`).

// A reader that also tells where in the bytes it stands, so that parts can be hashed as they are.
export class Reader {
  constructor(bytes) {
    this.bytes = bytes;
    this.at = 0;
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  get isEmpty() {
    return this.at === this.bytes.length;
  }

  // The major type and the argument of the next head; the argument is a BigInt.
  head() {
    const first = this.take(1)[0];
    const [major, info] = [first >> 5, first & 31];
    if (info < 24) return [major, BigInt(info)];
    if (info > 27) throw new Error("a length that is not definite");
    const size = 1 << (info - 24);
    const start = this.at;
    this.take(size);
    const read = [
      () => BigInt(this.view.getUint8(start)),
      () => BigInt(this.view.getUint16(start)),
      () => BigInt(this.view.getUint32(start)),
      () => this.view.getBigUint64(start),
    ][info - 24];
    const value = read();
    const least = [24n, 0x100n, 0x10000n, 0x100000000n][info - 24];
    if (value < least) throw new Error("a number that is longer than it need be");
    return [major, value];
  }

  take(count) {
    if (count > this.bytes.length - this.at) throw new Error("the bytes end too early");
    const taken = this.bytes.subarray(this.at, this.at + count);
    this.at += count;
    return taken;
  }

  expect(major, name) {
    const [found, value] = this.head();
    if (found !== major) throw new Error(`no ${name} where one must be`);
    return value;
  }

  number() {
    return this.expect(0, "number");
  }

  // A number that is small enough to count with.
  small() {
    const value = this.number();
    if (value > 0xffffffffn) throw new Error("a number out of range");
    return Number(value);
  }

  string(bytesMax) {
    return this.take(this.length(2, "byte string", bytesMax));
  }

  // A byte string of exactly so many bytes.
  fixed(size) {
    const found = this.string(size);
    if (found.length !== size) throw new Error(`not ${size} bytes long`);
    return found;
  }

  text(bytesMax) {
    const bytes = this.take(this.length(3, "text", bytesMax));
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  }

  array(lengthMax) {
    return this.length(4, "array", lengthMax);
  }

  tuple(length) {
    if (this.array(length) !== length) throw new Error(`not an array of ${length}`);
  }

  list(lengthMax, item) {
    return Array.from({ length: this.array(lengthMax) }, () => item());
  }

  length(major, name, max) {
    const value = this.expect(major, name);
    if (value > BigInt(max)) throw new Error(`a ${name} that is too long`);
    return Number(value);
  }

  // The bytes of the next value as they are, which `read` reads.
  exact(read) {
    const start = this.at;
    const value = read();
    return [value, this.bytes.subarray(start, this.at)];
  }

  // Passes over one value of any kind that the ledger's encodings use.
  skip(depth = 0) {
    if (depth > 32) throw new Error("nested too deeply");
    const [major, value] = this.head();
    if (major === 0) return;
    if (major === 2) return void this.take(bounded(value));
    if (major === 3) return void utf8(this.take(bounded(value)));
    if (major === 4) {
      for (let left = bounded(value); left > 0; left -= 1) this.skip(depth + 1);
      return;
    }
    // false, true and null.
    if (major === 7 && value >= 20n && value <= 22n) return;
    throw new Error("a kind of value that is not used here");
  }
}

// Reads a value that fills the bytes.
export function readWhole(bytes, read) {
  const input = new Reader(bytes);
  const value = read(input);
  if (!input.isEmpty) throw new Error("bytes are left over");
  return value;
}

function bounded(value) {
  if (value > 0x1000000n) throw new Error("a value that is too long");
  return Number(value);
}

function utf8(bytes) {
  return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
}
