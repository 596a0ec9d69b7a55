// The page asks the simulator for what is new, once a second, and shows it.
// Whatever a device has chosen (IDs, bodies, names of fields) becomes text, never HTML.

import { draw, lineStyle, makeChart, short } from "./chart.js";

const EVERY_MS = 1000; // between two looks at the simulator
const PATIENCE_MS = 5000; // how long an answer may take
const TYPING_MS = 200; // after the last key, a search begins
const SHOWN = { devices: 20, enrollments: 10, requests: 50, messages: 8 };
const POINTS = 300; // how many messages a chart is drawn of
const WINDOW_S = 300; // how far back the rate of messages is shown

const byId = (id) => document.getElementById(id);
const number = new Intl.NumberFormat("en");
const clock = new Intl.DateTimeFormat("en-GB", { timeStyle: "medium" });
const day = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short", year: "numeric" });

// ---- What is known ----

let instance = null; // of the simulator; another one may have another state
let mark = null; // of what is shown
let chosen = null; // the device whose telemetry is shown: { id, hub }
let messages = []; // the newest last: of the chosen device, or of all
let steps = []; // the rate of all messages
let stepS = 2;
let requests = []; // the newest first
let totals = null;
const hidden = new Set(); // the fields that the chart leaves out
const seen = {}; // part of the page → the text of the answer that it shows

// ---- Talking to the simulator ----

class Refused extends Error {}

async function ask(call, given = {}) {
  const query = new URLSearchParams(given).toString();
  const answer = await fetch(`api/${call}${query && `?${query}`}`, {
    cache: "no-cache", // the browser has the last answer confirmed by its ETag
    signal: AbortSignal.timeout(PATIENCE_MS),
  });
  if (!answer.ok) throw new Refused(`The simulator answers ${call} with the error ${answer.status}`);
  return answer.json();
}

// What is asked for anew while its answer is on its way: only the last question counts.
const asked = {};

async function load(part, call, given, show) {
  const turn = (asked[part] = (asked[part] ?? 0) + 1);
  const answer = await ask(call, given);
  if (turn === asked[part]) show(answer);
}

let timer = null;
let looking = false;

async function look() {
  clearTimeout(timer);
  if (looking || document.hidden) return;
  looking = true;
  try {
    const now = await ask("overview");
    if (now.instance !== instance) forget(now);
    const news = [chosen ? null : loadRate()];
    if (now.mark !== mark) {
      news.push(devices.load(), enrollments.load(), loadMessages(), loadRequests());
    }
    totals = now;
    showTotals();
    await Promise.all(news);
    mark = now.mark;
    tell(true);
  } catch (error) {
    tell(false, error);
  }
  looking = false;
  clearTimeout(timer);
  if (!document.hidden) timer = setTimeout(look, EVERY_MS);
}

/** A simulator that was started anew: all is fetched anew. */
function forget(now) {
  if (instance !== null) {
    devices.first();
    enrollments.first();
  }
  instance = now.instance;
  mark = null;
  messages = [];
  steps = [];
  requests = [];
  before = [];
}

function tell(reached, error) {
  const trouble = byId("trouble");
  const was = !trouble.hidden;
  trouble.hidden = reached;
  document.body.toggleAttribute("data-lost", !reached);
  setLive(reached ? "live" : "lost", reached ? "live" : "not reachable");
  if (!reached) {
    setText(
      trouble,
      error instanceof Refused
        ? `${error.message}. Trying again every second.`
        : "The simulator cannot be reached: what is shown is what was last known. Trying again every second.",
    );
    if (!(error instanceof Refused || error instanceof TypeError || error instanceof DOMException)) console.error(error);
  } else if (was) {
    say("The simulator is reachable again.");
  }
}

function setLive(state, text) {
  byId("live").dataset.state = state;
  setText(byId("live"), text);
}

document.addEventListener("visibilitychange", () => {
  if (document.hidden) {
    clearTimeout(timer);
    setLive("paused", "paused");
  } else {
    look();
  }
});

