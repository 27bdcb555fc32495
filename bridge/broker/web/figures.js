/* The tiles on top, and the three hops of a ticket with the time that each one takes.

   Rule 1: every number has its unit and says of which time it speaks.
   Rule 2: a rate is the mean of the last ten whole seconds: steadier than one, and no older than the eye expects. */

import { arrange, byId, element, setAttribute, setText, show } from "./dom.js";
import { count, counted, duration, isKnown, rate } from "./format.js";
import { setTime } from "./ticker.js";

const RATE_STEPS = 10;
const HOPS = [
  ["streamed", "Accepted → streamed", "until the watcher was there to be sent it"],
  ["injected", "Streamed → injected", "the watcher waits for the pane, and types"],
  ["acknowledged", "Injected → acknowledged", "the watcher tells the broker"],
  ["delivered", "The whole way", "accepted → acknowledged"],
];

const tiles = new Map();

function tile(name, label) {
  const number = element("b"), unit = element("span", { class: "unit" }), note = element("dd", { class: "note" });
  const box = element("div", { class: "tile" }, element("dt", { text: label }), element("dd", { class: "value" }, number, unit), note);
  tiles.set(name, { box, number, unit, note, age: element("time") });
  return box;
}

export function makeFigures() {
  byId("tiles").append(
    tile("waiting", "Waiting now"), tile("accepted", "Accepted"), tile("acknowledged", "Acknowledged"),
    tile("latency", "Delivery, p50"), tile("agents", "Agents online"), tile("refused", "Refused"),
  );
  byId("hops").append(...HOPS.map(([name, label, hint]) => hop(name, label, hint)));
}

function fill(name, number, unit, note, mood = "") {
  const made = tiles.get(name);
  setText(made.number, number);
  setText(made.unit, unit);
  if (note !== null) setText(made.note, note);
  setAttribute(made.box, "data-mood", mood || null);
}

const lately = (steps) => {
  const whole = steps.slice(0, -1).slice(-RATE_STEPS); // the last step is still running
  return whole.length ? whole.reduce((sum, one) => sum + one, 0) / whole.length : 0;
};

export function drawFigures(state) {
  if (!state.figures) return;
  const { totals, timeline, latency } = state.figures;
  drawWaiting(totals);
  fill("accepted", rate(lately(timeline.accepted)), "/s", `${counted(totals.accepted, "ticket")} since start`);
  fill("acknowledged", rate(lately(timeline.acknowledged)), "/s", `${count(totals.replied)} replied`);
  const { p50Ms, p99Ms } = latency.delivered, [number, unit = ""] = duration(p50Ms).split(" ");
  fill("latency", number, unit, isKnown(p99Ms) ? `p99 ${duration(p99Ms)}, last minute` : "none in the last minute");
  drawAgents(state.countAgents(), totals);
  drawRefused(totals);
  drawHops(latency);
}

function drawRefused({ refused, expired, dropped }) {
  const note = `${count(expired)} expired` + (dropped ? `, ${count(dropped)} dropped` : "");
  fill("refused", count(refused), "", note, refused || expired ? "warn" : "");
}

function drawWaiting(totals) {
  const { note, age } = tiles.get("waiting");
  fill("waiting", count(totals.pending), totals.pending === 1 ? "ticket" : "tickets", null, totals.pending ? "busy" : "good");
  setTime(age, totals.oldestPendingAt, "age");
  if (totals.oldestPendingAt) {
    if (age.parentNode !== note) note.replaceChildren("oldest ", age);
  } else {
    setText(note, "nothing waits");
  }
}

function drawAgents(agents, totals) {
  const total = Math.max(totals.agents, agents.all);
  const calm = agents.waiting ? `${counted(agents.waiting, "pane")} not ready` : counted(totals.streams, "stream");
  const note = agents.lost ? `${counted(agents.lost, "pane")} lost` : calm;
  fill("agents", count(agents.online), `of ${count(total)}`, note, agents.lost ? "bad" : "");
}

const hops = new Map();

function hop(name, label, hint) {
  const value = element("span", { class: "value" }), bar = element("span", { class: "meter", "aria-hidden": "true" });
  const typical = element("i", { class: "p50" }), slow = element("i", { class: "p99" });
  bar.append(slow, typical);
  const row = element("div", { class: "hop", title: hint, "data-hop": name }, element("span", { class: "label", text: label }), value, bar);
  hops.set(name, { row, value, typical, slow });
  return row;
}

/** Each bar is its share of the slowest p99, on a scale of decades: 1 ms and 10 s can both be seen. */
function drawHops(latency) {
  const slowest = Math.max(10, ...HOPS.map(([name]) => latency[name]?.p99Ms ?? 0));
  const share = (ms) => (isKnown(ms) ? Math.log10(1 + ms * 10) / Math.log10(1 + slowest * 10) : 0);
  for (const [name] of HOPS) {
    const figures = latency[name] ?? {}, { value, typical, slow } = hops.get(name);
    setText(value, figures.count ? `p50 ${duration(figures.p50Ms)} · p99 ${duration(figures.p99Ms)}` : "–");
    typical.style.setProperty("--share", share(figures.p50Ms).toFixed(3));
    slow.style.setProperty("--share", share(figures.p99Ms).toFixed(3));
  }
}

/** What to do first, as long as there is nothing to see. */
export function drawWelcome(state) {
  const box = byId("welcome");
  const isEmpty = Boolean(state.figures) && !state.agents.size && !state.tickets.size && !state.figures.totals.accepted;
  show(box, isEmpty);
  document.body.classList.toggle("is-empty", isEmpty);
  if (!isEmpty || box.firstChild) return;
  arrange(box, [
    element("h2", { id: "welcome-heading", text: "Nothing has come yet. Three ways to begin:" }),
    element(
      "ol", {},
      step("See it work: a broker, a pane and five tickets that clean up after themselves", "python3 -m bridge demo"),
      step("Let an agent receive: lucy, in the first pane of the tmux session dev-lucy", "python3 -m bridge watch lucy dev-lucy 0"),
      step("Send it something, here with the button above, or from a terminal", 'python3 -m bridge send lucy "run the tests, please"'),
    ),
  ]);
}

function step(text, command) {
  return element("li", {}, element("span", { text }), element("code", { text: command }));
}
