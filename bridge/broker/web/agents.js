/* The table of agents: their state, and what waits for each.

   Rule 1: at most `shown` rows are in the document; a button shows more, the filter finds any.
   Rule 2: a row is drawn anew only when its agent changed; the order is looked at every ORDER_EVERY, and never
   while the pointer or the focus is in a row: no row may move under a finger. */

import { AgentRow } from "./agent.js";
import { arrange, button, byId, element, setAttribute, setText, show } from "./dom.js";
import { count, counted } from "./format.js";

const SHOWN = 60, SHOWN_MORE = 140; // rows
const ORDER_EVERY = 2000; // ms

const isOnline = (row) => row.status === "online";
const CHIPS = {
  all: ["All", () => true],
  online: ["Online", isOnline],
  offline: ["Offline", (row) => !isOnline(row)],
  backlog: ["With backlog", (row) => row.pending > 0],
  waiting: ["Not ready", (row) => Boolean(row.waiting)],
  lost: ["Pane lost", (row) => row.health === "lost"],
};

const byName = (one, other) => (one.agentId < other.agentId ? -1 : one.agentId > other.agentId ? 1 : 0);
const urgency = (row) => (row.health === "lost") * 8 + (row.waiting !== null) * 4 + (row.pending > 0) * (isOnline(row) ? 1 : 2);
const ORDERS = {
  name: byName,
  backlog: (one, other) => other.pending - one.pending || byName(one, other),
  oldest: (one, other) => age(one) - age(other) || byName(one, other),
  attention: (one, other) => urgency(other) - urgency(one) || other.pending - one.pending || isOnline(other) - isOnline(one) || byName(one, other),
};
const age = (row) => (row.oldestPendingAt ? Date.parse(row.oldestPendingAt) : Infinity);

export class AgentsTable {
  constructor(state, onStale) {
    this._state = state;
    this._mark = onStale;
    this._rows = new Map(); // agentId -> AgentRow, those in the document
    this._order = [];
    this._orderedAt = -Infinity;
    this._shown = SHOWN;
    this._chip = "all";
    this._timer = 0;
    this._body = byId("agents-rows");
    this._filter = byId("agents-filter");
    this._orderBy = byId("agents-order");
    this._chips = new Map(); // name -> its button
    for (const name of Object.keys(CHIPS)) this._chips.set(name, button("", { class: "chip", "aria-pressed": "false" }, () => this._choose(name)));
    byId("agents-chips").append(...this._chips.values());
    this._filter.addEventListener("input", () => this._again());
    this._orderBy.addEventListener("change", () => this._again());
    for (const name of ["pointerleave", "focusout"]) this._body.addEventListener(name, onStale);
    byId("agents-more").addEventListener("click", () => this._more());
  }

  _choose(name) {
    this._chip = name;
    this._again();
  }

  _more() {
    const first = this._shown;
    this._shown += SHOWN_MORE;
    this._orderedAt = -Infinity;
    this.draw();
    this._body.children[first]?.querySelector("a").focus();
  }

  _again() {
    this._shown = SHOWN;
    this._orderedAt = -Infinity;
    this._mark();
  }

  draw() {
    const changed = this._state.changedAgents, now = performance.now(), wait = this._orderedAt + ORDER_EVERY - now;
    const isHeld = this._orderedAt > 0 && this._body.matches(":hover, :focus-within");
    if (!isHeld && wait <= 0) {
      this._orderedAt = now;
      this._arrange();
    } else if (!isHeld && changed.size) {
      clearTimeout(this._timer);
      this._timer = setTimeout(this._mark, wait);
    }
    for (const id of changed) {
      const row = this._state.agents.get(id);
      if (row) this._rows.get(id)?.update(row);
    }
    changed.clear();
    this._drawHead();
  }

  _arrange() {
    const needle = this._filter.value.trim().toLowerCase(), keeps = CHIPS[this._chip][1];
    const rows = [...this._state.agents.values()].filter((row) => keeps(row) && (!needle || row.agentId.toLowerCase().includes(needle)));
    rows.sort(ORDERS[this._orderBy.value] ?? ORDERS.attention);
    const shown = rows.slice(0, this._shown), before = this._rows;
    this._rows = new Map(shown.map((row) => [row.agentId, before.get(row.agentId) ?? new AgentRow(row.agentId)]));
    for (const row of shown) if (!before.has(row.agentId)) this._rows.get(row.agentId).update(row);
    arrange(this._body, [...this._rows.values()].map(({ node }) => node));
    const more = byId("agents-more"), left = rows.length - shown.length;
    show(more, left > 0);
    setText(more, `Show ${count(Math.min(left, SHOWN_MORE))} more of ${count(left)}`);
    this._drawEmpty(rows.length);
  }

  _drawEmpty(found) {
    const empty = byId("agents-empty");
    show(empty, !found);
    if (found) return;
    const isFiltered = this._state.agents.size > 0;
    empty.replaceChildren(
      element("p", { text: isFiltered ? "No agent is like that." : "No agents yet. Start a watcher, and its agent is here:" }),
      isFiltered ? button("Show all", { class: "quiet" }, () => this._reset()) : element("code", { text: "python3 -m bridge watch lucy dev-lucy 0" }),
    );
  }

  _reset() {
    this._filter.value = "";
    this._choose("all");
  }

  _drawHead() {
    const counts = this._state.countAgents();
    setText(byId("agents-count"), this._state.isTruncated ? `the first ${count(counts.all)} by name` : counted(counts.all, "agent"));
    for (const [name, node] of this._chips) {
      setText(node, `${CHIPS[name][0]} ${count(counts[name])}`);
      setAttribute(node, "aria-pressed", String(name === this._chip));
      show(node, counts[name] > 0 || name === "all" || name === this._chip);
    }
  }
}
