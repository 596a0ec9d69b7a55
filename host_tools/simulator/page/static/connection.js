// The connection to the simulator: calls of its API, and the display of its state.

import { announce, byId, setText } from "./dom.js";

const TIMEOUT_MS = 5000;

/** The simulator answered with an error status. */
class ErrorAnswer extends Error {}

/** Make a call of the API → its JSON. parameters: of the query. */
export async function ask(call, parameters = {}) {
  const query = new URLSearchParams(parameters).toString();
  const answer = await fetch(`api/${call}${query && `?${query}`}`, {
    cache: "no-cache", // the browser revalidates the last answer by its ETag
    signal: AbortSignal.timeout(TIMEOUT_MS),
  });
  if (!answer.ok) throw new ErrorAnswer(`The simulator answers ${call} with the error ${answer.status}`);
  return answer.json();
}

/** Make an admin call → its JSON. Throws an Error with the simulator's own words. */
export async function tell(method, call, body) {
  const answer = await fetch(`admin/${call}`, {
    method,
    headers: body ? { "Content-Type": "application/json" } : {},
    body: body && JSON.stringify(body),
    signal: AbortSignal.timeout(TIMEOUT_MS),
  });
  const value = await answer.json();
  if (!answer.ok) throw new ErrorAnswer(value.error);
  return value;
}

const calls = {}; // part of the page → how many calls it has made

/** Make a call for a part of the page. If the part makes another one meanwhile, only that one counts. */
export async function load(part, call, parameters, show) {
  const turn = (calls[part] = (calls[part] ?? 0) + 1);
  const answer = await ask(call, parameters);
  if (turn === calls[part]) show(answer);
}

/** Wait for calls that the user has caused, and show an error. */
export async function showErrorsOf(promise) {
  try {
    await promise;
  } catch (error) {
    showConnection(false, error);
  }
}

/** Show whether the simulator can be reached. */
export function showConnection(reached, error) {
  const trouble = byId("trouble");
  const wasLost = !trouble.hidden;
  trouble.hidden = reached;
  document.body.toggleAttribute("data-lost", !reached);
  showState(reached ? "live" : "lost", reached ? "live" : "not reachable");
  if (!reached) {
    setText(
      trouble,
      error instanceof ErrorAnswer
        ? `${error.message}. Trying again every second.`
        : "The simulator cannot be reached: this is its last known state. Trying again every second.",
    );
    if (![ErrorAnswer, TypeError, DOMException].some((kind) => error instanceof kind)) console.error(error);
  } else if (wasLost) {
    announce("The simulator is reachable again.");
  }
}

export function showState(state, text) {
  byId("live").dataset.state = state;
  setText(byId("live"), text);
}
