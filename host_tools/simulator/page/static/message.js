// One message in the list: its properties and its whole body, when it is opened.

import { ask, showErrorsOf } from "./connection.js";
import { element, sizeOf, timeOf } from "./dom.js";

const open = new Map(); // number of an open message → its details, once they are loaded

/** The list item of a message. withDevice: name its device. */
export function messageItem(message, withDevice) {
  const text = element("span", { class: "message", title: message.body });
  if (withDevice) text.append(element("strong", {}, message.device));
  text.append(element("code", {}, message.body || "(empty)"));
  const button = element("button", { type: "button", class: "row", "aria-expanded": open.has(message.number) });
  button.append(timeOf(message.at), text, element("span", { class: "size" }, sizeOf(message.size)));
  const item = element("li", { "data-number": message.number }, button);
  button.addEventListener("click", () => toggle(message, item, button));
  const details = open.get(message.number);
  if (details) item.append(details);
  return item;
}

function toggle(message, item, button) {
  const isOpen = open.has(message.number);
  button.setAttribute("aria-expanded", !isOpen);
  if (isOpen) {
    open.get(message.number)?.remove();
    open.delete(message.number);
  } else {
    open.set(message.number, null);
    showErrorsOf(load(message, item));
  }
}

async function load(message, item) {
  const parameters = { after: message.number - 1, limit: 1, oldest: 1, whole: 1 };
  const answer = await ask("messages", { ...parameters, hub: message.hub, device: message.device });
  const [found] = answer.messages.filter(({ number }) => number === message.number);
  if (!open.has(message.number)) return;
  const details = found ? describe(found) : element("p", { class: "note" }, "This message is not kept any more.");
  open.set(message.number, details);
  const list = item.isConnected ? item : document.querySelector(`#messages [data-number="${message.number}"]`);
  list?.append(details);
}

/** The properties and the whole body. */
function describe({ properties, whole, base64 }) {
  const box = element("div", { class: "details" });
  const list = element("dl");
  for (const [name, value] of Object.entries(properties)) {
    list.append(element("dt", {}, name), element("dd", {}, value));
  }
  if (list.children.length) box.append(list);
  box.append(element("pre", {}, whole || "(empty)"));
  if (base64) box.append(element("p", { class: "note" }, "not UTF-8; in base64:"), element("pre", {}, base64));
  return box;
}

/** Forget which messages are open: another device is shown. */
export function closeAll() {
  open.clear();
}
