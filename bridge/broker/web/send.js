/* The boxes to send a ticket and to reply to one.

   Rule 1: the written text stays until the broker has it on disk (202, 204); an error is shown beside it.
   Rule 2: trying the same text again carries the same ticket id, so that a lost answer makes no second ticket;
   another text gets another id.
   Rule 3: one request at a time: the button is off while it is under way. */

import * as api from "./api.js";
import { byId, element, setText, show } from "./dom.js";
import { closeBox, openBox, toast } from "./dialogs.js";
import { oneLine } from "./text.js";

const KNOWN_MAX = 200; // names in the list of suggestions
const FROM = "bridge.from"; // where the sender's name is kept

let draft = { key: "", id: "" };

/** `agents()` gives the names to suggest, `openTicket(id)` shows one. */
export function makeSendBox(agents, openTicket) {
  const form = byId("send-form");
  byId("send-origin").value = recall();
  whenSubmitted(form, "send-problem", async () => {
    const { id, agent, isKnown } = await sendTicket();
    closeBox("send");
    byId("send-text").value = "";
    toast(isKnown ? "Accepted, and on disk." : unknown(agent), { text: "See its story", do: () => openTicket(id) });
  });
  return (agent = "") => {
    byId("send-agents").replaceChildren(...agents().slice(0, KNOWN_MAX).map((name) => element("option", { value: name })));
    if (agent) byId("send-agent").value = agent;
    show(byId("send-problem"), false);
    openBox("send", byId(byId("send-agent").value ? "send-text" : "send-agent"));
  };
}

async function sendTicket() {
  const agent = byId("send-agent").value.trim(), origin = byId("send-origin").value.trim(), ttl = byId("send-ttl").value;
  if (!agent) throw new Error("Name the agent that is to get it.");
  const content = { payload: byId("send-text").value, expectReply: byId("send-expects").checked, metadata: origin ? { origin } : {} };
  if (ttl) content.ttlMs = Number(ttl);
  const key = JSON.stringify([agent, content]);
  if (draft.key !== key) draft = { key, id: api.newTicketId() };
  keep(origin);
  const { ticketId, known } = await api.send(agent, { ...content, ticketId: draft.id });
  draft = { key: "", id: "" };
  return { id: ticketId, agent, isKnown: known !== false };
}

/** What a name deserves that may be a typing error. */
const unknown = (agent) => `On disk, but nothing is registered as ${agent} or receives for it. Is the name right?`;

/** `ticketId()` is the open ticket's, `done()` is called when its reply is on disk. */
export function makeReplyBox(ticketId, done) {
  whenSubmitted(byId("reply"), "reply-problem", async () => {
    const text = byId("reply-text"), origin = recall();
    await api.reply({ ticketId: ticketId(), payload: text.value, metadata: origin ? { origin } : {} });
    text.value = "";
    toast("The reply is on its way.");
    done();
  });
}

function whenSubmitted(form, problemId, act) {
  const submit = form.querySelector("[type=submit]"), problem = byId(problemId);
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    if (submit.disabled) return;
    submit.disabled = true;
    show(problem, false);
    try {
      await act();
    } catch (error) {
      show(problem, true);
      setText(problem, oneLine(error.message));
    }
    submit.disabled = false;
  });
  form.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) form.requestSubmit();
  });
}

function recall() {
  try {
    return localStorage.getItem(FROM) ?? "";
  } catch {
    return ""; // a browser that keeps nothing
  }
}

function keep(origin) {
  try {
    localStorage.setItem(FROM, origin);
  } catch {
    // asked again next time
  }
}
