// What rises: the items that have grown most against the window before, or the same one a day or a week earlier.

import { ask } from "./api.js";
import { risingPath, write } from "./choice.js";
import { interval, number, put } from "./format.js";
import { named, plain } from "./names.js";

const byId = (id) => document.getElementById(id);
/** What is final changes with each slide at most. */
const ASK_AGAIN_MS = 5000;
const surges = new Intl.NumberFormat("en", { maximumFractionDigits: 1 });
const rises = new Intl.NumberFormat("en", { signDisplay: "exceptZero" });
const surge = (value) => surges.format(value);
const risen = (value) => rises.format(value);

/** The section of what rises. */
export class Rising {
  #asked = new AbortController();
  #path = null;
  #choice = null;
  #kept = false;

  constructor() {
    setInterval(() => this.#again(), ASK_AGAIN_MS);
  }

  /** Whether a past is kept, without which there is nothing to compare with. */
  keep(past) {
    if (this.#kept === (past !== null)) return;
    this.#kept = past !== null;
    byId("rises").hidden = !this.#kept;
    if (this.#choice) this.show(this.#choice);
  }

  /** What is chosen. */
  show(choice) {
    this.#choice = choice;
    const path = choice.rise && this.#kept && !choice.item && !choice.view ? risingPath(choice) : null;
    byId("rising").hidden = path === null;
    if (path === this.#path) return;
    this.#path = path;
    this.#asked.abort();
    this.#asked = new AbortController();
    if (path === null) return;
    byId("rising-table").setAttribute("aria-busy", "true");
    void this.#ask(path, this.#asked.signal);
  }

  #again() {
    const live = this.#path !== null && !this.#choice.past && document.visibilityState === "visible";
    if (live) void this.#ask(this.#path, this.#asked.signal);
  }

  async #ask(path, signal) {
    try {
      const rising = await ask(path, signal);
      if (!signal.aborted) this.#draw(rising);
    } catch (error) {
      if (signal.aborted) return;
      byId("rising-table").hidden = true;
      const early = error.kept !== undefined;
      put(byId("rising-about"), early ? "Too little is kept to compare with: " + error.message : error.message);
    }
  }

  #draw(rising) {
    const { items, guaranteed, missing } = rising;
    const times = interval(rising.window_start, rising.window_end) + " against "
      + interval(rising.before_start, rising.before_end);
    const certain = items.length === 0 ? "nothing has risen"
      : guaranteed === items.length ? "all certainly in the top " + items.length
      : guaranteed === 0 ? "none certainly in the top " + items.length + " yet"
      : "the first " + guaranteed + " certainly in the top " + items.length;
    const without = missing ? ", without " + missing.join(", ") : "";
    put(byId("rising-about"), times + ": " + certain + without + ".");
    const table = byId("rising-table");
    table.hidden = items.length === 0;
    table.removeAttribute("aria-busy");
    table.tBodies[0].replaceChildren(...items.map((item) => this.#row(item)));
  }

  #row(item) {
    const row = document.createElement("tr");
    const cell = (text, kind = "td") => {
      const made = document.createElement(kind);
      made.textContent = text;
      row.append(made);
      return made;
    };
    cell(String(item.rank));
    const head = cell("", "th");
    head.scope = "row";
    const link = document.createElement("a");
    link.href = write({ ...this.#choice, item: item.item_id });
    link.title = plain(item.item_id);
    link.append(named(item.item_id));
    head.append(link);
    cell(bounded(item.rise_lower, item.rise, risen));
    cell(bounded(item.before_lower, item.before, number));
    cell(bounded(item.lower, item.upper, number));
    cell(bounded(item.surge_lower, item.surge, surge));
    return row;
  }
}

/** `12`, or `9 to 12` where it is not exact. */
function bounded(lower, upper, format) {
  const [least, most] = [format(lower), format(upper)];
  return least === most ? most : least + " to " + most;
}
