/* One ticket's story, in a drawer: its stages, its text, its reply, and what it waits for now.

   Rule 1: what is shown is what GET /tickets/ID said last; whatever the event stream tells of this ticket has it
   asked again, at most every AGAIN_EVERY. A reply in the making is never touched by that.
   Rule 2: of a long text CUT characters are drawn until a click asks for all: a megabyte on one line is legal.
   Rule 3: late answers of a ticket that is no longer open are dropped.
   Rule 4: everything is made before anything is shown. So what cannot be drawn leaves no half of
   another ticket. */

import * as api from "./api.js";
import { byId, element, foreign, setText, show } from "./dom.js";
import { bytes, duration } from "./format.js";
import { closeBox, openBox } from "./dialogs.js";
import { address, segment } from "./route.js";
import { stageItems } from "./stages.js";
import { isEnded } from "./state.js";
import { oneLine, payloadText, visible } from "./text.js";
import { brokerNow, setTime } from "./ticker.js";

const AGAIN_EVERY = 300; // ms
const CUT = 20000; // characters

export class Story {
  /** `onClose()` is called when the drawer was closed. */
  constructor(onClose) {
    this.id = null;
    this.ticket = null;
    this._timer = 0;
    this._isWhole = false;
    byId("story").addEventListener("close", () => {
      if (byId("story").open) return; // closed and opened again before this was told
      this.id = null;
      clearTimeout(this._timer);
      onClose();
    });
    byId("story-all").addEventListener("click", () => {
      this._isWhole = true;
      this._drawTexts();
    });
  }

  open(id) {
    if (this.id === id && byId("story").open) return;
    this.id = id;
    this.ticket = null;
    this._isWhole = false;
    byId("reply-text").value = "";
    show(byId("reply-problem"), false);
    setText(byId("story-id"), oneLine(id));
    setText(byId("story-title"), "…");
    for (const part of byId("story-body").children) show(part, false);
    openBox("story", byId("story-title"));
    this._ask();
  }

  close() {
    if (this.id !== null) closeBox("story");
  }

  /** Something happened to this ticket, or to the agent that it is for. */
  changed(ticketId, agentId) {
    if (this.id === null || (ticketId !== this.id && agentId !== this.ticket?.agentId)) return;
    this.refresh();
  }

  refresh() {
    if (this.id === null || this._timer) return;
    this._timer = setTimeout(() => {
      this._timer = 0;
      this._ask();
    }, AGAIN_EVERY);
  }

  async _ask() {
    const id = this.id;
    if (id === null) return;
    try {
      const ticket = await api.ticket(id);
      const row = ticket.status === "pending" ? await agentRow(ticket.agentId) : null;
      if (this.id === id) this._draw(ticket, row);
    } catch (error) {
      if (this.id !== id) return;
      const problem = byId("story-problem");
      show(problem, true);
      setText(problem, error.status === 404 ? "No such ticket here. Finished ones are kept for some days, then forgotten." : error.message);
      if (!this.ticket) setText(byId("story-title"), "Not found");
    }
  }

  _draw(ticket, row) {
    const parts = {
      "story-title": [foreign("span", ticket.originAgent), " → ", foreign("span", ticket.agentId)],
      "story-now": standing(ticket, row),
      "story-stages": stageItems(ticket.history ?? []),
      "story-details": details(ticket),
    };
    this.ticket = ticket;
    for (const part of byId("story-body").children) show(part, true);
    show(byId("story-problem"), false);
    for (const [id, nodes] of Object.entries(parts)) byId(id).replaceChildren(...nodes);
    byId("story-now").dataset.status = ticket.status;
    this._drawTexts();
    show(byId("story-answer"), Boolean(ticket.response));
    show(byId("reply"), !ticket.response && !isEnded(ticket.status));
  }

  _drawTexts() {
    const text = payloadText(this.ticket.payload) ?? "", shown = this._isWhole ? text : text.slice(0, CUT);
    setText(byId("story-message"), visible(shown));
    setText(byId("story-size"), bytes(new Blob([text]).size));
    show(byId("story-all"), shown.length < text.length);
    setText(byId("story-all"), `Show all ${bytes(new Blob([text]).size)}`);
    if (this.ticket.response) setText(byId("story-response"), visible((payloadText(this.ticket.response.payload) ?? "").slice(0, CUT * 5)));
  }
}

