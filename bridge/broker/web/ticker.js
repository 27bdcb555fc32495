/* Relative times that stay true: every <time> with a data-at is told anew once a second.

   Rule 1: ages are counted on the broker's clock: `setBrokerClock` keeps how far ours is off.
   Rule 2: the exact moment is always there, on hover (title) and for programs (datetime).
   Rule 3: a hidden tab is told nothing; it is told everything when it is looked at again. */

import { setAttribute, setText } from "./dom.js";
import { age, ago, exactTime } from "./format.js";

const STYLES = { ago, age, old: (ms) => `${age(ms)} old` };
let ahead = 0; // ms that the broker's clock is ahead of ours

/** `at` is the broker's time in an answer that has just come. A part of a second is the answer's way here. */
export function setBrokerClock(at) {
  const apart = Date.parse(at) - Date.now();
  if (Number.isFinite(apart)) ahead = Math.abs(apart) < 1000 ? 0 : apart;
}

export const brokerNow = () => Date.now() + ahead;

/** Make `node`, a <time>, show the moment `at` (RFC 3339) as "3 s ago", an age "3 s", or "3 s old"; null empties it. */
export function setTime(node, at, style = "ago") {
  const ms = at ? Date.parse(at) : NaN;
  if (Number.isNaN(ms)) {
    setAttribute(node, "data-at", null);
    setAttribute(node, "title", null);
    setText(node, "");
    return;
  }
  if (node.dataset.at !== String(ms)) {
    setAttribute(node, "data-at", ms);
    setAttribute(node, "data-style", style);
    setAttribute(node, "datetime", new Date(ms).toISOString());
    setAttribute(node, "title", exactTime(ms));
  }
  tell(node);
}

function tell(node) {
  setText(node, STYLES[node.dataset.style](Math.max(0, brokerNow() - Number(node.dataset.at))));
}

function tellAll() {
  if (!document.hidden) document.querySelectorAll("time[data-at]").forEach(tell);
}

export function startTicker() {
  setInterval(tellAll, 1000);
  document.addEventListener("visibilitychange", tellAll);
}
