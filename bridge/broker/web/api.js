/* Asks the broker that served this page; addresses are relative, so that a proxy may put it under a path.

   Rule 1: every request has a deadline, and an error is one clear line for a person (Refused, Unreachable).
   Rule 2: a ticket is sent with an id of ours, the same one as long as its text is the same: trying again
   after a lost answer makes no second ticket (WIRE rule 2). */

import { segment as encoded } from "./route.js";

const DEADLINE = 10000, LOOK_DEADLINE = 5000; // ms, for what changes something, and for a mere look

/** The broker answered, and said no. */
export class Refused extends Error {
  constructor(status, detail, retryAfter) {
    super(retryAfter ? `${detail} (try again in ${retryAfter} s)` : detail);
    this.status = status;
  }
}

/** No answer came. */
export class Unreachable extends Error {}

async function ask(path, options = {}, deadline = LOOK_DEADLINE) {
  let answer, text;
  try {
    answer = await fetch(path, { cache: "no-store", redirect: "error", ...options, signal: AbortSignal.timeout(deadline) });
    text = await answer.text();
  } catch {
    throw new Unreachable("The broker does not answer. Is it running?");
  }
  if (answer.ok) return text ? parse(text, answer.status) : null;
  let detail = `The broker answered ${answer.status}.`;
  try {
    detail = JSON.parse(text).detail ?? detail;
  } catch {
    // A proxy's own error page: its status says enough.
  }
  throw new Refused(answer.status, detail, answer.headers.get("Retry-After"));
}

function parse(text, status) {
  try {
    return JSON.parse(text);
  } catch {
    throw new Refused(status, "The answer is not from a broker; does a proxy stand between?", null);
  }
}

const post = (path, content) => ask(path, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(content) }, DEADLINE);

/** One id as a path segment. Browsers fold "." and "..", however they are written, so those cannot be asked for. */
export function segment(id) {
  if (id === "." || id === "..") throw new Refused(400, `A browser cannot ask for “${id}”; use the command line.`, null);
  return encoded(id);
}

const query = (fields) => {
  const given = Object.entries(fields).filter(([, value]) => value !== "" && value !== null && value !== undefined);
  return given.length ? `?${new URLSearchParams(given)}` : "";
};

export const overview = (fields = {}) => ask(`overview${query(fields)}`);
export const tickets = (fields = {}) => ask(`search${query(fields)}`);
export const ticket = async (id) => ask(`tickets/${segment(id)}`);
export const send = async (agentId, content) => post(`agents/${segment(agentId)}/send`, content);
export const reply = (content) => post("replies", content);

/** An id for a ticket; crypto.randomUUID exists in secure contexts only, and a broker may be on plain http. */
export function newTicketId() {
  const random = crypto.getRandomValues(new Uint8Array(12));
  return `page-${[...random].map((byte) => byte.toString(16).padStart(2, "0")).join("")}`;
}
