// The telemetry of one device, or of all: the chart, its legend, and the last messages.

import { showActions } from "./actions.js";
import { Chart, draw, lineStyle, short } from "./chart.js";
import { load, showErrorsOf } from "./connection.js";
import { amount, announce, byId, clock, element, hasChanged, setText } from "./dom.js";
import { closeAll, messageItem } from "./message.js";

const LISTED = 8; // messages in the list
const POINTS = 300; // messages in a chart
const WINDOW_S = 300; // the chart of all devices shows the rate of this time

let chosen = null; // the device that is shown, { id, hub }; null: all devices
let messages = []; // the newest last, of the chosen device or of all
let steps = []; // the rate of all messages
let stepS = 2;
const hidden = new Set(); // names of lines that the chart leaves out

const chart = new Chart(byId("chart"), (at) => showReadings(at));

export const isChosen = (device) => chosen !== null && device.id === chosen.id && device.hub === chosen.hub;

/** Show the telemetry of a device, or of all (null) → has that changed? */
export function choose(device) {
  if (device ? isChosen(device) : !chosen) return false;
  chosen = device && { id: device.id, hub: device.hub };
  messages = [];
  hidden.clear();
  closeAll();
  showActions(device);
  show();
  announce(chosen ? `Telemetry of ${chosen.id}` : "Telemetry of all devices");
  showErrorsOf(Promise.all([loadMessages(), loadRate()]));
  return true;
}

/** Forget all telemetry: the simulator has restarted. */
export function forget() {
  messages = [];
  steps = [];
}

/** Load the messages that are new. */
export async function loadMessages() {
  const parameters = { after: messages.at(-1)?.number ?? 0, limit: chosen ? POINTS : LISTED };
  if (chosen) Object.assign(parameters, { hub: chosen.hub, device: chosen.id });
  await load("messages", "messages", parameters, (answer) => {
    messages = [...messages, ...answer.messages.reverse()].slice(-POINTS);
    show();
  });
}

/** Load the new steps of the rate, unless a device is chosen. */
export async function loadRate() {
  if (chosen) return;
  const parameters = steps.length ? { after: steps.at(-1).at } : {};
  await load("rate", "rate", parameters, (answer) => {
    if (!answer.steps.length) return;
    steps = [...steps, ...answer.steps].filter((step) => step.at > answer.steps.at(-1).at - WINDOW_S);
    stepS = answer.stepS;
    if (!chosen) show();
  });
}

/** The lines of the chart: [{ name, points }, …]. */
function lines() {
  if (!chosen) {
    return [{ name: "messages per second", points: steps.map((step) => [step.at, step.count / stepS]) }];
  }
  // A Map, because a device chooses the names, and an object already has some, such as __proto__.
  const found = new Map();
  for (const message of messages) {
    for (const [name, value] of Object.entries(message.numbers)) {
      if (!found.has(name)) found.set(name, []);
      found.get(name).push([message.at, value]);
    }
  }
  return [...found].map(([name, points]) => ({ name, points }));
}

function show() {
  setText(byId("telemetry-title"), chosen ? chosen.id : "All devices");
  byId("telemetry-all").hidden = !chosen;
  setText(
    byId("telemetry-note"),
    chosen ? `numbers in the last ${amount(messages.length, "message")} to ${chosen.hub}` : "messages per second, of the last 5 minutes",
  );
  const all = lines();
  if (hasChanged("legend", [chosen, all.map((line) => line.name), [...hidden]])) showLegend(all);
  showReadings(null, all);
  const drawn = all.map((line, style) => ({ ...line, style })).filter((line) => !hidden.has(line.name));
  chart.draw({
    series: drawn,
    unit: chosen ? (drawn.length === 1 ? drawn[0].name : "value") : "messages / s",
    empty: chosen && messages.length ? "No numbers in its messages" : "No telemetry yet",
    zero: !chosen,
  });
  byId("chart").setAttribute("aria-label", describe(drawn));
  if (hasChanged("messages", messages.slice(-LISTED))) showMessages();
}

/** The chart in words. */
function describe(drawn) {
  const points = drawn.flatMap((line) => line.points);
  if (!points.length) return "No telemetry yet";
  const times = points.map(([at]) => at);
  const [from, to] = [Math.min(...times), Math.max(...times)].map((at) => clock.format(at * 1000));
  const each = drawn.map(({ name, points: own }) => {
    const values = own.map(([, value]) => value);
    return `${name}: last ${short(values.at(-1))}, lowest ${short(Math.min(...values))}, highest ${short(Math.max(...values))}`;
  });
  return `Line chart of ${chosen ? chosen.id : "all devices"} from ${from} to ${to}. ${each.join(". ")}.`;
}

/** A button for each line, which hides it or shows it again. */
function showLegend(all) {
  const focused = [...byId("legend").children].indexOf(document.activeElement);
  const buttons = all.map((line, at) => {
    const key = draw("svg", { width: 18, height: 8, "aria-hidden": "true" });
    key.append(draw("line", { ...lineStyle(at), x1: 0, x2: 18, y1: 4, y2: 4, "stroke-width": 2.5 }));
    const name = element("span", { class: "name" }, line.name);
    const button = element("button", { type: "button", "aria-pressed": !hidden.has(line.name) }, key, name, element("b"));
    button.addEventListener("click", () => {
      if (!hidden.delete(line.name)) hidden.add(line.name);
      show();
    });
    return button;
  });
  byId("legend").replaceChildren(...buttons);
  buttons[focused]?.focus();
}

/** The value of each line at a time, or its last value (null). */
function showReadings(at, all = lines()) {
  all.forEach(({ points }, index) => {
    const point = at === null ? points.at(-1) : points.findLast((one) => one[0] <= at);
    const value = byId("legend").children[index]?.querySelector("b");
    if (value) setText(value, point ? short(point[1]) : "–");
  });
}

function showMessages() {
  const rows = messages.slice(-LISTED).reverse().map((message) => messageItem(message, !chosen));
  if (!rows.length) rows.push(element("li", {}, element("span", { class: "size" }, "none yet")));
  const at = document.activeElement?.closest("#messages li")?.dataset.number;
  byId("messages").replaceChildren(...rows);
  if (at) byId("messages").querySelector(`[data-number="${at}"] button`)?.focus();
}
