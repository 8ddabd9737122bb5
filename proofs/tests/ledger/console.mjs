// Decides receipts with the console's own module, as a page does: a line `genesis receipt` in
// hexadecimal comes in, a line `yes ID FAILURE` or `no WHY` goes out.

import { webcrypto } from "node:crypto";
import { createInterface } from "node:readline";
import { verify } from "./receipt.js";

globalThis.crypto ??= webcrypto;

const bytes = (text) => Uint8Array.from(Buffer.from(text, "hex"));

for await (const line of createInterface({ input: process.stdin })) {
  const [genesis, receipt] = line.split(" ").map(bytes);
  try {
    const { id, receipt: read } = await verify(receipt, genesis, () => {});
    console.log(`yes ${id} ${read.result.failure}`);
  } catch (error) {
    console.log(`no ${error.message}`);
  }
}
