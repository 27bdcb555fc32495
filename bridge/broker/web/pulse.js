/* The page's only poll: /overview, small once a second for the figures, whole now and then for the agents.

   Rule 1: one request at a time; the next one is planned when the last one is over.
   Rule 2: whole on request (start, reconnect, `missed`), when there is no stream of changes,
   and every tenth time, so that the counts become exact again.
   Rule 3: a hidden tab asks nothing. */

import * as api from "./api.js";

const LIVE_EVERY = 1000, BLIND_EVERY = 3000; // ms, with and without an event stream
const WHOLE_EVERY = 10; // beats
const AGENTS = 1000, TICKETS = 100; // as many as are asked for

export class Pulse {
  /** `on` has overview(overview, isWhole), tickets(list), answered(error or null). `isLive()`: a stream stands. */
  constructor(isLive, on) {
    this._isLive = isLive;
    this._on = on;
    this._isBusy = this._isWanted = false;
    this._isWhole = true;
    this._beats = 0;
    this._timer = 0;
  }

  start() {
    document.addEventListener("visibilitychange", () => document.hidden || this.refresh());
    this.refresh();
  }

  /** Ask for everything, now. */
  refresh() {
    this._isWhole = true;
    if (this._isBusy) this._isWanted = true;
    else this._beat();
  }

  async _beat() {
    clearTimeout(this._timer);
    if (document.hidden) return;
    this._isBusy = true;
    const isWhole = this._isWhole || !this._isLive() || this._beats % WHOLE_EVERY === 0;
    const hasTickets = this._isWhole || !this._isLive();
    this._isWhole = this._isWanted = false;
    this._beats += 1;
    try {
      const [overview, tickets] = await Promise.all([api.overview({ limit: isWhole ? AGENTS : 1 }), hasTickets ? api.tickets({ limit: TICKETS }) : null]);
      this._on.overview(overview, isWhole);
      if (tickets) this._on.tickets(tickets.tickets);
      this._on.answered(null);
    } catch (error) {
      this._isWhole = true;
      this._on.answered(error);
    }
    this._isBusy = false;
    this._timer = setTimeout(() => this._beat(), this._isWanted ? 0 : this._isLive() ? LIVE_EVERY : BLIND_EVERY);
  }
}
