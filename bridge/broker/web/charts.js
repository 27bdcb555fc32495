/* The two charts: tickets a second, and how long delivery takes, over the last two minutes.

   Rule 1: tickets a second begin at 0 on an even scale; times stand on a scale of decades, since a pane that was
   busy for a minute must not flatten the milliseconds of all others.
   Rule 2: the second that is still running is not drawn: it would always look like a fall. */

import { byId } from "./dom.js";
import { Chart } from "./chart.js";
import { duration, rate } from "./format.js";

const STEPS = [1, 2, 5, 10];

/** The next of 1, 2, 5, 10, 20, 50 … that is at least `value`. */
function nice(value) {
  const decade = 10 ** Math.floor(Math.log10(value));
  return decade * STEPS.find((step) => step * decade >= value);
}

const even = {
  isFilled: true,
  top: (known) => nice(Math.max(2, ...known)),
  share: (value, top) => value / top,
  ticks: (top) => [0, top / 2, top].map((value) => [value, `${rate(value)}/s`]),
};

const LOWEST = 0.1; // ms
const decades = {
  isFilled: false,
  top: (known) => 10 ** Math.ceil(Math.log10(Math.max(100, ...known))),
  share: (value, top) => Math.max(0, Math.log10(Math.max(value, LOWEST) / LOWEST) / Math.log10(top / LOWEST)),
  ticks: (top) => {
    const all = [];
    for (let value = top; value > LOWEST * 0.99; value /= 10) all.push([value, duration(value)]);
    return all.length > 5 ? all.filter((_, index) => index % 2 === 0) : all;
  },
};

let throughput, latency;

export function makeCharts(onStale) {
  const pair = (first, second) => [{ name: first, colour: "--first", style: "solid" }, { name: second, colour: "--second", style: "dashed" }];
  throughput = new Chart(byId("throughput"), "Throughput", pair("accepted", "acknowledged"), even, (value) => `${rate(value)}/s`);
  latency = new Chart(byId("latency"), "Delivery time", pair("p50", "p99"), decades, duration);
  throughput.onStale = latency.onStale = onStale;
}

export function drawCharts(state) {
  if (!state.figures) return;
  const { fromAt, stepMs, accepted, acknowledged, p50Ms, p99Ms } = state.figures.timeline;
  const whole = (line) => line.slice(0, -1), fromMs = Date.parse(fromAt), perSecond = (line) => whole(line).map((value) => (value * 1000) / stepMs);
  throughput.setData({ fromMs, stepMs, values: [perSecond(accepted), perSecond(acknowledged)] });
  latency.setData({ fromMs, stepMs, values: [whole(p50Ms), whole(p99Ms)] });
  throughput.draw();
  latency.draw();
}
