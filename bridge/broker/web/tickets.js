/* The list of tickets: live, or what a search found.

   no filter ──► live: the newest tickets as they come, at most KEPT
   a filter  ──► search: what GET /search finds; new ones since then are counted, not mixed in

   Rule 1: nothing slips from under a reader: while the list is paused, scrolled, or has the focus or the pointer,
   new tickets are counted on a button, and those that are shown go on changing in place.
   Rule 2: a row is made once for a ticket, and thrown away with it. */

import { arrange, button, byId, element, setAttribute, setText, show } from "./dom.js";
import { count } from "./format.js";
import { Search } from "./search.js";
import { oneLine } from "./text.js";
import { TicketRow } from "./ticket.js";

export class TicketList {
  /** `compose(agent)` is called by the button to send, `onFilter(filter)` when the filter has changed. */
  constructor(state, onStale, compose, onFilter) {
    this._state = state;
    this._mark = onStale;
    this._compose = compose;
    this._onFilter = onFilter;
    this._rows = new Map(); // ticketId -> TicketRow
    this._order = []; // tickets as shown
    this._top = 0; // newest seq when the list was last arranged
    this._search = new Search(() => this._found());
    this.filter = { q: "", agent: "", status: "" };
    this.isPaused = false;
    this._list = byId("tickets-rows");
    this._scroll = byId("tickets-scroll");
    byId("pause").addEventListener("click", () => this.pause());
    byId("tickets-newer").addEventListener("click", () => this._showNewer());
    byId("tickets-more").addEventListener("click", () => this._search.further());
    byId("tickets-status").addEventListener("change", (event) => this.setFilter({ status: event.target.value }));
    this._scroll.addEventListener("scroll", () => this._mark(), { passive: true });
    this._list.addEventListener("pointerleave", () => this._mark());
    this._list.addEventListener("keydown", (event) => this._walk(event));
  }

  get isLive() {
    return !Object.values(this.filter).some(Boolean);
  }

  setFilter(change) {
    this.filter = { ...this.filter, ...change };
    byId("tickets-status").value = this.filter.status;
    if (byId("query").value.trim() !== this.filter.q) byId("query").value = this.filter.q;
    this._scroll.scrollTop = 0;
    this._order = [];
    this._onFilter(this.filter);
    this._again();
  }

  _again() {
    this._top = this._newestSeq();
    if (this.isLive) this._search.forget();
    else this._search.begin(this.filter);
    this._isForced = true;
    this._mark();
  }

  pause() {
    this.isPaused = !this.isPaused;
    setAttribute(byId("pause"), "aria-pressed", String(this.isPaused));
    this._isForced = !this.isPaused;
    this._mark();
  }

  _showNewer() {
    if (this.isPaused) this.pause();
    this._scroll.scrollTop = 0;
    this._again();
    this._scroll.focus();
  }

  _found() {
    this._isForced = true;
    this._mark();
  }

  get _isHeld() {
    return this.isPaused || this._scroll.scrollTop > 4 || this._list.matches(":hover, :focus-within");
  }

  draw() {
    const isHeld = !this._isForced && (this._isHeld || !this.isLive);
    if (!isHeld) this._arrange();
    this._isForced = false;
    for (const id of this._state.changedTickets) {
      const ticket = this._state.known(id);
      if (ticket) this._rows.get(id)?.update(ticket);
    }
    this._state.changedTickets.clear();
    this._drawNewer();
    this._drawHead();
    this._drawEmpty();
  }

  _arrange() {
    this._order = this.isLive ? this._state.newest() : this._search.found;
    if (this.isLive) this._top = this._newestSeq();
    this._state.shown = new Map(this._order.map((ticket) => [ticket.id, ticket]));
    const before = this._rows;
    this._rows = new Map(this._order.map((ticket) => [ticket.id, before.get(ticket.id) ?? new TicketRow(ticket)]));
    arrange(this._list, [...this._rows.values()].map(({ node }) => node));
    // A search's tickets are old values: where the stream knows better, it is shown.
    for (const id of this._rows.keys()) if (!before.has(id) && this._state.tickets.has(id)) this._state.changedTickets.add(id);
  }

  _newestSeq() {
    let top = 0;
    for (const { seq } of this._state.tickets.values()) top = Math.max(top, seq);
    return top;
  }

  _drawNewer() {
    let newer = 0;
    for (const { seq, agent } of this._state.tickets.values()) newer += seq > this._top && (!this.filter.agent || agent === this.filter.agent);
    const node = byId("tickets-newer"), bound = newer >= this._state.tickets.size ? "or more " : "";
    show(node, newer > 0);
    setText(node, this.isLive ? `↑ ${count(newer)} ${bound}new` : `↻ ${count(newer)} ${bound}new: search again`);
  }

  _drawHead() {
    const live = this.isPaused ? "paused" : "live, newest first", found = this._search.isBusy ? "searching…" : `${count(this._search.found.length)} found`;
    setText(byId("tickets-count"), this.isLive ? live : found);
    show(byId("pause"), this.isLive);
    const { q, agent } = this.filter, chips = [];
    if (agent) {
      chips.push(chip(`to ${oneLine(agent)}`, () => this.setFilter({ agent: "" })));
      chips.push(button("Send to this agent", { class: "chip" }, () => this._compose(agent)));
    }
    if (q) chips.push(chip(`“${oneLine(q)}”`, () => this.setFilter({ q: "" })));
    const box = byId("tickets-chips"), key = JSON.stringify([q, agent]);
    if (this._chipsKey !== key) box.replaceChildren(...chips);
    this._chipsKey = key;
  }

  _drawEmpty() {
    const empty = byId("tickets-empty"), { isBusy, next, problem } = this._search;
    show(byId("tickets-more"), !this.isLive && this._search.canGoOn);
    show(empty, Boolean(problem) || (!this._order.length && !isBusy));
    if (empty.hidden) return;
    const nothing = next === null ? "Nothing found, searched to the oldest ticket." : "Nothing found so far.";
    const text = problem || (this.isLive ? "No tickets yet. Send the first one: it shows up here at once." : nothing);
    if (this._emptyText === text) return;
    this._emptyText = text;
    const act = this.isLive ? ["Send a ticket", () => this._compose("")] : ["Show all tickets", () => this.setFilter({ q: "", agent: "", status: "" })];
    empty.replaceChildren(element("p", { text }), button(act[0], { class: "quiet" }, act[1]));
  }

  /** Up and down go from row to row; so do J and K, from anywhere (keys.js). */
  _walk(event) {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (!step) return;
    event.preventDefault();
    this.step(step);
  }

  step(by) {
    const links = [...this._list.querySelectorAll("a")], at = links.indexOf(document.activeElement);
    links[at < 0 ? 0 : Math.min(links.length - 1, Math.max(0, at + by))]?.focus();
  }
}

function chip(text, remove) {
  const made = button(text, { class: "chip", "aria-pressed": "true", "aria-label": `Filter ${text}: take it away` }, remove);
  made.append(element("span", { "aria-hidden": "true", text: " ✕" }));
  return made;
}
