/* Wires the page: what happens goes into the state, what is stale goes to the painter.

   live (stream) ─► state ─► painter ─► tiles, charts, agents, tickets
   pulse (poll) ──────┘                     story asks for itself
   The title of the tab and the pill on top say how the broker and the page stand. */

import { Unreachable } from "./api.js";
import { AgentsTable } from "./agents.js";
import { drawCharts, makeCharts } from "./charts.js";
import { makeConnection } from "./connection.js";
import { makeDialogs, openBox } from "./dialogs.js";
import { byId, element, setText } from "./dom.js";
import { drawFigures, drawWelcome, makeFigures } from "./figures.js";
import { count, counted, duration } from "./format.js";
import { makeKeys } from "./keys.js";
import { Live, Phase } from "./live.js";
import { Painter } from "./painter.js";
import { Pulse } from "./pulse.js";
import * as route from "./route.js";
import { makeReplyBox, makeSendBox } from "./send.js";
import { MEANINGS } from "./stages.js";
import { State } from "./state.js";
import { Story } from "./story.js";
import { setBrokerClock, startTicker } from "./ticker.js";
import { TicketList } from "./tickets.js";

const state = new State(), painter = new Painter();
const story = new Story(closeStory);
const list = new TicketList(state, () => painter.mark("tickets"), (agent) => compose(agent), filtered);
const table = new AgentsTable(state, () => painter.mark("agents"));
const compose = makeSendBox(() => [...state.agents.keys()].sort(), (id) => (location.hash = route.address("ticket", id)));
let filterHash = ""; // the address of what stands behind a story

const live = new Live("events?heartbeat=event", {
  phase(phase) {
    if (phase === Phase.LIVE || phase === Phase.LOST) pulse.refresh();
    connection.tell();
  },
  stage(event) {
    state.takeStage(event);
    story.changed(event.ticketId, null);
    painter.mark("tickets", "agents", "foot");
  },
  agent(row) {
    state.takeAgent(row);
    story.changed(null, row.agentId);
    painter.mark("agents");
  },
  missed({ events }) {
    state.missed += events;
    pulse.refresh();
  },
});
const pulse = new Pulse(() => live.phase === Phase.LIVE, {
  overview(overview, isWhole) {
    setBrokerClock(overview.at);
    state.takeOverview(overview, isWhole);
    painter.mark("figures", "charts", "foot", "title", ...(isWhole ? ["agents"] : []));
  },
  tickets(tickets) {
    state.takeTickets(tickets);
    story.refresh();
    painter.mark("tickets");
  },
  answered(error) {
    if (error instanceof Unreachable) live.distrust();
    connection.answered(error);
  },
});
const connection = makeConnection(live, pulse, () => painter.mark("title"));

function drawFoot() {
  if (!state.figures) return;
  const { version, uptimeMs, totals } = state.figures, missed = state.missed ? `, ${count(state.missed)} missed` : "";
  setText(byId("version"), version);
  setText(byId("foot-broker"), `Broker ${version}, up ${duration(uptimeMs)}, ${counted(totals.connections, "connection")}`);
  setText(byId("foot-events"), `${counted(state.events, "event")} seen, ${counted(state.accepted, "ticket")}${missed}`);
}

function drawTitle() {
  const pending = state.figures?.totals.pending;
  document.title = connection.isLost() ? "✕ bridge: connection lost" : pending ? `(${count(pending)}) bridge` : "bridge";
}

/** Make the page what the address says. */
function follow() {
  const { kind, id } = route.read();
  if (kind === "ticket") {
    story.open(id);
    return;
  }
  if (kind === "agent") list.setFilter({ agent: id, q: "" });
  if (kind === "search") list.setFilter({ q: id, agent: "" });
  story.close();
}

/** The list has another filter: the address behind a story follows it. */
function filtered({ q, agent }) {
  filterHash = agent ? route.address("agent", agent) : q ? route.address("search", q) : "";
  if (route.read().kind !== "ticket") route.replace(filterHash);
}

function closeStory() {
  if (route.read().kind === "ticket") route.replace(filterHash);
}

let searchTimer = 0;
function search() {
  clearTimeout(searchTimer);
  const q = byId("query").value.trim();
  if (q !== list.filter.q) list.setFilter({ q });
}

function start() {
  makeDialogs();
  makeFigures();
  makeCharts(() => painter.mark("charts"));
  makeReplyBox(() => story.id, () => story.refresh());
  for (const [stage, meaning] of Object.entries(MEANINGS)) byId("help-stages").append(element("div", {}, element("dt", { text: stage }), element("dd", { text: meaning })));
  makeKeys([
    ["/", "Search all tickets", () => byId("query").select()],
    ["S", "Send a ticket", () => compose(list.filter.agent)],
    ["J ↓", "Next ticket in the list", () => list.step(1)],
    ["K ↑", "Ticket before it", () => list.step(-1)],
    ["Enter", "Open the ticket’s story", null],
    ["A", "Filter the agents", () => byId("agents-filter").focus()],
    ["P", "Hold the list of tickets still, and let it go on", () => list.pause()],
    ["T", "Theme: automatic, light, dark", () => byId("theme").click()],
    ["?", "This help", () => openBox("help")],
    ["Esc", "Close what is open", null],
  ]);
  painter.add("tickets", 100, () => list.draw());
  painter.add("agents", 250, () => table.draw());
  painter.add("figures", 500, () => (drawFigures(state), drawWelcome(state)));
  painter.add("charts", 100, () => drawCharts(state));
  painter.add("foot", 500, drawFoot);
  painter.add("title", 1000, drawTitle);
  byId("compose").addEventListener("click", () => compose(list.filter.agent));
  byId("help-button").addEventListener("click", () => openBox("help"));
  byId("search").addEventListener("submit", (event) => (event.preventDefault(), search()));
  byId("query").addEventListener("input", () => (clearTimeout(searchTimer), (searchTimer = setTimeout(search, 300))));
  addEventListener("hashchange", follow);
  addEventListener("themechange", () => painter.mark("charts"));
  startTicker();
  live.start();
  pulse.start();
  follow();
}

start();
