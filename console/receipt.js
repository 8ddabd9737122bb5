// Verifies a receipt from the genesis file alone, step by step, with the browser's own SHA-256,
// Ed25519 and P-256. It follows `proofs/src/receipt.rs` and what that stands on, in the same order.

import { Reader, readWhole } from "./cbor.js";
import { concat, hex, labelled, rootOf, same } from "./merkle.js";

const RECEIPT_BYTES_MAX = 256 * 1024;
const GENESIS_BYTES_MAX = 1024 * 1024;
const BODY_BYTES_MAX = 16 * 1024;
const WITNESS_BYTES_MAX = 4 * 1024;
const VALIDATORS_MAX = 64;
const OWNER_KEYS_MAX = 16;
const DESCENDANTS_MAX = 64;
const CHANGES_MAX = 64;
const RULES_VERSION_MAX = 3n;
// Heights of the one epoch of a network whose validators nobody may change.
const ONE_EPOCH = 1n << 40n;
const LINES_MAX = 64;
const PATH_MAX = 32;
const ACTIONS = [
  "account_open", "mint", "burn", "transfer", "reserve_open", "reserve_close", "unlock_request",
  "remit", "validators_change", "rules_activate",
];
const [TRANSFER, REMIT, VALIDATORS_CHANGE] = [4, 8, 9];

export async function readGenesis(bytes) {
  if (bytes.length > GENESIS_BYTES_MAX) throw new Error("a genesis file is not that long");
  const genesis = readWhole(bytes, (input) => {
    input.tuple(7);
    version(input);
    const name = input.text(64);
    const time = input.number();
    const set = readSet(input);
    input.skip();
    const currencies = input.list(64, () => {
      input.tuple(3);
      return { code: input.text(8), exponent: input.small(), authority: input.number() };
    });
    return { name, time, set, currencies, epochBlocks: readEpochBlocks(input) };
  });
  return { ...genesis, network: await labelled("tallystick/network/1", bytes) };
}

// Heights of an epoch, from the network's parameters.
function readEpochBlocks(input) {
  const fields = input.array(4);
  if (fields < 3) throw new Error("parameters that are not known here");
  [0, 1, 2].forEach(() => input.number());
  if (fields === 3) return ONE_EPOCH;
  input.tuple(3);
  const blocks = input.number();
  [0, 1].forEach(() => input.number());
  if (blocks < 8n || blocks > ONE_EPOCH) throw new Error("epochs of that length cannot be");
  return blocks;
}

// A validator set: its keys, strictly rising, its bytes, and how many of them must agree.
function readSet(input) {
  const [keys, bytes] = input.exact(() => input.list(VALIDATORS_MAX, () => publicKey(input)));
  const rising = keys.every(({ algorithm, bytes: key }, place, all) =>
    algorithm === 1n && (place === 0 || compare(all[place - 1].bytes, key) < 0));
  if (!rising || keys.length === 0) throw new Error("validators out of order");
  const quorum = keys.length - Math.floor((keys.length - 1) / 3);
  return { keys, bytes: Uint8Array.from(bytes), quorum };
}

export function readReceipt(bytes) {
  if (bytes.length > RECEIPT_BYTES_MAX) throw new Error("a receipt is not that long");
  return readWhole(bytes, (input) => {
    if (input.array(9) === 8) return { ...readPlain(input, 1n), changes: [] };
    const receipt = readPlain(input, 2n);
    const changes = input.list(CHANGES_MAX, () => {
      input.tuple(8);
      return readPlain(input, 1n);
    });
    if (changes.length === 0) throw new Error("a list of changes without any");
    return { ...receipt, changes };
  });
}

// The fields of a receipt without changes of the validator set.
function readPlain(input, expected) {
  if (input.number() !== expected) throw new Error("a version that is not known here");
  const body = input.string(BODY_BYTES_MAX);
  const witness = input.string(WITNESS_BYTES_MAX);
  const [result, leaf] = input.exact(() => readResult(input));
  return {
    body: { bytes: body, ...readWhole(body, readBody) },
    witness: { bytes: witness, entries: readWhole(witness, readWitness) },
    result: { ...result, bytes: leaf },
    path: readPath(input),
    header: readHeader(input),
    descendants: input.list(DESCENDANTS_MAX, () => readHeader(input)),
    finality: readFinality(input),
  };
}

// Verifies everything. `told` is called with the number of each step, its outcome and a detail, as
// each comes to its end; the first that fails throws.
export const STEPS = [
  "The genesis file names the network",
  "The transaction has this id and is of this network",
  "The result is that of this transaction",
  "The path leads from the result to the root",
  "The header reports that height",
  "Headers follow each other to the certified one",
  "The validators follow from the genesis file",
  "A quorum of validators signed that it is final",
  "Whose money it is signed the transaction",
];

