/* One row of the table of agents: made once, then told what is new.

   Rule: a sign, a word and a colour for each state; the colour alone says nothing. */

import { element, setAttribute, setText, show } from "./dom.js";
import { count } from "./format.js";
import { address } from "./route.js";
import { oneLine } from "./text.js";
import { setTime } from "./ticker.js";

const REASON_MAX = 300; // characters
const TIERS = { sse: "stream", longpoll: "long-poll", poll: "poll", none: "not connected" };
const HEALTHS = { healthy: ["✓", "good"], busy: ["◷", "busy"], lost: ["✕", "bad"] };

export class AgentRow {
  constructor(agentId) {
    this.name = element("a", { class: "foreign", href: address("agent", agentId), text: oneLine(agentId), title: agentId });
    this.place = element("small", { class: "foreign" });
    this.presence = element("span", { class: "sign" });
    this.tier = element("small");
    this.health = element("span", { class: "sign" });
    this.heard = element("time");
    this.heardBox = element("small", {}, "heard ", this.heard);
    this.pending = element("b");
    this.oldest = element("time");
    this.oldestBox = element("small", {}, element("span", { class: "unseen", text: "oldest " }), this.oldest);
    this.reason = element("span", { class: "foreign reason" });
    this.since = element("time");
    this.sinceBox = element("small", {}, "for ", this.since);
    this.node = element("tr", { role: "row" },
      element("th", { role: "rowheader", scope: "row" }, this.name, this.place),
      cell("Connection", this.presence, this.tier), cell("Session", this.health, this.heardBox),
      cell("Backlog", this.pending, this.oldestBox), cell("Waits for", this.reason, this.sinceBox),
    );
    this.node.children[3].classList.add("number");
  }

  update(row) {
    const isOnline = row.status === "online", waiting = row.waiting;
    setText(this.place, oneLine(place(row)));
    setText(this.presence, isOnline ? "● online" : "○ offline");
    setAttribute(this.presence, "data-mood", isOnline ? "good" : null);
    setText(this.tier, TIERS[row.connection] ?? "");
    const [sign, mood] = HEALTHS[row.health] ?? ["", ""];
    setText(this.health, sign ? `${sign} ${row.health}` : "–");
    setAttribute(this.health, "data-mood", mood || null);
    setTime(this.heard, row.lastHeartbeat);
    show(this.heardBox, Boolean(row.lastHeartbeat));
    setText(this.pending, count(row.pending));
    setAttribute(this.pending, "data-mood", row.pending ? "busy" : null);
    setTime(this.oldest, row.oldestPendingAt, "old");
    show(this.oldestBox, Boolean(row.oldestPendingAt));
    const reason = waiting ? String(waiting.reason ?? "").slice(0, REASON_MAX) : row.pending && !isOnline ? "its watcher, which is not here" : "";
    setText(this.reason, oneLine(reason));
    setAttribute(this.reason, "title", reason || null);
    setTime(this.since, waiting?.sinceAt, "age");
    show(this.sinceBox, Boolean(waiting?.sinceAt));
    setAttribute(this.node, "data-mood", row.health === "lost" ? "bad" : waiting ? "warn" : null);
  }
}

const cell = (label, ...content) => element("td", { role: "cell", "data-label": label }, ...content);

function place(row) {
  if (row.session) return row.pane && !row.pane.startsWith("%") ? `${row.session}:${row.pane}` : [row.session, row.pane].filter(Boolean).join(" ");
  return row.pane || (row.type && row.type !== "unknown" ? row.type : "");
}
