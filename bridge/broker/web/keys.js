/* The shortcuts, and the list of them in the help.

   Rule 1: a single key acts only outside of text fields, with no box open, and without Ctrl, Alt or Meta.
   Rule 2: they can be switched off, for people whose voice or switch presses keys (WCAG 2.1.4). */

import { byId, element } from "./dom.js";
import { isBoxOpen } from "./dialogs.js";

const KEPT = "bridge.keys";

/** `table`: [[key, what it does, act]]; a further name after a space is shown beside the key. */
export function makeKeys(table) {
  const isOn = byId("keys-on"), acts = new Map();
  for (const [keys, what, act] of table) {
    const names = keys.split(" ");
    if (act) acts.set(names[0].toLowerCase(), act);
    byId("help-keys").append(element("div", {}, element("dt", {}, ...names.map((name) => element("kbd", { text: name }))), element("dd", { text: what })));
  }
  try {
    isOn.checked = localStorage.getItem(KEPT) !== "off";
    isOn.addEventListener("change", () => localStorage.setItem(KEPT, isOn.checked ? "on" : "off"));
  } catch {
    // It holds until the page is left.
  }
  document.addEventListener("keydown", (event) => {
    if (!isOn.checked || event.ctrlKey || event.altKey || event.metaKey || event.isComposing || isBoxOpen() || isWriting(event.target)) return;
    const act = acts.get(event.key.toLowerCase());
    if (!act) return;
    event.preventDefault();
    act();
  });
}

const isWriting = (target) => target.closest?.("input, textarea, select") !== null;
