/* A ticket's stages, from the first to where it stands: when, how long after the one before, by whom, on what evidence.

   Rule 1: an acknowledgement repeats the evidence of the injection: it is shown once.
   Rule 2: the times are the broker's and, for the injection, the watcher's: a difference below zero is shown as
   "about the same time", because two clocks that disagree say no more. */

import { element, foreign } from "./dom.js";
import { clockTime, duration, exactTime } from "./format.js";
import { oneLine, payloadText } from "./text.js";

export const MEANINGS = {
  __proto__: null,
  accepted: "on the broker's disk", streamed: "sent to the watcher", claimed: "a watcher has it in hand", injected: "typed into the pane",
  shown: "a terminal has its text", aside: "its watcher lets others pass it",
  acknowledged: "the watcher has confirmed it", replied: "answered", expired: "its time to live ran out", dropped: "an operator ended it",
};
// Maps: a name that a watcher chose may be "constructor".
const TIERS = new Map(Object.entries({ sse: "event stream", longpoll: "long-poll", poll: "poll" }));
const EVIDENCE = new Map(Object.entries({
  pane: "pane", tty: "terminal", reason: "because", form: "typed as", submittedAt: "submitted at",
  verified: "seen on the screen",
}));

/** The <li>s of a history. */
export function stageItems(history) {
  const first = Date.parse(history[0]?.at);
  let before = first, told = "";
  return history.map((moment) => {
    const at = Date.parse(moment.at), evidence = moment.evidence ? JSON.stringify(moment.evidence) : "";
    const item = stageItem(moment, at, at - before, at - first, evidence !== told);
    before = Number.isNaN(at) ? before : at;
    told = evidence || told;
    return item;
  });
}

function stageItem(moment, at, sinceBefore, sinceFirst, hasEvidence) {
  const stage = String(moment.stage);
  const head = element("p", { class: "stage" }, element("b", { text: oneLine(stage) }), element("span", { class: "note", text: ` ${MEANINGS[stage] ?? ""}` }));
  const times = element("p", { class: "times" });
  if (!Number.isNaN(at)) {
    times.append(element("time", { datetime: new Date(at).toISOString(), title: exactTime(at), text: clockTime(at) }));
    if (sinceFirst || sinceBefore) times.append(element("span", { class: "delta", text: sinceBefore < 0 ? "about the same time" : `+${duration(sinceBefore)}` }));
  }
  const item = element("li", { "data-stage": stage.replace(/[^a-z]/g, "") }, element("div", { class: "line" }, head, times));
  const by = (stage === "streamed" && TIERS.get(moment.by)) || String(moment.by);
  if (moment.by) item.append(element("p", { class: "by" }, "by ", foreign("span", by)));
  if (hasEvidence && moment.evidence && typeof moment.evidence === "object") item.append(evidenceList(moment.evidence));
  return item;
}

function evidenceList(evidence) {
  const list = element("dl", { class: "evidence", "aria-label": "Evidence" });
  for (const [name, value] of Object.entries(evidence).slice(0, 20)) {
    const text = value === true ? "yes" : value === false ? "no" : payloadText(value);
    const term = element("dt", { text: EVIDENCE.get(name) ?? oneLine(name) });
    list.append(element("div", {}, term, foreign("dd", text.slice(0, 500))));
  }
  return list;
}
