/* The only place that makes elements and sets attributes.

   Rule 1: text goes in as text (textContent); there is no way here to put in HTML.
   Rule 2: an attribute must be on the list, an address must be a fragment or a ticket of this broker's:
   a peer's name can never become a handler, a style or a "javascript:" address.
   Rule 3: what is as it should be is left alone, because touching the document is what costs. */

import { oneLine } from "./text.js";

const ATTRIBUTES = /^(aria-[a-z]+|data-[a-z]+|class|id|role|title|type|for|href|target|datetime|tabindex|scope|hidden|disabled|dir|colspan|value)$/;
const ADDRESS = /^(#|tickets\/)[^:]*$/;

export const byId = (id) => document.getElementById(id);

/** A new element; `text` becomes its text, everything else its attributes. */
export function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key === "text") made.textContent = value;
    else setAttribute(made, key, value);
  }
  made.append(...children);
  return made;
}

/** Set, or with null or false take away, one attribute. */
export function setAttribute(node, name, value) {
  if (!ATTRIBUTES.test(name)) throw new TypeError(`no attribute of ours: ${name}`);
  if (name === "href" && !ADDRESS.test(value)) throw new TypeError("no address of ours");
  if (value === null || value === false) {
    if (node.hasAttribute(name)) node.removeAttribute(name);
    return;
  }
  const text = value === true ? "" : name === "title" ? oneLine(value) : String(value);
  if (node.getAttribute(name) !== text) node.setAttribute(name, text);
}

/** Give a node this text; it is touched only when that is another one. */
export function setText(node, text) {
  const only = node.firstChild;
  if (only && only === node.lastChild && only.nodeType === Node.TEXT_NODE) {
    if (only.data !== text) only.data = text;
  } else if (only || text) {
    node.textContent = text;
  }
}

export function show(node, isShown) {
  if (node.hidden === isShown) node.hidden = !isShown;
}

/** Make `nodes` the children of `parent`, in this order, moving as few as it takes. */
export function arrange(parent, nodes) {
  const kept = new Set(nodes);
  let next = parent.firstChild;
  for (const node of nodes) {
    while (next && !kept.has(next)) {
      const gone = next;
      next = next.nextSibling;
      gone.remove();
    }
    if (node === next) next = next.nextSibling;
    else parent.insertBefore(node, next);
  }
  while (next) {
    const gone = next;
    next = next.nextSibling;
    gone.remove();
  }
}

/** A button that does `act`. */
export function button(text, attributes, act) {
  const made = element("button", { type: "button", ...attributes, text });
  made.addEventListener("click", act);
  return made;
}

/** A peer's `text`, in a direction of its own beside ours. */
export function foreign(name, text, className = "") {
  return element(name, { class: `foreign ${className}`.trim(), text: oneLine(text), title: text, dir: "auto" });
}
