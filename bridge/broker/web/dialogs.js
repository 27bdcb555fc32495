/* Boxes that open over the page, and what is said aloud.

   Rule 1: a box is a modal <dialog>: the browser keeps the focus in it, closes it on Esc, and gives the focus back.
   Rule 2: one box at a time, but for the send box, which may stand over a story.
   Rule 3: aloud is said what a person asked for or must know (sent, lost, back again), never what merely flows by. */

import { button, byId, element, setText } from "./dom.js";

const TOAST_FOR = 6000; // ms
const TOASTS_MAX = 3;
let forget = 0;

export function openBox(id, focused) {
  const box = byId(id);
  if (!box.open) box.showModal();
  focused?.focus();
}

export function closeBox(id) {
  const box = byId(id);
  if (box.open) box.close();
}

export const isBoxOpen = () => document.querySelector("dialog[open]") !== null;

export function makeDialogs() {
  for (const box of document.querySelectorAll("dialog")) {
    for (const close of box.querySelectorAll("[data-close]")) close.addEventListener("click", () => box.close());
    // A click on the backdrop is a click on the dialog itself, outside of its own box.
    box.addEventListener("pointerdown", (event) => event.target === box && isOutside(box, event) && box.close());
  }
}

function isOutside(box, { clientX, clientY }) {
  const { left, right, top, bottom } = box.getBoundingClientRect();
  return clientX < left || clientX > right || clientY < top || clientY > bottom;
}

/** Announce it to a screen reader. */
export function say(text) {
  setText(byId("spoken"), text);
  clearTimeout(forget);
  forget = setTimeout(() => setText(byId("spoken"), ""), TOAST_FOR); // so that the same words can be said again
}

/** Say and show it for a while; `act` is {text, do} or nothing. */
export function toast(text, act = null) {
  say(text);
  const box = byId("toasts"), made = element("div", { class: "toast" }, element("span", { text }));
  if (act) made.append(button(act.text, { class: "quiet" }, () => (made.remove(), act.do())));
  box.append(made);
  while (box.children.length > TOASTS_MAX) box.firstChild.remove();
  setTimeout(() => made.remove(), TOAST_FOR);
}
