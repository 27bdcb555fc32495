/* Asks GET /search for what a person looks for, page by page, newest first.

   Rule 1: the broker looks at a bounded number of tickets for one request; a round asks on until it has ENOUGH new
   ones, or has asked ROUND times. Then it is the person's turn to say "further".
   Rule 2: at most FOUND_MAX are held. A search that is begun anew forgets the one before, also its late answers. */

import * as api from "./api.js";
import { fromTicket } from "./state.js";

const PAGE = 50, ENOUGH = 50, ROUND = 20, FOUND_MAX = 500;

export class Search {
  constructor(onChange) {
    this._onChange = onChange;
    this._run = 0;
    this.forget();
  }

  forget() {
    this._run += 1;
    this.filter = null;
    this.found = [];
    this.next = undefined; // seq before which to go on; null = searched to the end
    this.isBusy = false;
    this.problem = "";
  }

  /** Begin: {q, agent, status}, of which some may be empty. */
  async begin(filter) {
    this.forget();
    this.filter = filter;
    await this.further();
  }

  get canGoOn() {
    return this.filter !== null && !this.isBusy && this.next !== null && this.found.length < FOUND_MAX;
  }

  async further() {
    if (!this.canGoOn) return;
    const run = this._run, had = this.found.length;
    this.isBusy = true;
    this.problem = "";
    this._onChange();
    try {
      for (let asked = 0; asked < ROUND && this.next !== null && this.found.length < had + ENOUGH; asked += 1) {
        const page = await api.tickets({ ...this.filter, before: this.next, limit: PAGE });
        if (run !== this._run) return;
        this.found.push(...page.tickets.map(fromTicket));
        this.next = page.nextBefore;
      }
    } catch (error) {
      if (run !== this._run) return;
      this.problem = error.message;
    }
    this.isBusy = false;
    this._onChange();
  }
}
