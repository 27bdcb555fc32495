/* One row of the list of tickets: a link to its story.
   It shows the sender, the agent, the text, the stage and the age.

   Rule: what never changes is written when the row is made; an update touches three nodes. */

import { element, setAttribute, setText } from "./dom.js";
import { brief, duration } from "./format.js";
import { address } from "./route.js";
import { isEnded, isFinal, STEPS, stepsReached } from "./state.js";
import { oneLine } from "./text.js";
import { setTime } from "./ticker.js";

export const LABELS = {
  accepted: ["waiting", "busy"], streamed: ["on its way", "busy"], claimed: ["being typed", "busy"], injected: ["typed", "busy"],
  acknowledged: ["delivered", "good"], replied: ["replied", "good"], expired: ["expired", "bad"], dropped: ["dropped", "bad"],
};

export class TicketRow {
  constructor(ticket) {
    this.took = element("span", { class: "took" });
    this.label = element("span", { class: "sign" });
    this.steps = element("span", { class: "steps", "aria-hidden": "true" }, ...STEPS.map(() => element("i")));
    const from = element("span", { class: "foreign", text: oneLine(ticket.origin) }), to = element("b", { class: "foreign", text: oneLine(ticket.agent) });
    const at = element("time");
    setTime(at, ticket.acceptedAt);
    const preview = element("span", { class: "preview", dir: "auto", text: ticket.preview || "(empty)" });
    this.link = element(
      "a", { href: address("ticket", ticket.id), "data-ticket": ticket.id },
      element("span", { class: "route" }, from, element("span", { class: "to", text: " → " }), to),
      element("span", { class: "how" }, this.steps, this.label),
      preview,
      element("span", { class: "when" }, this.took, at),
    );
    this.node = element("li", {}, this.link);
    this.update(ticket);
  }

  update(ticket) {
    const [label, mood] = LABELS[ticket.stage];
    setText(this.label, label);
    setAttribute(this.label, "data-mood", mood);
    setAttribute(this.steps, "data-reached", stepsReached(ticket.stage));
    const acceptedAt = Date.parse(ticket.acceptedAt);
    // A final stage tells how long it took; before that the age beside it does.
    setText(this.took, isFinal(ticket.stage) && ticket.finalAt ? `${isEnded(ticket.stage) ? "after" : "in"} ${took(ticket.finalAt - acceptedAt)} · ` : "");
  }
}

const took = (ms) => (ms < 60000 ? duration(Math.max(0, ms)) : brief(ms));

