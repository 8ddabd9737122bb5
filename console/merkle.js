// Labelled SHA-256 and Merkle paths in the shape of RFC 9162, as `kernel/src/hash.rs` and
// `proofs/src/merkle.rs` have them.

const PATH_MAX = 32;

export async function sha256(bytes) {
  return new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
}

// `len(label) as u8 || label || (len(part) as u64 big-endian || part)*`; a BigInt stands for its
// eight bytes.
export async function labelled(label, ...parts) {
  const name = new TextEncoder().encode(label);
  const pieces = [Uint8Array.of(name.length), name];
  for (const part of parts) {
    const bytes = typeof part === "bigint" ? eight(part) : part;
    pieces.push(eight(BigInt(bytes.length)), bytes);
  }
  return sha256(concat(pieces));
}

export function concat(pieces) {
  const all = new Uint8Array(pieces.reduce((sum, piece) => sum + piece.length, 0));
  let at = 0;
  for (const piece of pieces) {
    all.set(piece, at);
    at += piece.length;
  }
  return all;
}

export function same(one, other) {
  return one.length === other.length && one.every((byte, place) => byte === other[place]);
}

export function hex(bytes) {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

// The root to which a path leads from a leaf's bytes.
export async function rootOf(leaf, { index, leafCount, siblings }) {
  if (index >= leafCount || siblings.length > PATH_MAX) throw new Error("the path does not fit");
  let [place, last] = [index, leafCount - 1n];
  let hash = await labelled("tallystick/merkle-leaf/1", leaf);
  for (const sibling of siblings) {
    if (last === 0n) throw new Error("the path is too long");
    if ((place & 1n) === 1n || place === last) {
      hash = await labelled("tallystick/merkle-node/1", sibling, hash);
      while ((place & 1n) === 0n && place !== 0n) {
        place >>= 1n;
        last >>= 1n;
      }
    } else {
      hash = await labelled("tallystick/merkle-node/1", hash, sibling);
    }
    place >>= 1n;
    last >>= 1n;
  }
  if (last !== 0n) throw new Error("the path is too short");
  return labelled("tallystick/merkle-root/1", leafCount, hash);
}

function eight(number) {
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setBigUint64(0, number);
  return bytes;
}
