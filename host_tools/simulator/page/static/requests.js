// The last requests, with their errors explained.

import { load, showErrorsOf } from "./connection.js";
import { byId, cell, element, setText, timeOf } from "./dom.js";
import { fill } from "./table.js";

const LISTED = 50;

let requests = []; // the newest first

/** Load the requests that are new. */
export async function loadRequests() {
  const parameters = { after: requests[0]?.number ?? 0, limit: LISTED };
  if (byId("requests-errors").checked) parameters.errors = 1;
  await load("requests", "requests", parameters, (answer) => {
    requests = [...answer.requests, ...requests].slice(0, LISTED);
    byId("requests-empty").hidden = requests.length > 0;
    setText(byId("requests-empty"), parameters.errors ? "No errors." : "No requests yet.");
    fill(byId("requests-table").tBodies[0], requests.map((one) => [String(one.number), requestRow(one)]));
  });
}

/** Forget all requests: the simulator has restarted. */
export function forget() {
  requests = [];
}

function requestRow({ at, service, method, path, status, error, explanation }) {
  const text = cell("cell");
  if (error) text.append(element("strong", {}, error));
  if (explanation) {
    const { happened, check } = explanation;
    text.append(element("small", {}, `${happened[0].toUpperCase()}${happened.slice(1)}. Check ${check}.`));
  }
  const label = element("span", { class: error ? "tag bad" : "tag good" }, status || "closed");
  return element(
    "tr",
    { role: "row" },
    cell("cell", timeOf(at)),
    cell("cell", service),
    cell("cell", element("code", {}, `${method} ${path}`.trim())),
    cell("cell", label),
    text,
  );
}

byId("requests-errors").addEventListener("change", () => {
  requests = [];
  showErrorsOf(loadRequests());
});