async function agentRow(agentId) {
  try {
    const { agents } = await api.overview({ agent: agentId });
    return agents[0] ?? null;
  } catch {
    return null; // its story is told without what its agent does
  }
}

/** Where it stands now, in one sentence. */
function standing(ticket, row) {
  const age = element("time");
  setTime(age, ticket.createdAt, "age");
  if (ticket.status === "responded") return [`Replied after ${duration(ticket.latencyMs)}.`];
  if (ticket.status === "dropped") return ["Dropped: an operator ended it before it was delivered."];
  if (ticket.status === "expired") return ["Expired: its time to live ran out before it could be delivered."];
  if (ticket.status === "delivered") {
    return ["Delivered", ...shownIn(ticket), ticket.expectReply ? ". A reply is expected, and has not come yet." : ". No reply is expected."];
  }
  const aside = (ticket.history ?? []).filter(({ stage }) => stage === "aside" || stage === "claimed").pop();
  if (aside?.stage === "aside") return ["Set aside, so that others pass it: ", foreign("b", String(aside.evidence?.reason ?? "")), "."];
  const waiting = row?.waiting;
  if (waiting && (!waiting.ticketId || waiting.ticketId === ticket.ticketId)) {
    const since = element("time");
    setTime(since, waiting.sinceAt, "age");
    return ["Waiting for ", age, ": ", foreign("b", waiting.reason), ...(waiting.sinceAt ? [" for ", since] : []), "."];
  }
  if (waiting) return ["Waiting for ", age, ", behind ticket ", foreign("code", waiting.ticketId), ": ", foreign("b", waiting.reason), "."];
  if (row && row.status !== "online") {
    return ["Waiting for ", age, ": nobody watches for ", foreign("b", ticket.agentId), " now. It is delivered when its watcher is back."];
  }
  if (row?.pending > 1) return ["Waiting for ", age, `, among ${row.pending} for `, foreign("b", ticket.agentId), "."];
  return ["Waiting for ", age, "."];
}

/** Where a terminal has its text, as `show` there said last. */
function shownIn(ticket) {
  const moment = (ticket.history ?? []).filter(({ stage }) => stage === "shown").pop();
  if (!moment) return [];
  const { pane, tty } = moment.evidence ?? {}, at = element("time");
  setTime(at, moment.at);
  return [", shown ", ...(pane ? ["in pane ", foreign("b", String(pane))] : tty ? ["on ", foreign("b", String(tty))] : ["on a terminal"]), " ", at];
}

function details(ticket) {
  const { origin, ...metadata } = ticket.metadata ?? {}, left = Date.parse(ticket.createdAt) + ticket.ttlMs - brokerNow();
  const rows = [["Sequence", ticket.seq], ["Created", ticket.createdAt], ["Updated", ticket.updatedAt]];
  rows.push(["Reply expected", ticket.expectReply ? `within ${duration(ticket.timeoutMs)}` : "no"]);
  if (ticket.ttlMs && ticket.status === "pending") rows.push(["Expires in", duration(Math.max(0, left))]);
  for (const [name, value] of Object.entries(metadata).slice(0, 50)) rows.push([name, value]);
  const made = rows.map(([name, value]) => element("div", {}, foreign("dt", String(name)), detail(name, value)));
  const href = `tickets/${segment(ticket.ticketId)}`;
  const raw = element("a", { href, target: "_blank", text: "as JSON" });
  return [...made, element("div", {}, element("dt", { text: "Everything" }), element("dd", {}, raw))];
}

function detail(name, value) {
  const text = payloadText(value)?.slice(0, 2000) ?? "";
  if (name !== "replyTo" || typeof value !== "string") return foreign("dd", text);
  return element("dd", {}, element("a", { class: "foreign", href: address("ticket", value), text: oneLine(value) }));
}
