// The holder's rotating code. This browser has a P-256 key that cannot be read out; the issuer
// certifies it for whoever is logged in, hands over the bytes of each code, and gets its signature.

const CURVE = { name: "ECDSA", namedCurve: "P-256" };
const SIGNATURE = { name: "ECDSA", hash: "SHA-256" };
const RENEW_BEFORE = 15;
const ENDED = ["revoked", "key_unknown", "expired", "account_mismatch"];

const part = document.querySelector("[data-code]");
if (part) begin(part);

function begin(section) {
  const find = (name) => section.querySelector(`[data-code-${name}]`);
  const [form, picture, left, actions] = ["form", "picture", "left", "actions"].map(find);
  const say = (message) => (find("status").textContent = message);
  let ticking = null;
  let drawn = null;
  let paidBefore;

  form.addEventListener("submit", (event) => {
    event.preventDefault();
    show();
  });
  find("stop").addEventListener("click", hide);
  // What nobody looks at is not renewed.
  document.addEventListener("visibilitychange", () => document.hidden && hide());

  // A code that was charged is of no use any more, whatever becomes of the payment.
  document.addEventListener("replaced", () => {
    if (ticking === null || newestPayment() === paidBefore) return;
    hide();
    say("The code was used. What becomes of the payment is in the list.");
  });

  function hide() {
    clearInterval(ticking);
    ticking = null;
    for (const each of [picture, left, actions]) each.hidden = true;
    for (const each of [form, find("hint")]) each.hidden = false;
    say("");
  }

  async function show() {
    say("Making a code …");
    try {
      const key = await deviceKey(section.dataset.holder, section.dataset.formToken);
      const made = await code(key, form.elements.amount.value.trim());
      draw(made);
    } catch (error) {
      hide();
      say(error.message);
      // A key that does not serve any more is forgotten: the next code begins with a new one.
      if (ENDED.includes(error.code)) await stored("readwrite", (keys) => keys.delete(section.dataset.holder));
    }
  }

  function draw(made) {
    const image = new Image();
    const address = URL.createObjectURL(new Blob([made.picture], { type: "image/svg+xml" }));
    image.alt = "Payment code for the merchant to scan";
    image.src = address;
    if (drawn) URL.revokeObjectURL(drawn);
    drawn = address;
    picture.replaceChildren(image);
    find("text").dataset.copy = made.code;
    for (const each of [picture, left, actions]) each.hidden = false;
    for (const each of [form, find("hint")]) each.hidden = true;
    say(made.amount ? `For ${made.amount} exactly. Pays once.` : "For any amount. Pays once.");
    const ends = performance.now() + made.lives_ms;
    clearInterval(ticking);
    paidBefore = newestPayment();
    ticking = setInterval(() => {
      const seconds = Math.max(0, (ends - performance.now()) / 1000);
      left.value = seconds;
      if (seconds < RENEW_BEFORE) {
        clearInterval(ticking);
        show();
      }
    }, 500);
  }

  async function code(key, amount) {
    const wanted = { point: key.point, amount: amount || null };
    const unsigned = await post("/holder/codes", wanted, section.dataset.formToken);
    const signature = await sign(key, unsigned.to_be_signed);
    const signed = { point: key.point, claims: unsigned.claims, signature };
    return post("/holder/codes/signed", signed, section.dataset.formToken);
  }
}

// When the newest payment of the list was asked for; a full list keeps its length.
function newestPayment() {
  return document.querySelector("[data-part=payments] tbody time")?.dateTime;
}

// The key of this browser for a holder; made and certified when there is none that still serves.
async function deviceKey(holder, formToken) {
  const known = await stored("readonly", (keys) => keys.get(holder));
  if (known && known.until > Date.now() + 60_000) return known;
  const pair = await crypto.subtle.generateKey(CURVE, false, ["sign"]);
  const point = encode(await crypto.subtle.exportKey("raw", pair.publicKey));
  const key = { pair, point };
  const unsigned = await post("/holder/keys", { point }, formToken);
  const signature = await sign(key, unsigned.to_be_signed);
  const { expiry_ms } = await post("/holder/keys/signed", { point, signature }, formToken);
  const certified = { ...key, until: expiry_ms };
  await stored("readwrite", (keys) => keys.put(certified, holder));
  return certified;
}

async function sign(key, toBeSigned) {
  return encode(await crypto.subtle.sign(SIGNATURE, key.pair.privateKey, decode(toBeSigned)));
}

async function post(address, body, formToken) {
  const headers = { "Content-Type": "application/json", "X-Form-Token": formToken };
  const request = { method: "POST", headers, body: JSON.stringify(body), redirect: "manual" };
  const answer = await fetch(address, request).catch(() => {
    throw new Error("The issuer cannot be reached just now. Try again in a moment.");
  });
  // Whoever is not logged in any longer is led to the login.
  if (answer.type === "opaqueredirect") throw new Error("You are logged out. Load the page again to log in.");
  const said = await answer.json().catch(() => ({}));
  if (!answer.ok) {
    const error = new Error(said.detail ?? said.title ?? "No code can be made now.");
    throw Object.assign(error, { code: said.code });
  }
  return said;
}

function stored(mode, act) {
  return new Promise((resolve, reject) => {
    const opening = indexedDB.open("tallystick", 1);
    opening.onupgradeneeded = () => opening.result.createObjectStore("keys");
    opening.onerror = () => reject(new Error("This browser keeps no keys (a private window?)."));
    opening.onsuccess = () => {
      const asked = act(opening.result.transaction("keys", mode).objectStore("keys"));
      asked.onsuccess = () => resolve(asked.result);
      asked.onerror = () => reject(new Error("This browser could not keep a key."));
    };
  });
}

// Base64 for URLs without padding, as bytes travel in JSON here.
function encode(bytes) {
  const text = String.fromCharCode(...new Uint8Array(bytes));
  return btoa(text).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}

function decode(text) {
  const plain = atob(text.replaceAll("-", "+").replaceAll("_", "/"));
  return Uint8Array.from(plain, (letter) => letter.charCodeAt(0));
}
