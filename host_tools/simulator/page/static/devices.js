// The table of devices. A click or a key on a row shows the device's telemetry.

import { byId, cell, element, number, tag, timeOf } from "./dom.js";
import { totalDevices } from "./overview.js";
import { PagedTable } from "./table.js";
import * as telemetry from "./telemetry.js";

const bySilence = () => byId("devices-sort").checked;

export const devices = new PagedTable("devices", {
  size: 20,
  total: totalDevices,
  key: (device) => JSON.stringify([device.hub, device.id]),
  after: ({ id, hub, heard }) => ({ afterId: id, afterHub: hub, ...(bySilence() && { afterHeard: heard ?? 0 }) }),
  more: () => (bySilence() ? { sort: "silent" } : {}),
  none: "No devices yet: a device is here once DPS has assigned it to a hub.",
  row: deviceRow,
});

function deviceRow(device, all) {
  // The table is one stop of the Tab key. The arrow keys move inside it.
  const stop = all.find(telemetry.isChosen) ?? all[0];
  const about = device.registrationId ? `${device.hub} · ${device.registrationId}` : device.hub;
  const { last } = device;
  const row = element(
    "tr",
    { role: "row", "aria-selected": telemetry.isChosen(device), tabindex: device === stop ? 0 : -1 },
    cell("gridcell", element("strong", { title: device.id }, device.id), element("small", { title: about }, about)),
    cell("gridcell", tag(device.status), device.connected ? element("small", {}, "by MQTT") : ""),
    cell("gridcell", number.format(device.messages)),
    last
      ? cell("gridcell", element("code", { title: last.body }, last.body || "(empty)"), element("small", {}, timeOf(last.at)), device.silent ? element("small", { class: "bad" }, "silent") : "")
      : cell("gridcell", element("small", {}, "none yet")),
  );
  row.cells[2].className = "number";
  return row;
}

/** Show the telemetry of a device, or of all (null). */
function choose(device) {
  if (telemetry.choose(device)) devices.fillRows();
}

/** Choose the device of a row. */
function chooseRow(row) {
  choose(devices.items[row.sectionRowIndex]);
  row.focus();
}

devices.body.addEventListener("click", (event) => {
  const row = event.target.closest("tr");
  if (!row) return;
  chooseRow(row);
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
  if (rows[moves[event.key]]) chooseRow(rows[moves[event.key]]);
});

document.addEventListener("keydown", (event) => {
  if (event.key === "Escape" && event.target.tagName !== "INPUT") choose(null);
});

byId("devices-sort").addEventListener("change", () => devices.restart());

byId("telemetry-all").addEventListener("click", () => {
  choose(null);
  (devices.body.rows[0] ?? byId("devices-search")).focus();
});