/** Ask for one part at once, because of what the user did. */
async function now(asking) {
  try {
    await asking;
  } catch (error) {
    tell(false, error);
  }
}

// ---- Elements ----

function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

function setText(where, text) {
  if (where.textContent !== text) where.textContent = text;
}

/** For who listens rather than looks. */
function say(text) {
  setText(byId("spoken"), text);
}

function timeOf(at) {
  const date = new Date(at * 1000);
  const today = date.toDateString() === new Date().toDateString();
  const text = today ? clock.format(date) : `${day.format(date)} ${clock.format(date)}`;
  return element("time", { datetime: date.toISOString(), title: date.toString() }, text);
}

function sizeOf(bytes) {
  return bytes < 1024 ? `${bytes} B` : `${number.format(Math.round(bytes / 1024))} KB`;
}

function cell(role, ...children) {
  return element("td", { role }, ...children);
}

function tag(state) {
  return element("span", { class: state === "enabled" ? "tag good" : "tag bad" }, state);
}

/** Has this part's data changed since it was shown? */
function isNews(part, data) {
  const text = JSON.stringify(data);
  const news = seen[part] !== text;
  seen[part] = text;
  return news;
}

// ---- Tables ----

/** Put rows, [key, row] each, into the body of a table: what is there stays, and so does the focus. */
function fill(body, rows) {
  const kept = new Map([...body.rows].map((row) => [row.dataset.key, row]));
  const order = rows.map(([key, fresh]) => {
    const old = kept.get(key);
    if (!old) {
      fresh.dataset.key = key;
      return fresh;
    }
    for (const name of ["aria-selected", "tabindex"]) {
      if (fresh.hasAttribute(name)) old.setAttribute(name, fresh.getAttribute(name));
    }
    [...fresh.cells].forEach((one, at) => {
      if (!old.cells[at].isEqualNode(one)) old.cells[at].replaceWith(one);
    });
    return old;
  });
  const wanted = new Set(order);
  for (const row of [...body.rows]) if (!wanted.has(row)) row.remove();
  order.forEach((row, at) => {
    if (body.rows[at] !== row) body.insertBefore(row, body.rows[at] ?? null);
  });
}

/**
 * A table that shows one page of what the simulator has, with a search.
 *   total  how many there are
 *   key    what tells one from the others
 *   after  the parameters that the page after one is asked for with
 *   row    one, and all of the page → its row of the table
 *   none   what to say if there is none
 */
function pagedTable(name, { total, key, after, row, none }) {
  const body = byId(`${name}-table`).tBodies[0];
  const search = byId(`${name}-search`);
  const pager = byId(`${name}-pager`);
  const position = element("span");
  const buttons = ["First", "Previous", "Next"].map((text) => element("button", { type: "button" }, text));
  const [first, back, next] = buttons;
  pager.append(position, ...buttons);
  let starts = [{}]; // of the pages up to this one: what each is asked for with
  let rows = [];
  let typing = null;

  function fillIn() {
    fill(body, rows.map((one) => [key(one), row(one, rows)]));
  }

  function show(answer) {
    rows = answer[name];
    const from = (starts.length - 1) * SHOWN[name] + 1;
    const range = `${number.format(from)}–${number.format(from + rows.length - 1)}`;
    const of = !search.value ? `of ${number.format(total())}` : answer.more ? "that match; there are more" : "that match";
    setText(position, rows.length ? `${range} ${of}` : "none");
    pager.hidden = starts.length === 1 && !answer.more && !search.value;
    // A button that the focus is on would lose it if it were disabled.
    for (const button of [first, back]) button.setAttribute("aria-disabled", starts.length === 1);
    next.setAttribute("aria-disabled", !answer.more);
    const empty = byId(`${name}-empty`);
    empty.hidden = rows.length > 0;
    setText(empty, search.value ? `No ${name} match.` : none);
    if (isNews(name, rows)) fillIn();
  }

  async function loadPage() {
    const given = { ...starts.at(-1), limit: SHOWN[name] };
    if (search.value) given.search = search.value;
    await load(name, name, given, show);
  }

  async function go() {
    await now(loadPage());
    say(`${name}: ${position.textContent}`);
  }

  for (const button of buttons) {
    button.addEventListener("click", () => {
      if (button.getAttribute("aria-disabled") === "true") return;
      if (button === first) starts = [{}];
      else if (button === back) starts.pop();
      else starts.push(after(rows.at(-1)));
      go();
    });
  }
  search.addEventListener("input", () => {
    clearTimeout(typing);
    typing = setTimeout(() => {
      starts = [{}];
      go();
    }, TYPING_MS);
  });
  return { body, fillIn, load: loadPage, rows: () => rows, first: () => { starts = [{}]; } };
}

