// Tables that update without losing the focus, and that show one page of many rows.

import { load, showErrorsOf } from "./connection.js";
import { announce, byId, element, hasChanged, number, setText } from "./dom.js";

const TYPING_MS = 200; // a search begins this long after the last key

/** Put rows, [key, row] each, into the body of a table. Rows with the same key stay, and so does the focus. */
export function fill(body, rows) {
  const present = new Map([...body.rows].map((row) => [row.dataset.key, row]));
  const order = rows.map(([key, fresh]) => {
    const old = present.get(key);
    if (!old) {
      fresh.dataset.key = key;
      return fresh;
    }
    for (const name of ["aria-selected", "tabindex"]) {
      if (fresh.hasAttribute(name)) old.setAttribute(name, fresh.getAttribute(name));
    }
    [...fresh.cells].forEach((cell, at) => {
      if (!old.cells[at].isEqualNode(cell)) old.cells[at].replaceWith(cell);
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
 * A table that shows one page of rows, with a search.
 *   name   of the call of the API, and of the elements
 *   size   rows in a page
 *   total  a function that returns how many rows there are
 *   key    item → a key that identifies it
 *   after  item → the parameters for the page after it
 *   row    item, all items of the page → its row in the table
 *   none   the text if there are no items
 *   more   a function that returns other parameters of the call
 */
export class PagedTable {
  #options;
  #search;
  #pager;
  #position = element("span");
  #buttons = {};
  #starts = [{}]; // for each page up to this one: its parameters
  #typing = null;

  constructor(name, options) {
    this.name = name;
    this.#options = options;
    this.items = [];
    this.body = byId(`${name}-table`).tBodies[0];
    this.#search = byId(`${name}-search`);
    this.#pager = byId(`${name}-pager`);
    this.#pager.append(this.#position);
    for (const text of ["First", "Previous", "Next"]) {
      const button = element("button", { type: "button" }, text);
      button.addEventListener("click", () => this.#turn(button));
      this.#buttons[text] = button;
      this.#pager.append(button);
    }
    this.#search.addEventListener("input", () => {
      clearTimeout(this.#typing);
      this.#typing = setTimeout(() => {
        this.goToFirst();
        this.#go();
      }, TYPING_MS);
    });
  }

  /** Load the current page again. */
  async load() {
    const parameters = { ...this.#starts.at(-1), limit: this.#options.size };
    Object.assign(parameters, this.#options.more?.());
    if (this.#search.value) parameters.search = this.#search.value;
    await load(this.name, this.name, parameters, (answer) => this.#show(answer));
  }

  /** Go to the first page. It is shown after the next load(). */
  goToFirst() {
    this.#starts = [{}];
  }

  /** Load the first page, with other parameters. */
  restart() {
    this.goToFirst();
    this.#go();
  }

  /** Build all rows again. */
  fillRows() {
    const { key, row } = this.#options;
    fill(this.body, this.items.map((item) => [key(item), row(item, this.items)]));
  }

  /** Turn to another page. */
  #turn(button) {
    if (button.getAttribute("aria-disabled") === "true") return;
    if (button === this.#buttons.First) this.goToFirst();
    else if (button === this.#buttons.Previous) this.#starts.pop();
    else this.#starts.push(this.#options.after(this.items.at(-1)));
    this.#go();
  }

  async #go() {
    await showErrorsOf(this.load());
    announce(`${this.name}: ${this.#position.textContent}`);
  }

  #show(answer) {
    const { none } = this.#options;
    this.items = answer[this.name];
    const isFirst = this.#starts.length === 1;
    setText(this.#position, this.#describe(answer.more));
    this.#pager.hidden = isFirst && !answer.more && !this.#search.value;
    // Not "disabled": a disabled button would lose the focus.
    this.#buttons.First.setAttribute("aria-disabled", isFirst);
    this.#buttons.Previous.setAttribute("aria-disabled", isFirst);
    this.#buttons.Next.setAttribute("aria-disabled", !answer.more);
    const empty = byId(`${this.name}-empty`);
    empty.hidden = this.items.length > 0;
    setText(empty, this.#search.value ? `No ${this.name} match.` : none);
    if (hasChanged(this.name, this.items)) this.fillRows();
  }

  /** The position of the page, in words. */
  #describe(more) {
    const { size, total } = this.#options;
    if (!this.items.length) return "none";
    const from = (this.#starts.length - 1) * size + 1;
    const range = `${number.format(from)}–${number.format(from + this.items.length - 1)}`;
    if (!this.#search.value) return `${range} of ${number.format(total())}`;
    return more ? `${range} that match; there are more` : `${range} that match`;
  }
}
