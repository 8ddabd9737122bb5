// What every page can do: copy buttons, times in the reader's own zone, and live parts.

import { follow } from "./live.js";

const SAID_FOR = 1500;

document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-copy]");
  if (!button) return;
  const said = document.getElementById("said");
  try {
    await navigator.clipboard.writeText(button.dataset.copy);
    if (said) said.textContent = "Copied.";
    button.dataset.copied = "yes";
  } catch {
    if (said) said.textContent = "Copying is not allowed here.";
    button.dataset.copied = "no";
  }
  setTimeout(() => {
    delete button.dataset.copied;
    if (said) said.textContent = "";
  }, SAID_FOR);
});

// Times come as UTC and are shown as the reader's clock has them.
export function localTimes(within) {
  const whole = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });
  const ofToday = new Intl.DateTimeFormat(undefined, { timeStyle: "medium" });
  const today = new Date().toDateString();
  for (const time of within.querySelectorAll("time[datetime]")) {
    const at = new Date(time.dateTime);
    if (Number.isNaN(at.getTime())) continue;
    time.title = time.dateTime;
    time.textContent = (at.toDateString() === today ? ofToday : whole).format(at);
  }
}

localTimes(document);
follow(document.querySelector("[data-live]"), localTimes);