export async function verify(receiptBytes, genesisBytes, told) {
  let number = 0;
  const step = async (work) => {
    told(number, "now", "");
    try {
      const [value, detail] = await work();
      told(number, "done", detail);
      number += 1;
      return value;
    } catch (error) {
      told(number, "failed", error.message);
      throw error;
    }
  };
  const genesis = await step(async () => {
    const read = await readGenesis(genesisBytes);
    return [read, `${read.name}: ${bech32m("tlyn", read.network)}`];
  });
  let receipt;
  const id = await step(() => {
    receipt = readReceipt(receiptBytes);
    return checkBody(receipt, genesis);
  });
  await step(() => checkResult(receipt, id));
  await step(() => checkPath(receipt));
  await step(() => checkHeight(receipt));
  const certified = await step(() => follow(receipt));
  const set = await step(async () => {
    const sets = await followChanges(receipt.changes, genesis);
    require(sets.at(-1).from <= certified.epoch, "a change of the validators is of a later epoch");
    return checkSet(receipt, genesis, sets, certified);
  });
  await step(() => checkFinality(receipt.finality, genesis, set, certified));
  await step(() => checkWitness(receipt.witness.entries, id));
  return { id: bech32m("tlyt", id), genesis, receipt, isSuccess: receipt.result.failure === 0 };
}

// The validator sets from genesis on, each with the epoch from which it is in force. Every change
// is a receipt of its own, which the set before it certified.
async function followChanges(changes, genesis) {
  const sets = [{ from: 0n, set: genesis.set }];
  for (const change of changes) {
    const [id] = await checkBody(change, genesis);
    await checkResult(change, id);
    await checkPath(change);
    await checkHeight(change);
    const [certified] = await follow(change);
    const [set] = await checkSet(change, genesis, sets, certified);
    await checkFinality(change.finality, genesis, set, certified);
    await checkWitness(change.witness.entries, id);
    const from = change.result.height / genesis.epochBlocks + 2n;
    const next = change.body.action.set;
    require(next && change.result.failure === 0, "a transaction that changed no validators");
    require(from > sets.at(-1).from, "changes of the validators are not in order");
    sets.push({ from, set: next });
  }
  return sets;
}

async function checkBody({ body }, genesis) {
  require(same(body.network, genesis.network), "it is of another network");
  const id = await labelled("tallystick/tx/1", body.bytes);
  return [id, bech32m("tlyt", id)];
}

async function checkResult({ result, witness }, id) {
  const hash = await labelled("tallystick/witness/1", witness.bytes);
  require(same(result.id, id), "the result is of another transaction");
  require(same(result.witnessHash, hash), "the result is of another witness");
  const { failure, height } = result;
  return [null, failure === 0 ? `success, in block ${height}` : `failure ${failure}, in block ${height}`];
}

async function checkPath({ result, path, header }) {
  const root = await rootOf(result.bytes, path);
  require(same(root, header.resultsRoot), "the path leads to another root");
  return [null, `${path.siblings.length} hashes to ${hex(root)}`];
}

async function checkHeight({ result: { height }, header }) {
  require(height > 0n && height <= header.executedHeight, "that height was not executed");
  return [null, `block ${header.height} reports up to ${header.executedHeight}`];
}

// The set of the certified header's epoch, among those that are known.
async function checkSet({ finality }, genesis, sets, certified) {
  const { epoch } = certified;
  const { set } = sets.findLast(({ from }) => from <= epoch);
  const hash = await labelled("tallystick/validator-set/1", set.bytes);
  require(same(certified.validatorSetHash, hash), "other validators vote on this header");
  require(epoch === certified.height / genesis.epochBlocks, "the header is of another epoch");
  require(epoch === finality.epoch, "the certificate is of another epoch");
  const changes = sets.length === 1 ? "" : ` after ${sets.length - 1} changes`;
  return [set, `${set.keys.length} validators${changes}, ${set.quorum} must agree`];
}

// Follows the descendants to the header that the certificate is for.
async function follow(receipt) {
  let tip = receipt.header;
  let tipId = await headerId(tip);
  for (const next of receipt.descendants) {
    require(same(next.previous, tipId), "a header does not follow the one before it");
    require(next.height === tip.height + 1n, "a height is left out");
    tip = next;
    tipId = await headerId(tip);
  }
  return [{ ...tip, id: tipId }, `block ${tip.height}: ${hex(tipId)}`];
}