// ---- Devices ----

const isChosen = (device) => chosen !== null && device.id === chosen.id && device.hub === chosen.hub;

const devices = pagedTable("devices", {
  total: () => totals.devices,
  key: (device) => JSON.stringify([device.hub, device.id]),
  after: (device) => ({ afterId: device.id, afterHub: device.hub }),
  none: "No devices yet: a device is here once DPS has assigned it to a hub.",
  row(device, rows) {
    // The table is one stop of the Tab key; the arrow keys move within it.
    const stop = rows.find(isChosen) ?? rows[0];
    const about = device.registrationId ? `${device.hub} · ${device.registrationId}` : device.hub;
    const { last } = device;
    const row = element(
      "tr",
      { role: "row", "aria-selected": isChosen(device), tabindex: device === stop ? 0 : -1 },
      cell("gridcell", element("strong", { title: device.id }, device.id), element("small", { title: about }, about)),
      cell("gridcell", tag(device.status)),
      cell("gridcell", number.format(device.messages)),
      last
        ? cell("gridcell", element("code", { title: last.body }, last.body || "(empty)"), element("small", {}, timeOf(last.at)))
        : cell("gridcell", element("small", {}, "none yet")),
    );
    row.cells[2].className = "number";
    return row;
  },
});

/** Show the telemetry of a device, or of all (null). */
function choose(device) {
  if (device ? isChosen(device) : !chosen) return;
  chosen = device && { id: device.id, hub: device.hub };
  messages = [];
  hidden.clear();
  devices.fillIn();
  showTelemetry();
  say(chosen ? `Telemetry of ${chosen.id}` : "Telemetry of all devices");
  now(Promise.all([loadMessages(), chosen ? null : loadRate()]));
}

/** Choose the device of a row of the table. */
function pick(row) {
  choose(devices.rows()[row.sectionRowIndex]);
  row.focus();
}

devices.body.addEventListener("click", (event) => {
  const row = event.target.closest("tr");
  if (!row) return;
  pick(row);
  if (matchMedia("(max-width: 960px)").matches) byId("telemetry").scrollIntoView();
});

devices.body.addEventListener("keydown", (event) => {
  const row = event.target.closest("tr");
  if (!row || event.ctrlKey || event.altKey || event.metaKey) return;
  const { rows } = devices.body;
  const at = row.sectionRowIndex;
  const moves = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: rows.length - 1, Enter: at, " ": at };
  if (!(event.key in moves)) return;
  event.preventDefault();
  if (rows[moves[event.key]]) pick(rows[moves[event.key]]);
});

document.addEventListener("keydown", (event) => {
  if (event.key === "Escape" && event.target.tagName !== "INPUT") choose(null);
});

byId("telemetry-all").addEventListener("click", () => {
  choose(null);
  (devices.body.rows[0] ?? byId("devices-search")).focus();
});

// ---- Telemetry ----

async function loadMessages() {
  const given = { after: messages.at(-1)?.number ?? 0, limit: chosen ? POINTS : SHOWN.messages };
  if (chosen) Object.assign(given, { hub: chosen.hub, device: chosen.id });
  await load("messages", "messages", given, (answer) => {
    messages = [...messages, ...answer.messages.reverse()].slice(-POINTS);
    showTelemetry();
  });
}

