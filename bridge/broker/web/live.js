/* The event stream: it is lost, waited for, and comes back, without a reload.

   CONNECTING ──opened──► LIVE ──error, end, silence──► LOST ──own backoff──► CONNECTING
       └────────error────────────────────────────────────▲
   any ──hidden for long, or left──► ASLEEP ──seen again──► CONNECTING

   Rule 1: one way back, ours: the browser's own reconnecting gives up at the first 503, and does not say when it
   tries again. The stream has no cursor, so nothing is lost by a new one: the page reads /overview when LIVE.
   Rule 2: silence counts as lost: 2.5 heartbeats without a word. How long a heartbeat is, the stream teaches.
   `distrust` reports a request without an answer: the stream may hang as well. */

export const Phase = Object.freeze({ CONNECTING: "connecting", LIVE: "live", LOST: "lost", ASLEEP: "asleep" });

const FIRST_DELAY = 500, DELAY_MAX = 5000; // ms; full jitter below
const HEARTBEAT = 30000; // ms, the broker's default until it has shown another
const STALE_HEARTBEATS = 2.5, STALE_MIN = 5000, OPEN_MAX = 10000, LOOK_EVERY = 1000;
// ms. A browser has six connections for one broker, and a hidden tab needs none.
const HIDDEN_MAX = 60000;

export class Live {
  /** `on` has stage(data), agent(data), missed(data), phase(phase). */
  constructor(path, on) {
    this._path = path;
    this._on = on;
    this._source = null;
    this._failures = 0;
    this._retryTimer = this._hiddenTimer = 0;
    this._heartbeat = HEARTBEAT;
    this.phase = Phase.CONNECTING;
    this.retryAt = 0;
  }

  start() {
    setInterval(() => this._look(), LOOK_EVERY);
    addEventListener("online", () => this.retry());
    document.addEventListener("visibilitychange", () => this._seen());
    // A page that was left may be kept for "back", with its connections.
    addEventListener("pagehide", () => this._sleep());
    addEventListener("pageshow", (event) => event.persisted && this._seen());
    this._open();
  }

  /** Try at once, unless it is live or on its way. */
  retry() {
    if (this.phase === Phase.LOST) this._open();
  }

  distrust() {
    if (this.phase === Phase.LIVE) this._lost();
  }

  _enter(phase) {
    this.phase = phase;
    this._on.phase(phase);
  }

  _open() {
    this._close();
    this._enter(Phase.CONNECTING);
    this._heardAt = performance.now();
    this._heartbeats = 0;
    const source = (this._source = new EventSource(this._path));
    source.onopen = () => this._opened();
    source.onerror = () => this._lost();
    for (const name of ["stage", "agent", "missed"]) source.addEventListener(name, (event) => this._tell(name, event.data));
    source.addEventListener("heartbeat", () => this._beat());
  }

  _close() {
    clearTimeout(this._retryTimer);
    if (this._source) this._source.onopen = this._source.onerror = null;
    this._source?.close();
    this._source = null;
  }

  _opened() {
    this._failures = 0;
    this._heardAt = performance.now();
    this._enter(Phase.LIVE);
  }

  _tell(name, data) {
    this._heardAt = performance.now();
    this._on[name](JSON.parse(data));
  }

  _beat() {
    const now = performance.now(), silence = now - this._heardAt;
    this._heartbeats += 1;
    if (this._heartbeats > 1) this._heartbeat = silence; // the first may come with the opening
    this._heardAt = now;
  }

  _look() {
    const patience = this.phase === Phase.LIVE ? Math.max(STALE_MIN, STALE_HEARTBEATS * this._heartbeat) : OPEN_MAX;
    if (this._source && performance.now() - this._heardAt > patience) this._lost();
  }

  _lost() {
    this._close();
    const delay = Math.random() * Math.min(DELAY_MAX, FIRST_DELAY * 2 ** this._failures);
    this._failures += 1;
    this.retryAt = Date.now() + delay;
    this._retryTimer = setTimeout(() => this._open(), delay);
    this._enter(Phase.LOST);
  }

  _seen() {
    clearTimeout(this._hiddenTimer);
    if (document.hidden) {
      this._hiddenTimer = setTimeout(() => this._sleep(), HIDDEN_MAX);
    } else if (this.phase === Phase.ASLEEP) {
      this._open();
    }
  }

  _sleep() {
    this._close();
    this._enter(Phase.ASLEEP);
  }
}
