// Keeps a page current: when the server says that something happened, the page is fetched again and
// its marked parts are put in place of the old ones. What is drawn is drawn in one place, the server.

const AGAIN_AFTER = 1000;
const ANEW_AFTER = 10_000;

// Follows the events that `source` names in `data-live`; `drawn` is told of each new part.
export function follow(source, drawn) {
  if (!source) return;
  const lamp = document.querySelector("[data-live-lamp]");
  let isWaiting = false;
  let isStale = false;

  const show = (state, text) => {
    if (!lamp) return;
    lamp.dataset.state = state;
    lamp.textContent = text;
  };

  const refresh = async () => {
    isStale = true;
    if (isWaiting) return;
    isWaiting = true;
    while (isStale) {
      isStale = false;
      await replaceParts(drawn).catch(() => show("off", "not live"));
      await new Promise((resume) => setTimeout(resume, AGAIN_AFTER));
    }
    isWaiting = false;
  };

  let events = null;
  const connect = () => {
    events = new EventSource(source.dataset.live);
    events.addEventListener("open", () => {
      show("on", "live");
      // What happened between the drawing of the page and now is in no event.
      refresh();
    });
    events.addEventListener("error", () => {
      show("off", "reconnecting");
      // A stream that was refused, such as one that would go too far back, is begun anew.
      if (events.readyState === EventSource.CLOSED) setTimeout(connect, ANEW_AFTER);
    });
    events.addEventListener("message", refresh);
  };
  connect();
  addEventListener("pagehide", () => events.close());
}

async function replaceParts(drawn) {
  const answer = await fetch(location.href, { headers: { Accept: "text/html" } });
  if (!answer.ok || answer.redirected) return;
  const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
  for (const old of document.querySelectorAll("[data-part]")) {
    const part = fresh.querySelector(`[data-part="${CSS.escape(old.dataset.part)}"]`);
    if (!part) continue;
    drawn(part);
    if (part.isEqualNode(old)) continue;
    markFresh(old, part);
    const focused = old.contains(document.activeElement) ? document.activeElement : null;
    const place = document.adoptNode(part);
    old.replaceWith(place);
    place.dispatchEvent(new Event("replaced", { bubbles: true }));
    if (focused) sameIn(place, focused)?.focus();
  }
}

// Rows that were not there before are shown as such.
function markFresh(old, part) {
  const known = new Set([...old.querySelectorAll("tr[data-key]")].map((row) => row.dataset.key));
  if (known.size === 0) return;
  for (const row of part.querySelectorAll("tr[data-key]")) {
    if (!known.has(row.dataset.key)) row.classList.add("fresh");
  }
}

// The element of the new part that stands for the one that had the focus.
function sameIn(part, focused) {
  for (const name of ["id", "href", "data-copy"]) {
    const value = focused.getAttribute(name);
    if (value) return part.querySelector(`[${name}="${CSS.escape(value)}"]`);
  }
  return null;
}
