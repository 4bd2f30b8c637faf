// The chart of the top ten: of the last hour or day, or of the past that is looked at.

import { ask } from "./api.js";
import { Chart, columnsOf } from "./chart.js";
import { seriesPath, write } from "./choice.js";
import { between, interval, number, put } from "./format.js";
import { named, plain } from "./names.js";

const byId = (id) => document.getElementById(id);
/** A live chart is asked for again, while somebody looks. */
const ASK_AGAIN_MS = 30_000;

/** The section of the chart. */
export class Trend {
  #chart = new Chart(byId("trend-figure"), (at) => this.#read(at));
  #asked = new AbortController();
  #path = null;
  #choice = null;
  #kept = false;
  #columns = { times: [], lines: [] };
  #values = [];

  constructor() {
    setInterval(() => this.#again(), ASK_AGAIN_MS);
  }

  /** Whether a past is kept, without which there is no chart. */
  keep(past) {
    if (this.#kept === (past !== null)) return;
    this.#kept = past !== null;
    byId("charts").hidden = !this.#kept;
    if (this.#choice) this.show(this.#choice);
  }

  /** What is chosen. */
  show(choice) {
    this.#choice = choice;
    const path = choice.chart && this.#kept && !choice.item && !choice.view ? seriesPath(choice) : null;
    byId("trend").hidden = path === null;
    if (path === this.#path) return;
    this.#path = path;
    this.#asked.abort();
    this.#asked = new AbortController();
    if (path !== null) void this.#ask(path, this.#asked.signal);
  }

  #again() {
    const live = this.#path !== null && !this.#choice.past && document.visibilityState === "visible";
    if (live) void this.#ask(this.#path, this.#asked.signal);
  }

  async #ask(path, signal) {
    try {
      const series = await ask(path, signal);
      if (!signal.aborted) this.#draw(series);
    } catch (error) {
      if (signal.aborted) return;
      byId("trend-figure").hidden = true;
      put(byId("trend-about"), error.message);
    }
  }

  #draw(series) {
    const ids = series.items.map((item) => item.item_id);
    const when = interval(series.window_start, series.window_end);
    byId("trend-figure").hidden = ids.length === 0;
    put(byId("trend-about"), ids.length === 0 ? "Nothing was counted in this time." : when);
    this.#columns = columnsOf(series, ids);
    this.#legend(ids);
    const label = "The counts of the top " + ids.length + " items, " + when + ". The list below reads them.";
    this.#chart.show(this.#columns, label);
  }

  /** The names of the lines, each a link to its item. */
  #legend(ids) {
    this.#values = [];
    const entries = ids.map((id, at) => {
      const entry = document.createElement("li");
      const link = document.createElement("a");
      link.href = write({ ...this.#choice, item: id });
      link.dataset.kind = String(at % 10);
      link.title = plain(id);
      link.append(named(id));
      const value = document.createElement("span");
      this.#values.push(value);
      entry.append(link, value);
      for (const [event, line] of [["mouseenter", at], ["focusin", at], ["mouseleave", null], ["focusout", null]]) {
        entry.addEventListener(event, () => this.#chart.point(line));
      }
      return entry;
    });
    byId("trend-legend").replaceChildren(...entries);
  }

  #read(at) {
    for (const [line, value] of this.#values.entries()) {
      const point = this.#columns.lines[line][at];
      put(value, point ? number(point.count) + (point.exact ? "" : ", ≥ " + number(point.lower)) : "");
      value.title = point ? between(point) : "";
    }
  }
}
