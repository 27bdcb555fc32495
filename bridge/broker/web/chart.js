/* One chart: some series over the last two minutes, on a canvas.

   Rule 1: colour is never the only sign: the second series is dashed.
   Rule 2: a gap (null) is a gap; a value that stands alone is a dot.
   Rule 3: what the eye reads off the curve, the readout says in words: for the second under the pointer, for the
   one that the arrow keys chose, else for the latest. */

import { element, setAttribute, setText } from "./dom.js";
import { clockTime } from "./format.js";

const LEFT = 54, RIGHT = 10, TOP = 10, BOTTOM = 22; // px around the plot

export class Chart {
  /** `series`: [{name, colour}], `scale`: {isFilled, top(values), share(value, top), ticks(top)}, `tell(value)`: with its unit. */
  constructor(figure, title, series, scale, tell) {
    this._series = series;
    this._scale = scale;
    this._tell = tell;
    this._title = title;
    this._data = null; // {fromMs, stepMs, values: [[number|null]]}
    this._chosen = null; // index under the pointer or by keys
    this._canvas = element("canvas", { "aria-hidden": "true" });
    this._empty = element("p", { class: "empty", text: "No tickets in the last two minutes" });
    this._when = element("span", { class: "when" });
    this._keys = series.map(({ name, style }) => ({ value: element("b"), name, style }));
    this._plot = element("div", { class: "plot", tabindex: "0", role: "group" }, this._canvas, this._empty);
    const key = ({ name, style, value }) => element("span", { class: `key ${style}` }, element("i", { "aria-hidden": "true" }), `${name} `, value);
    const legend = element("div", { class: "legend" }, ...this._keys.map(key));
    figure.append(element("figcaption", {}, element("h3", { text: title }), this._when, legend), this._plot);
    this._listen();
  }

  setData(data) {
    this._data = data;
  }

  /** Called when the figure has another size, or a pointer chose another second. */
  set onStale(mark) {
    this._mark = mark;
    new ResizeObserver(mark).observe(this._plot);
  }

  _listen() {
    const plot = this._plot;
    plot.addEventListener("pointermove", (event) => this._choose(this._indexAt(event.offsetX)));
    plot.addEventListener("pointerleave", () => this._choose(null));
    plot.addEventListener("blur", () => this._choose(null));
    plot.addEventListener("keydown", (event) => {
      const step = { ArrowLeft: -1, ArrowRight: 1, PageUp: -10, PageDown: 10 }[event.key];
      if (!step || !this._data) return;
      event.preventDefault();
      const last = this._data.values[0].length - 1;
      this._choose(Math.min(last, Math.max(0, (this._chosen ?? last) + step)));
    });
  }

  _choose(index) {
    this._chosen = index;
    this._mark?.();
  }

  _indexAt(x) {
    if (!this._data) return null;
    const steps = this._data.values[0].length - 1, width = this._plot.clientWidth - LEFT - RIGHT;
    return Math.min(steps, Math.max(0, Math.round(((x - LEFT) / width) * steps)));
  }

  draw() {
    const { clientWidth: width, clientHeight: height } = this._plot, ratio = devicePixelRatio || 1, canvas = this._canvas;
    if (!this._data || !width || !height) return;
    if (canvas.width !== Math.round(width * ratio) || canvas.height !== Math.round(height * ratio)) {
      canvas.width = Math.round(width * ratio);
      canvas.height = Math.round(height * ratio);
    }
    const pen = canvas.getContext("2d"), { values } = this._data;
    const known = values.flat().filter((value) => value !== null && value > 0), top = this._scale.top(known);
    pen.setTransform(ratio, 0, 0, ratio, 0, 0);
    pen.clearRect(0, 0, width, height);
    const style = getComputedStyle(this._plot), area = { width, height, top, style };
    this._drawGrid(pen, area);
    values.forEach((line, index) => this._drawLine(pen, area, line, this._series[index], index));
    if (this._chosen !== null) this._drawChosen(pen, area);
    this._empty.hidden = known.length > 0;
    this._read();
  }

  _x = (index, { width }) => LEFT + (index / (this._data.values[0].length - 1)) * (width - LEFT - RIGHT);

  _y = (value, { height, top }) => height - BOTTOM - this._scale.share(value, top) * (height - TOP - BOTTOM);

  _drawGrid(pen, area) {
    pen.font = `11px ${area.style.fontFamily}`;
    pen.fillStyle = area.style.getPropertyValue("--muted");
    pen.strokeStyle = area.style.getPropertyValue("--line");
    pen.lineWidth = 1;
    pen.textBaseline = "middle";
    pen.textAlign = "right";
    for (const [value, label] of this._scale.ticks(area.top)) {
      const y = Math.round(this._y(value, area)) + 0.5;
      pen.beginPath();
      pen.moveTo(LEFT, y);
      pen.lineTo(area.width - RIGHT, y);
      pen.stroke();
      pen.fillText(label, LEFT - 8, y);
    }
    pen.textBaseline = "alphabetic";
    for (const [share, label, align] of [[0, "2 min ago", "left"], [0.5, "1 min ago", "center"], [1, "now", "right"]]) {
      pen.textAlign = align;
      pen.fillText(label, LEFT + share * (area.width - LEFT - RIGHT), area.height - 6);
    }
  }

  _drawLine(pen, area, line, series, index) {
    const colour = area.style.getPropertyValue(series.colour), floor = area.height - BOTTOM;
    pen.strokeStyle = pen.fillStyle = colour;
    pen.lineWidth = 1.75;
    pen.lineJoin = "round";
    pen.setLineDash(index ? [4, 3] : []);
    for (const [from, to] of runs(line)) {
      if (from === to) {
        pen.beginPath();
        pen.arc(this._x(from, area), this._y(line[from], area), 2, 0, 7);
        pen.fill();
        continue;
      }
      pen.beginPath();
      for (let at = from; at <= to; at += 1) pen.lineTo(this._x(at, area), this._y(line[at], area));
      pen.stroke();
      if (index || !this._scale.isFilled) continue;
      pen.lineTo(this._x(to, area), floor);
      pen.lineTo(this._x(from, area), floor);
      pen.globalAlpha = 0.13;
      pen.fill();
      pen.globalAlpha = 1;
    }
    pen.setLineDash([]);
  }

  _drawChosen(pen, area) {
    const x = Math.round(this._x(this._chosen, area)) + 0.5;
    pen.strokeStyle = area.style.getPropertyValue("--muted");
    pen.lineWidth = 1;
    pen.beginPath();
    pen.moveTo(x, TOP);
    pen.lineTo(x, area.height - BOTTOM);
    pen.stroke();
  }

  /** The readout: a legend for the eye, and a label for a screen reader. */
  _read() {
    const { fromMs, stepMs, values } = this._data, index = this._chosen ?? values[0].length - 1;
    const when = this._chosen === null ? "latest" : clockTime(fromMs + index * stepMs, false);
    setText(this._when, when);
    const told = this._keys.map(({ name, value }, at) => {
      const text = values[at][index] === null ? "–" : this._tell(values[at][index]);
      setText(value, text);
      return `${name} ${text}`;
    });
    setAttribute(this._plot, "aria-label", `${this._title}, ${when}: ${told.join(", ")}. Left and right arrow choose a second.`);
  }
}

/** [from, to] of each stretch without a gap. */
function* runs(line) {
  let from = -1;
  for (let at = 0; at <= line.length; at += 1) {
    const isValue = at < line.length && line[at] !== null;
    if (isValue && from < 0) from = at;
    if (!isValue && from >= 0) {
      yield [from, at - 1];
      from = -1;
    }
  }
}