async function loadRate() {
  const given = steps.length ? { after: steps.at(-1).at } : {};
  await load("rate", "rate", given, (answer) => {
    if (!answer.steps.length) return;
    steps = [...steps, ...answer.steps].filter((step) => step.at > answer.steps.at(-1).at - WINDOW_S);
    stepS = answer.stepS;
    if (!chosen) showTelemetry();
  });
}

const drawChart = makeChart(byId("chart"), (at) => showReadings(at));

/** The lines of the chart: [{ name, points }, …]. */
function lines() {
  if (!chosen) {
    return [{ name: "messages per second", points: steps.map((step) => [step.at, step.count / stepS]) }];
  }
  const found = new Map(); // names are the device's: an object would have some of its own
  for (const message of messages) {
    for (const [name, value] of Object.entries(message.numbers)) {
      if (!found.has(name)) found.set(name, []);
      found.get(name).push([message.at, value]);
    }
  }
  return [...found].map(([name, points]) => ({ name, points }));
}

/** A number of things, in words. */
function amount(n, thing) {
  return `${number.format(n)} ${thing}${n === 1 ? "" : "s"}`;
}

function showTelemetry() {
  setText(byId("telemetry-title"), chosen ? chosen.id : "All devices");
  byId("telemetry-all").hidden = !chosen;
  setText(
    byId("telemetry-note"),
    chosen ? `numbers in the last ${amount(messages.length, "message")} to ${chosen.hub}` : "messages per second, of the last 5 minutes",
  );
  const all = lines();
  if (isNews("legend", [chosen, all.map((line) => line.name), [...hidden]])) showLegend(all);
  showReadings(null, all);
  const drawn = all.map((line, style) => ({ ...line, style })).filter((line) => !hidden.has(line.name));
  drawChart({
    series: drawn,
    unit: chosen ? (drawn.length === 1 ? drawn[0].name : "value") : "messages / s",
    empty: chosen && messages.length ? "No numbers in its messages" : "No telemetry yet",
    zero: !chosen,
  });
  byId("chart").setAttribute("aria-label", described(drawn));
  if (isNews("messages", messages.slice(-SHOWN.messages))) showMessages();
}

