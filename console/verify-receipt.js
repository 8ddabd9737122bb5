// "Verify in this page": fetches the bytes of a receipt, and shows each step of its verification.

import { bech32m, readGenesis, STEPS, verify } from "./receipt.js";

const part = document.querySelector("[data-verify]");
const start = part?.querySelector("[data-verify-start]");
const steps = part?.querySelector("[data-verify-steps]");
const verdict = part?.querySelector("[data-verify-verdict]");

start?.addEventListener("click", async () => {
  start.disabled = true;
  const items = showSteps();
  try {
    const [receipt, genesis] = await Promise.all([bytesOf(part.dataset.verify), genesisBytes()]);
    await readGenesis(genesis).catch(() => {
      throw new Error("the file that was chosen is no genesis file of a network");
    });
    const proven = await verify(receipt, genesis, (number, outcome, detail) => {
      items[number].item.className = `step step-${outcome}`;
      items[number].detail.textContent = detail;
    });
    if (proven.id !== part.dataset.transaction) throw new Error("it is a receipt of another transaction");
    say(proven.isSuccess ? "good" : "bad", sentence(proven));
  } catch (error) {
    say("bad", `Not verified: ${error.message}.`);
  }
  start.disabled = false;
});

function showSteps() {
  verdict.replaceChildren();
  const items = STEPS.map((name) => {
    const item = document.createElement("li");
    const title = document.createElement("strong");
    const detail = document.createElement("span");
    item.className = "step";
    title.textContent = name;
    detail.className = "detail";
    item.append(title, detail);
    return { item, detail };
  });
  steps.replaceChildren(...items.map(({ item }) => item));
  return items;
}

function say(tone, text) {
  const paragraph = document.createElement("p");
  paragraph.className = `notice notice-${tone}`;
  paragraph.textContent = text;
  verdict.replaceChildren(paragraph);
}

// What the receipt proves, in words.
function sentence({ genesis, receipt, isSuccess }) {
  const when = new Date(Number(receipt.header.time)).toLocaleString();
  if (!isSuccess) return `Verified: the transaction failed (reason ${receipt.result.failure}). It paid nothing. Reported ${when}.`;
  const { action } = receipt.body;
  const { exponent } = genesis.currencies.find(({ code }) => code === action.currency) ?? {};
  const paid = action.lines.map(({ payee, amount }) =>
    `${decimal(amount, exponent ?? 0)} ${action.currency} to ${bech32m("tlya", payee)}`);
  const what = paid.length > 0 ? `paid ${paid.join(", ")}` : `${action.name.replaceAll("_", " ")}`;
  return `Verified: ${what}. Final, reported ${when}.`;
}

function decimal(minor, exponent) {
  const digits = minor.toString().padStart(exponent + 1, "0");
  if (exponent === 0) return digits;
  return `${digits.slice(0, -exponent)}.${digits.slice(-exponent)}`;
}

async function genesisBytes() {
  const file = part.querySelector("[data-verify-genesis]")?.files[0];
  return file ? new Uint8Array(await file.arrayBuffer()) : bytesOf(part.dataset.genesis);
}

async function bytesOf(address) {
  const answer = await fetch(address).catch(() => {
    throw new Error("the server cannot be reached just now");
  });
  if (!answer.ok) throw new Error(`the server answered ${answer.status}`);
  return new Uint8Array(await answer.arrayBuffer());
}