async function checkFinality(finality, genesis, set, certified) {
  const { signers, signatures } = finality;
  require(signers.length === signatures.length, "signers and signatures differ in number");
  const rising = signers.every((signer, place) => place === 0 || signers[place - 1] < signer);
  require(rising, "signers are not in order");
  require(signers.length >= set.quorum, "too few signed");
  const message = finalityMessage(finality, genesis.network, certified.id);
  for (const [place, signer] of signers.entries()) {
    const key = set.keys[Number(signer)];
    require(signer < BigInt(set.keys.length), `there is no validator ${signer}`);
    const holds = await verifySignature(key, signatures[place], message);
    require(holds, `the signature of validator ${signer} is wrong`);
  }
  return [null, `validators ${signers.join(", ")} signed`];
}

async function checkWitness(entries, id) {
  require(entries.length > 0, "nobody signed");
  for (const [place, { key, signature }] of entries.entries()) {
    require(place === 0 || compareKeys(entries[place - 1].key, key) < 0, "keys are not in order");
    require(await verifySignature(key, signature, id), "a signature of the transaction is wrong");
  }
  return [null, entries.length === 1 ? "one key" : `${entries.length} keys`];
}

// `union_unique(namespace || "_FINALIZE", epoch || view || parent view || payload)` of the engine.
function finalityMessage({ epoch, view, parentView }, network, header) {
  const text = (string) => new TextEncoder().encode(string);
  const namespace = concat([text("_TALLYSTICK_1_"), network, text("_FINALIZE")]);
  const numbers = [epoch, view, parentView].map(leb128);
  return concat([leb128(BigInt(namespace.length)), namespace, ...numbers, header]);
}

function leb128(number) {
  const bytes = [];
  while (number >= 0x80n) {
    bytes.push(Number(number & 0x7fn) | 0x80);
    number >>= 7n;
  }
  bytes.push(Number(number));
  return Uint8Array.from(bytes);
}

function headerId(header) {
  return labelled("tallystick/header/1", header.bytes);
}

function readBody(input) {
  input.tuple(6);
  version(input);
  const network = input.fixed(32);
  const account = input.fixed(32);
  input.fixed(16);
  const validUntil = input.number();
  return { network, account, validUntil, action: readAction(input) };
}

// The action's name, the lines of the actions that pay, and the validators of their change.
function readAction(input) {
  const fields = input.array(5);
  const number = input.small();
  const name = ACTIONS[number - 1];
  if (!name) throw new Error("an action that is not known here");
  if (number === VALIDATORS_CHANGE) {
    if (fields !== 2) throw new Error("an action with other fields");
    return { name, lines: [], set: readSet(input) };
  }
  if (number !== TRANSFER && number !== REMIT) {
    for (let left = fields - 1; left > 0; left -= 1) input.skip();
    return { name, lines: [] };
  }
  if (fields !== (number === TRANSFER ? 3 : 5)) throw new Error("an action with other fields");
  const currency = input.text(8);
  const lines = input.list(LINES_MAX, () => {
    input.tuple(3);
    const line = { payee: input.fixed(32), amount: input.number() };
    input.skip();
    return line;
  });
  for (let left = fields - 3; left > 0; left -= 1) input.skip();
  return { name, currency, lines };
}

function readWitness(input) {
  return input.list(OWNER_KEYS_MAX, () => {
    input.tuple(2);
    return { key: publicKey(input), signature: input.fixed(64) };
  });
}

function readResult(input) {
  input.tuple(5);
  return {
    id: input.fixed(32),
    witnessHash: input.fixed(32),
    height: input.number(),
    index: input.number(),
    failure: input.small(),
  };
}

function readPath(input) {
  input.tuple(3);
  const [index, leafCount] = [input.number(), input.number()];
  return { index, leafCount, siblings: input.list(PATH_MAX, () => input.fixed(32)) };
}

function readHeader(input) {
  const [header, bytes] = input.exact(() => {
    input.tuple(13);
    const rules = input.number();
    if (rules < 1n || rules > RULES_VERSION_MAX) throw new Error("rules that are not known here");
    return {
      epoch: input.number(),
      height: input.number(),
      previous: input.fixed(32),
      time: input.number(),
      proposer: input.number(),
      transactionsRoot: input.fixed(32),
      count: input.number(),
      executedHeight: input.number(),
      resultsRoot: input.fixed(32),
      checkpointRoot: input.fixed(32),
      validatorSetHash: input.fixed(32),
      parametersHash: input.fixed(32),
    };
  });
  return { ...header, bytes };
}

function readFinality(input) {
  input.tuple(6);
  version(input);
  return {
    epoch: input.number(),
    view: input.number(),
    parentView: input.number(),
    signers: input.list(VALIDATORS_MAX, () => input.number()),
    signatures: input.list(VALIDATORS_MAX, () => input.fixed(64)),
  };
}

