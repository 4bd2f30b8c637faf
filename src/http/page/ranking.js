// The table: rows are kept by item, change in place, and move to their new rank.

import { bandOf, between, number, put, share } from "./format.js";
import { Row } from "./row.js";

const MOVE = { duration: 450, easing: "cubic-bezier(.2, .7, .2, 1)" };
/** Beyond the edges of what is in sight, for rows that come in. */
const ROOM = 100;
const still = matchMedia("(prefers-reduced-motion: reduce)");

/** The body of a ranking's table. */
export class Ranking {
  #rows = new Map();
  #order = [];
  #cut = cutRow();
  #other = otherRow();
  #body;

  /** `onItem(id)` is told which row was clicked. */
  constructor(body, onItem) {
    this.#body = body;
    body.addEventListener("click", (event) => {
      const id = event.target.closest("tr")?.dataset.item;
      // Who marks a text in a row does not click it.
      if (id !== undefined && getSelection().isCollapsed) onItem(id);
    });
  }

  /** Puts the focus on an item's row, where it is shown. */
  focus(id) {
    this.#rows.get(id)?.button.focus();
  }

  clear() {
    this.#rows.clear();
    this.#order = [];
    this.#body.replaceChildren();
  }

  get isEmpty() {
    return this.#order.length === 0;
  }

  /** Shows the first `k` of a snapshot. `history` draws the lines; `null` for the past, which has no changes either. */
  show(snapshot, k, history) {
    const { items } = snapshot;
    const most = Math.max(1, ...items.map((item) => bandOf(item)[1]));
    const order = items.map((item) => item.item_id);
    const moved = order.length !== this.#order.length || order.some((id, at) => id !== this.#order[at]);
    const before = moved && !still.matches ? this.#places() : new Map();
    for (const item of items) {
      const row = this.#rows.get(item.item_id) ?? this.#add(item.item_id);
      row.show(history ? item : { ...item, change: undefined }, most);
      row.draw(history?.points(item.item_id) ?? "");
    }
    if (moved) this.#arrange(order);
    this.#showCut(snapshot, k);
    this.#showOther(snapshot);
    if (before.size) this.#move(before);
  }

  #add(id) {
    const row = new Row(id);
    this.#rows.set(id, row);
    return row;
  }

  /** Where each row is seen now, in the middle of a move too. */
  #places() {
    return new Map(this.#order.map((id) => [id, topOf(this.#rows.get(id))]));
  }

  #arrange(order) {
    const wanted = new Set(order);
    for (const [id, row] of this.#rows) {
      if (wanted.has(id)) continue;
      row.element.remove();
      this.#rows.delete(id);
    }
    this.#cut.remove();
    this.#other.remove();
    let at = this.#body.firstElementChild;
    for (const id of order) {
      const { element } = this.#rows.get(id);
      if (element === at) at = at.nextElementSibling;
      else place(this.#body, element, at);
    }
    this.#order = order;
  }

  /** The line under the last row that is certainly among the first K; none where all are, or it says nothing. */
  #showCut({ guaranteed, items }, k) {
    if (guaranteed >= items.length) {
      this.#cut.remove();
      return;
    }
    const text = guaranteed === 0
      ? "Which items are the top " + k + " is not certain yet"
      : "Above: certainly in the top " + k + ". Below: close to others, may not be";
    this.#cut.firstElementChild.firstElementChild.textContent = text;
    const next = this.#rows.get(items[guaranteed].item_id).element;
    if (this.#cut.nextElementSibling !== next) this.#body.insertBefore(this.#cut, next);
  }

  /** The last row: what all items have together that have no row. */
  #showOther({ other, items, total }) {
    if (!other?.count || items.length === 0) {
      this.#other.remove();
      return;
    }
    const [, part, count] = this.#other.children;
    put(part, share(other.count, total) + " of all");
    put(count, number(other.count));
    count.title = between(other);
    if (this.#body.lastElementChild !== this.#other) this.#body.append(this.#other);
  }

  /** Lets each row that is in sight glide from where it was seen to where it belongs now. */
  #move(before) {
    const rows = this.#order.map((id) => this.#rows.get(id));
    for (const row of rows) row.stop();
    const tops = rows.map(topOf);
    const inSight = (top) => -ROOM < top && top < innerHeight + ROOM;
    for (const [at, row] of rows.entries()) {
      const seen = before.get(this.#order[at]);
      if (inSight(tops[at]) || inSight(seen)) row.glide(seen === undefined ? null : seen - tops[at], MOVE);
    }
  }
}

const topOf = (row) => row.element.getBoundingClientRect().top;

/** Keeps the focus of what is moved, in browsers that can. */
function place(body, element, before) {
  if (body.moveBefore && element.parentNode === body) body.moveBefore(element, before);
  else body.insertBefore(element, before);
}

function otherRow() {
  const row = document.createElement("tr");
  row.className = "other";
  row.setAttribute("role", "row");
  for (const [name, role] of [["item", "rowheader"], ["bar", "cell"], ["count", "cell"]]) {
    const cell = document.createElement(role === "cell" ? "td" : "th");
    cell.className = name;
    cell.setAttribute("role", role);
    row.append(cell);
  }
  row.firstElementChild.scope = "row";
  row.firstElementChild.textContent = "All others";
  return row;
}

function cutRow() {
  const row = document.createElement("tr");
  row.className = "cut";
  row.setAttribute("role", "row");
  const cell = document.createElement("td");
  cell.setAttribute("role", "cell");
  cell.append(document.createElement("span"));
  row.append(cell);
  return row;
}
