/* What the address says is open: #ticket/ID, #agent/ID, #search/TEXT. So rows are plain links, "back" closes what
   "forward" opened, and a ticket's address can be passed on.

   Rule: an address is made and read here, and nowhere else; an id is one percent-encoded segment.
   Half a character (a lone surrogate) has no encoding: it becomes U+FFFD, as with toWellFormed. */

const KINDS = new Set(["ticket", "agent", "search"]);

const HALVES = /[\ud800-\udfff]/gu;

/** `id` as one segment of an address. */
export const segment = (id) => encodeURIComponent(String(id).replace(HALVES, "\ufffd"));
export const address = (kind, id) => `#${kind}/${segment(id)}`;

/** {kind, id}; kind is "" for anything that is no address of ours. */
export function read(hash = location.hash) {
  const [, kind, encoded] = /^#([a-z]+)\/([^/]+)$/.exec(hash) ?? [];
  if (!KINDS.has(kind)) return { kind: "", id: "" };
  try {
    return { kind, id: decodeURIComponent(encoded) };
  } catch {
    return { kind: "", id: "" };
  }
}

/** Change the address without a new entry in the history. */
export function replace(hash) {
  history.replaceState(null, "", hash || location.pathname + location.search);
}