function publicKey(input) {
  input.tuple(2);
  const algorithm = input.number();
  return { algorithm, bytes: input.fixed(algorithm === 1n ? 32 : 33) };
}

function version(input) {
  if (input.number() !== 1n) throw new Error("a version that is not known here");
}

function require(holds, otherwise) {
  if (!holds) throw new Error(otherwise);
}

function compare(one, other) {
  for (const [place, byte] of one.entries()) {
    if (byte !== other[place]) return byte - other[place];
  }
  return 0;
}

function compareKeys(one, other) {
  if (one.algorithm !== other.algorithm) return one.algorithm < other.algorithm ? -1 : 1;
  return compare(one.bytes, other.bytes);
}

async function verifySignature(key, signature, message) {
  if (key.algorithm === 1n) {
    const imported = await crypto.subtle.importKey("raw", key.bytes, "Ed25519", false, ["verify"]);
    return crypto.subtle.verify("Ed25519", imported, signature, message);
  }
  if (key.algorithm !== 2n) throw new Error("a kind of key that is not known here");
  if (number(signature.subarray(32)) > P256_ORDER / 2n) throw new Error("a second form of a signature");
  const curve = { name: "ECDSA", namedCurve: "P-256" };
  const point = uncompressed(key.bytes);
  const imported = await crypto.subtle.importKey("raw", point, curve, false, ["verify"]);
  return crypto.subtle.verify({ name: "ECDSA", hash: "SHA-256" }, imported, signature, message);
}

// The whole point of a compressed one (SEC 1 section 2.3.4): browsers need not read short ones.
export function uncompressed(short) {
  const x = number(short.subarray(1));
  const square = mod(x * x * x - 3n * x + P256_B);
  const root = power(square, (P256_PRIME + 1n) / 4n);
  const isPoint = (short[0] === 2 || short[0] === 3) && x < P256_PRIME && mod(root * root) === square;
  if (!isPoint) throw new Error("a key that is no point");
  const y = (root & 1n) === BigInt(short[0] & 1) ? root : P256_PRIME - root;
  return concat([Uint8Array.of(4), short.subarray(1), thirtyTwo(y)]);
}

const P256_PRIME = 0xffffffff00000001000000000000000000000000ffffffffffffffffffffffffn;
const P256_ORDER = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n;
const P256_B = 0x5ac635d8aa3a93e7b3ebbd55769886bc651d06b0cc53b0f63bce3c3e27d2604bn;

function mod(number) {
  const rest = number % P256_PRIME;
  return rest < 0n ? rest + P256_PRIME : rest;
}

function power(base, exponent) {
  let result = 1n;
  for (let square = base; exponent > 0n; exponent >>= 1n, square = mod(square * square)) {
    if (exponent & 1n) result = mod(result * square);
  }
  return result;
}

function number(bytes) {
  return BigInt(`0x${hex(bytes)}`);
}

function thirtyTwo(value) {
  const text = value.toString(16).padStart(64, "0");
  return Uint8Array.from(text.match(/../g), (pair) => Number.parseInt(pair, 16));
}

// Bech32m (BIP 350), as ids are shown everywhere.
export function bech32m(prefix, bytes) {
  const alphabet = "qpzry9x8gf2tvdw0s3jn54khce6mua7l";
  const words = [];
  let [held, bits] = [0, 0];
  for (const byte of bytes) {
    held = ((held << 8) | byte) & 0xfff;
    bits += 8;
    while (bits >= 5) {
      bits -= 5;
      words.push((held >> bits) & 31);
    }
  }
  if (bits > 0) words.push((held << (5 - bits)) & 31);
  const letters = Array.from(prefix, (letter) => letter.charCodeAt(0));
  const expanded = [...letters.map((code) => code >> 5), 0, ...letters.map((code) => code & 31)];
  const sum = polymod([...expanded, ...words, 0, 0, 0, 0, 0, 0]) ^ 0x2bc830a3;
  const check = Array.from({ length: 6 }, (_, place) => (sum >>> (5 * (5 - place))) & 31);
  return `${prefix}1${[...words, ...check].map((word) => alphabet[word]).join("")}`;
}

function polymod(words) {
  const generators = [0x3b6a57b2, 0x26508e6d, 0x1ea119fa, 0x3d4233dd, 0x2a1462b3];
  return words.reduce((sum, word) => {
    const mixed = ((sum & 0x1ffffff) << 5) ^ word;
    return generators.reduce(
      (value, generator, bit) => (((sum >>> 25) >> bit) & 1 ? value ^ generator : value),
      mixed,
    );
  }, 1);
}
