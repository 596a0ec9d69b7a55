// The page asks the simulator once a second whether something has changed, and loads the changes.

import { ask, showConnection, showState } from "./connection.js";
import { devices } from "./devices.js";
import { enrollments } from "./enrollments.js";
import * as overview from "./overview.js";
import * as requests from "./requests.js";
import "./actions.js";
import "./tabs.js";
import * as telemetry from "./telemetry.js";

const EVERY_MS = 1000;

let instance = null; // of the simulator; it changes when the simulator restarts
let mark = null; // of the data that the page shows
let timer = null;
let updating = false;

async function update() {
  clearTimeout(timer);
  if (updating || document.hidden) return;
  updating = true;
  try {
    const now = await ask("overview");
    if (now.instance !== instance) restart(now.instance);
    const loading = [telemetry.loadRate()];
    if (now.mark !== mark) {
      loading.push(devices.load(), enrollments.load(), telemetry.loadMessages(), requests.loadRequests());
    }
    overview.showTotals(now);
    await Promise.all(loading);
    mark = now.mark;
    showConnection(true);
  } catch (error) {
    showConnection(false, error);
  }
  updating = false;
  clearTimeout(timer);
  if (!document.hidden) timer = setTimeout(update, EVERY_MS);
}

/** The simulator has restarted: load everything again. */
function restart(newInstance) {
  if (instance !== null) {
    devices.goToFirst();
    enrollments.goToFirst();
  }
  instance = newInstance;
  mark = null;
  telemetry.forget();
  requests.forget();
}

document.addEventListener("visibilitychange", () => {
  if (document.hidden) {
    clearTimeout(timer);
    showState("paused", "paused");
  } else {
    update();
  }
});

update();
