// Elements, and texts for people. Whatever a device has chosen (IDs, bodies, names of fields)
// becomes text, never HTML.

export const byId = (id) => document.getElementById(id);
export const number = new Intl.NumberFormat("en");
export const clock = new Intl.DateTimeFormat("en-GB", { timeStyle: "medium" });
const day = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short", year: "numeric" });

export function element(name, attributes = {}, ...children) {
  const created = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) created.setAttribute(key, value);
  created.append(...children);
  return created;
}

export function setText(target, text) {
  if (target.textContent !== text) target.textContent = text;
}

/** Announce a text to screen readers. */
export function announce(text) {
  setText(byId("spoken"), text);
}

/** A <time> element for seconds since 1970. */
export function timeOf(at) {
  const date = new Date(at * 1000);
  const today = date.toDateString() === new Date().toDateString();
  const text = today ? clock.format(date) : `${day.format(date)} ${clock.format(date)}`;
  return element("time", { datetime: date.toISOString(), title: date.toString() }, text);
}

export function sizeOf(bytes) {
  return bytes < 1024 ? `${bytes} B` : `${number.format(Math.round(bytes / 1024))} KB`;
}

/** A number of things, in words. */
export function amount(n, thing) {
  return `${number.format(n)} ${thing}${n === 1 ? "" : "s"}`;
}

export function cell(role, ...children) {
  return element("td", { role }, ...children);
}

/** A label for the state of a device or an enrollment. */
export function tag(state) {
  return element("span", { class: state === "enabled" ? "tag good" : "tag bad" }, state);
}

const shown = {}; // part of the page → the data that it shows, as JSON

/** Has a part's data changed since the last call? */
export function hasChanged(part, data) {
  const text = JSON.stringify(data);
  const changed = shown[part] !== text;
  shown[part] = text;
  return changed;
}
