/* Which part draws, and how often.

   Rule 1: nothing is drawn when something happens; it is marked stale, and drawn in an animation frame.
   Rule 2: each part draws at most once in its interval, however much happens meanwhile.
   Rule 3: browsers give a hidden tab no frames, so it draws nothing, and all that is stale when it is seen again. */

export class Painter {
  constructor() {
    this._parts = new Map(); // name -> {draw, every, last}
    this._stale = new Set();
    this._isAsked = false;
  }

  /** `draw` is called when `name` is stale, at most every `every` ms. */
  add(name, every, draw) {
    this._parts.set(name, { draw, every, last: -Infinity });
  }

  mark(...names) {
    for (const name of names) this._stale.add(name);
    this._ask();
  }

  _ask() {
    if (this._isAsked || !this._stale.size) return;
    this._isAsked = true;
    requestAnimationFrame((now) => this._frame(now));
  }

  _frame(now) {
    this._isAsked = false;
    let soonest = Infinity;
    for (const name of [...this._stale]) {
      const part = this._parts.get(name);
      const wait = part.last + part.every - now;
      if (wait > 0) {
        soonest = Math.min(soonest, wait);
        continue;
      }
      this._stale.delete(name);
      part.last = now;
      part.draw();
    }
    // Sleep through the frames in which nothing may draw.
    if (soonest !== Infinity && !this._isAsked) setTimeout(() => this._ask(), soonest);
  }
}
