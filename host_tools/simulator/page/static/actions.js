// Actions: disable a device, send it a message, play faults. The admin calls do them.

import { showErrorsOf, tell } from "./connection.js";
import { announce, byId, element, hasChanged, setText } from "./dom.js";

let device = null; // of the actions

/** Show the actions for a device, or none (null). */
export function showActions(shown) {
  device = shown;
  byId("actions").hidden = !device;
  if (!device) return;
  setText(byId("actions-status"), device.status === "disabled" ? "Enable this device" : "Disable this device");
}

/** Do something, and say how it went. */
async function act(target, what, done) {
  try {
    const answer = await what();
    say(target, done(answer));
  } catch (error) {
    say(target, error.message);
  }
}

function say(target, text) {
  setText(byId(target), text);
  announce(text);
}

byId("actions-status").addEventListener("click", () => {
  const status = device.status === "disabled" ? "enabled" : "disabled";
  const { id, hub } = device;
  act(
    "actions-result",
    () => tell("POST", "devices", { deviceId: id, hub, status }),
    () => {
      showActions({ ...device, status });
      return `${id} is ${status}.`;
    },
  );
});

byId("actions-message").addEventListener("submit", (event) => {
  event.preventDefault();
  const { id, hub } = device;
  const properties = {};
  for (const pair of byId("actions-properties").value.split("&").filter(Boolean)) {
    const [name, ...value] = pair.split("=");
    properties[name.trim()] = value.join("=").trim();
  }
  act(
    "actions-result",
    () => tell("POST", "devicebound", { deviceId: id, hub, body: byId("actions-body").value, properties }),
    ({ waiting }) => (waiting ? `Sent: ${waiting} waiting for ${id}.` : `Sent to ${id}.`),
  );
});

/** Load the faults that are switched on. */
export async function loadFaults() {
  showFaults(await tell("GET", "faults"));
}

function showFaults(faults) {
  if (!hasChanged("faults", faults)) return;
  const rows = faults.map(({ fault, times }) =>
    element("li", {}, element("code", {}, fault), element("span", { class: "size" }, `${times} times`)),
  );
  byId("faults-list").replaceChildren(...rows);
  setText(byId("faults-count"), faults.length ? `${faults.length} switched on` : "none");
}

byId("faults-add").addEventListener("submit", (event) => {
  event.preventDefault();
  act(
    "faults-result",
    () => tell("POST", "faults", { fault: byId("faults-text").value }),
    (faults) => {
      showFaults(faults);
      byId("faults-text").value = "";
      return "The fault is switched on.";
    },
  );
});

byId("faults-clear").addEventListener("click", () => {
  act(
    "faults-result",
    () => tell("DELETE", "faults"),
    () => {
      showFaults([]);
      return "All faults are switched off.";
    },
  );
});

byId("faults").addEventListener("toggle", () => {
  if (byId("faults").open) showErrorsOf(loadFaults());
});
