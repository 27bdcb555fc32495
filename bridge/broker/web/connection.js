/* How the broker and the page stand, in the pill on top and in the banner under it.

   stream stands               Live
   stream lost, polls answered Refreshing every 3 s (streams are switched off, or something on the way breaks them)
   neither                     Connection lost, trying again; said aloud, and again when it is back
 */

import { byId, setAttribute, setText, show } from "./dom.js";
import { say } from "./dialogs.js";
import { oneLine } from "./text.js";
import { Phase } from "./live.js";

const TEXTS = { live: "Live", connecting: "Connecting", refreshing: "Refreshing every 3 s", lost: "Connection lost", asleep: "Resting" };

export function makeConnection(live, pulse, onChange) {
  let isReachable = null, problem = "", shown = "", wasLost = false;
  byId("banner-act").addEventListener("click", () => (live.retry(), pulse.refresh()));
  setInterval(tell, 1000);

  const mode = () => {
    if (live.phase === Phase.LIVE) return "live";
    if (live.phase === Phase.ASLEEP) return "asleep";
    if (isReachable) return "refreshing";
    return isReachable === false ? "lost" : "connecting";
  };

  function tell() {
    const now = mode();
    if (now === "lost") setText(byId("banner-text"), lostText());
    if (now === shown) return;
    setAttribute(byId("connection"), "data-phase", now);
    setText(byId("connection-text"), TEXTS[now]);
    show(byId("banner"), now === "lost");
    document.body.classList.toggle("is-lost", now === "lost");
    setText(byId("banner-act"), "Try now");
    if (now === "lost") say("Connection lost, trying again.");
    if (wasLost && (now === "live" || now === "refreshing")) say("Connected again.");
    wasLost = now === "lost" || (wasLost && now === "connecting");
    shown = now;
    onChange();
  }

  function lostText() {
    const seconds = Math.ceil((live.retryAt - Date.now()) / 1000);
    return `Connection lost${problem ? `: ${problem}` : "."} Trying again ${seconds > 0 && live.phase === Phase.LOST ? `in ${seconds} s` : "now"}.`;
  }

  return {
    tell,
    isLost: () => mode() === "lost",
    answered(error) {
      isReachable = !error;
      problem = error ? oneLine(error.message) : "";
      tell();
    },
  };
}