/** The chart in words. */
function described(drawn) {
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

/** A button for each line, which leaves it out of the chart or brings it back. */
function showLegend(all) {
  const focused = [...byId("legend").children].indexOf(document.activeElement);
  const buttons = all.map((line, at) => {
    const key = draw("svg", { width: 18, height: 8, "aria-hidden": "true" });
    key.append(draw("line", { ...lineStyle(at), x1: 0, x2: 18, y1: 4, y2: 4, "stroke-width": 2.5 }));
    const name = element("span", { class: "name" }, line.name);
    const button = element("button", { type: "button", "aria-pressed": !hidden.has(line.name) }, key, name, element("b"));
    button.addEventListener("click", () => {
      if (!hidden.delete(line.name)) hidden.add(line.name);
      showTelemetry();
    });
    return button;
  });
  byId("legend").replaceChildren(...buttons);
  buttons[focused]?.focus();
}

/** The value of each line at a time, or its last one (null). */
function showReadings(at, all = lines()) {
  all.forEach(({ points }, index) => {
    const point = at === null ? points.at(-1) : points.findLast((one) => one[0] <= at);
    const value = byId("legend").children[index]?.querySelector("b");
    if (value) setText(value, point ? short(point[1]) : "–");
  });
}

function showMessages() {
  const rows = messages.slice(-SHOWN.messages).reverse().map((message) => {
    const what = element("span", { class: "what", title: message.body });
    if (!chosen) what.append(element("strong", {}, message.device));
    what.append(element("code", {}, message.body || "(empty)"));
    return element("li", {}, timeOf(message.at), what, element("span", { class: "size" }, sizeOf(message.size)));
  });
  if (!rows.length) rows.push(element("li", {}, element("span", { class: "size" }, "none yet")));
  byId("messages").replaceChildren(...rows);
}

// ---- Enrollments ----

const enrollments = pagedTable("enrollments", {
  total: () => totals.enrollments.group + totals.enrollments.individual,
  key: (enrollment) => JSON.stringify([enrollment.kind, enrollment.key]),
  after: (enrollment) => ({ afterKind: enrollment.kind, afterId: enrollment.key }),
  none: "No enrollments yet: make one with microdps enroll, or by the service API.",
  row({ id, kind, status, certificate, until, policy, hubs, deviceId }) {
    const where = hubs.length ? hubs.join(", ") : "all linked hubs";
    return element(
      "tr",
      { role: "row" },
      cell("cell", element("strong", {}, id), deviceId && deviceId !== id ? element("small", {}, `device ID ${deviceId}`) : ""),
      cell("cell", kind),
      cell("cell", tag(status)),
      cell("cell", certificate || "", until ? element("small", {}, `valid until ${until.slice(0, 10)}`) : ""),
      cell("cell", policy, element("small", {}, where)),
    );
  },
});

// ---- Requests ----

async function loadRequests() {
  const given = { after: requests[0]?.number ?? 0, limit: SHOWN.requests };
  if (byId("requests-errors").checked) given.errors = 1;
  await load("requests", "requests", given, (answer) => {
    requests = [...answer.requests, ...requests].slice(0, SHOWN.requests);
    byId("requests-empty").hidden = requests.length > 0;
    setText(byId("requests-empty"), given.errors ? "No errors." : "No requests yet.");
    fill(byId("requests-table").tBodies[0], requests.map((one) => [String(one.number), requestRow(one)]));
  });
}

function requestRow({ at, service, method, path, status, error, explanation }) {
  const told = cell("cell");
  if (error) told.append(element("strong", {}, error));
  if (explanation) {
    const { happened, check } = explanation;
    told.append(element("small", {}, `${happened[0].toUpperCase()}${happened.slice(1)}. Check ${check}.`));
  }
  const shown = element("span", { class: error ? "tag bad" : "tag good" }, status || "closed");
  return element(
    "tr",
    { role: "row" },
    cell("cell", timeOf(at)),
    cell("cell", service),
    cell("cell", element("code", {}, `${method} ${path}`.trim())),
    cell("cell", shown),
    told,
  );
}

byId("requests-errors").addEventListener("change", () => {
  requests = [];
  now(loadRequests());
});

// ---- Overview ----

let before = []; // when the totals were looked at, and how many messages there were

function showTotals() {
  const { group, individual } = totals.enrollments;
  const at = performance.now() / 1000;
  before = [...before, [at, totals.messages]].filter(([then]) => then > at - 6);
  const [then, count] = before[0];
  const rate = at > then ? (totals.messages - count) / (at - then) : 0;
  const { errors, hubs } = totals;
  const texts = {
    "total-devices": number.format(totals.devices),
    "note-devices": hubs.length === 1 ? "on 1 hub" : `on ${hubs.length} hubs`,
    "total-messages": number.format(totals.messages),
    "note-messages": `${rate > 0 && rate < 10 ? rate.toFixed(1) : Math.round(rate)} per second`,
    "total-enrollments": number.format(group + individual),
    "note-enrollments": `${number.format(group)} group, ${number.format(individual)} individual`,
    "total-requests": number.format(totals.requests),
    "note-requests": errors.of ? `${amount(errors.count, "error")} in the last ${number.format(errors.of)}` : "none yet",
    "id-scope": totals.idScope,
    "note-hubs": hubs.length === 1 ? `hub ${hubs[0]}` : `hubs ${hubs.join(", ")}`,
  };
  for (const [id, text] of Object.entries(texts)) setText(byId(id), text);
  byId("note-requests").classList.toggle("bad", errors.count > 0);
  byId("note-hubs").title = hubs.join(", ");
}

look();
