/* What hides in a peer's text is made visible, as the command line does it (cli/safe_text.py).

   Rule: a text cannot reorder, hide or blank what stands beside it.
       ESC -> its picture (U+2400 + code)      bidi, zero width, tags, C1, lone surrogates -> \u{202e}
   Joiners (U+200C, U+200D) stay: scripts and emoji need them, and they show nothing that is not there. */

const CONTROLS = /[\u0000-\u001f\u007f]/g;
const HIDDEN =
  /[\u0080-\u009f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\u{e0000}-\u{e0fff}]|[\ud800-\udfff]/gu;

const picture = (found) => (found === "\u007f" ? "\u2421" : String.fromCharCode(0x2400 + found.charCodeAt(0)));
const escaped = (found) => `\\u{${found.codePointAt(0).toString(16)}}`;

/** `value` as one line: each control and hidden character visible, line ends too. */
export function oneLine(value) {
  return String(value ?? "").replace(CONTROLS, picture).replace(HIDDEN, escaped);
}

/** The same for a text of several lines: LF and TAB stay, CRLF is a line end. */
export function visible(value) {
  const shown = String(value ?? "").replace(/\r\n/g, "\n");
  return shown.replace(CONTROLS, (found) => (found === "\n" || found === "\t" ? found : picture(found))).replace(HIDDEN, escaped);
}

/** A payload as people read it: a string as it is, else indented JSON. Not yet made visible. */
export function payloadText(payload) {
  return typeof payload === "string" ? payload : JSON.stringify(payload, null, 2);
}

/** The beginning of a payload for a list, one line. */
export function excerpt(payload, length = 200) {
  const text = typeof payload === "string" ? payload : JSON.stringify(payload) ?? "";
  return oneLine(text.length <= length ? text : `${text.slice(0, length - 1)}…`);
}
