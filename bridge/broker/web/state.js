/* What the page knows: agents, the newest tickets, the figures. No document, no network.

   Rule 1: /overview is the truth; what the event stream says moves it on until the next one.
   Rule 2: at most KEPT tickets and AGENTS_MAX agents are held, the newest tickets and the first agents.
   Rule 3: a ticket only moves forward: an answer that was on its way longer than an event changes nothing. */

import { oneLine } from "./text.js";

export const KEPT = 200; // tickets; a person reads no longer list to its end
export const AGENTS_MAX = 2000; // the first 1,000 come with /overview, and some that are named meanwhile
export const STEPS = ["accepted", "streamed", "claimed", "injected", "acknowledged", "replied"];
const STAGE_OF = { pending: "accepted", delivered: "acknowledged", responded: "replied", expired: "expired", dropped: "dropped" };
/** What is known of an agent that was only sent to, until the next /overview. */
const NAMED = { type: "unknown", status: "offline", connection: "none", health: null, session: null, pane: null, pending: 0, oldestPendingAt: null, waiting: null, lastHeartbeat: null };
const ENDED = new Set(["expired", "dropped"]); // without a delivery
const FINAL = new Set(["acknowledged", "replied", ...ENDED]);

/** How far a stage is along the way: 1 accepted … 6 replied, 7 expired or dropped. */
const progress = (stage) => STEPS.indexOf(stage) + 1 || (ENDED.has(stage) ? STEPS.length + 1 : 0);

export class State {
  constructor() {
    this.agents = new Map(); // agentId -> AgentRow
    this.tickets = new Map(); // ticketId -> {id, seq, agent, origin, thread, preview, stage, acceptedAt, finalAt}
    this.shown = new Map(); // those in the list, which may be older; they go on changing too
    this.figures = null; // the last /overview, whole or in part
    this.isTruncated = false;
    this.events = 0; // stages that the stream has told
    this.accepted = 0; // of these, tickets accepted
    this.missed = 0; // events that the broker said it had left out
    this.changedAgents = new Set();
    this.changedTickets = new Set();
  }

  /** Take an /overview; `isWhole` when its agents are all that there are. */
  takeOverview(overview, isWhole) {
    this.figures = overview;
    if (!isWhole) return;
    this.agents = new Map(overview.agents.map((row) => [row.agentId, row]));
    this.isTruncated = overview.truncated;
    for (const id of this.agents.keys()) this.changedAgents.add(id);
  }

  takeAgent(row) {
    if (row.registered === false && row.connection === "none" && !row.pending) {
      this.agents.delete(row.agentId); // a mere name, which /overview does not list either
      return;
    }
    if (!this.agents.has(row.agentId) && this.agents.size >= AGENTS_MAX) return;
    this.agents.set(row.agentId, row);
    this.changedAgents.add(row.agentId);
  }

  /** Take what the stream says of one ticket. */
  takeStage(event) {
    this.events += 1;
    if (event.stage === "accepted") {
      this.accepted += 1;
      this._count(event.agentId, 1, event.at);
    }
    const known = this.known(event.ticketId);
    if (FINAL.has(event.stage) && !(known && FINAL.has(known.stage)) && (known || event.stage !== "replied")) this._count(event.agentId, -1, null);
    if (known) this._advance(known, event.stage, Date.parse(event.at));
    else if (event.stage === "accepted") this._keep(newTicket(event, event.preview ?? "", "accepted", event.at));
  }

  /** Take tickets as GET /search lists them. */
  takeTickets(tickets) {
    for (const ticket of tickets) {
      const made = fromTicket(ticket), known = this.tickets.get(made.id);
      if (!known) this._keep(made);
      else this._advance(known, made.stage, made.finalAt);
    }
  }

  known(id) {
    return this.tickets.get(id) ?? this.shown.get(id);
  }

  newest() {
    return [...this.tickets.values()].sort((one, other) => other.seq - one.seq);
  }

  /** How many agents are online, wait for their pane, have lost it, have a backlog. */
  countAgents() {
    const counts = { all: this.agents.size, online: 0, offline: 0, waiting: 0, lost: 0, backlog: 0 };
    for (const row of this.agents.values()) {
      counts[row.status === "online" ? "online" : "offline"] += 1;
      counts.waiting += Boolean(row.waiting);
      counts.lost += row.health === "lost";
      counts.backlog += row.pending > 0;
    }
    return counts;
  }

  _count(agentId, change, at) {
    let row = this.agents.get(agentId);
    if (!row && change > 0) {
      row = { ...NAMED, agentId };
      this.takeAgent(row);
    }
    if (!row) return;
    row.pending = Math.max(0, row.pending + change);
    // Which one is the oldest now only the broker knows; with none left there is none.
    row.oldestPendingAt = row.pending === 0 ? null : row.oldestPendingAt ?? at;
    this.changedAgents.add(agentId);
  }

  _keep(ticket) {
    this.tickets.set(ticket.id, ticket);
    this.changedTickets.add(ticket.id);
    if (this.tickets.size <= KEPT) return;
    let oldest = ticket;
    for (const kept of this.tickets.values()) if (kept.seq < oldest.seq) oldest = kept;
    this.tickets.delete(oldest.id);
    this.changedTickets.delete(oldest.id);
  }

  _advance(ticket, stage, at) {
    if (progress(stage) <= progress(ticket.stage)) return;
    if (FINAL.has(stage)) ticket.finalAt = at;
    ticket.stage = stage;
    this.changedTickets.add(ticket.id);
  }
}

function newTicket(source, preview, stage, acceptedAt) {
  return {
    id: source.ticketId, seq: source.seq, agent: source.agentId, origin: source.originAgent ?? "ui", thread: source.threadId ?? null,
    preview: oneLine(preview), stage, acceptedAt, finalAt: null,
  };
}

/** A ticket of GET /search as the lists show it. */
export function fromTicket(ticket) {
  const payload = typeof ticket.payload === "string" ? ticket.payload : JSON.stringify(ticket.payload) ?? "";
  const made = newTicket({ ...ticket, threadId: ticket.metadata?.threadId }, payload.slice(0, 200), STAGE_OF[ticket.status] ?? "accepted", ticket.createdAt);
  if (FINAL.has(made.stage)) made.finalAt = Date.parse(ticket.updatedAt);
  return made;
}

export const stepsReached = (stage) => (ENDED.has(stage) ? 0 : progress(stage));
export const isEnded = (stage) => ENDED.has(stage);
export const isFinal = (stage) => FINAL.has(stage);
