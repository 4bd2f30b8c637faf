// One item: its count and how sure it is, the ranks that it can have, what each group has of it, and its history.

import { ask } from "./api.js";
import { Chart, columnsOf } from "./chart.js";
import { itemPath } from "./choice.js";
import { putRows } from "./dom.js";
import { between, interval, number, put, share } from "./format.js";
import { plain, putName } from "./names.js";

const byId = (id) => document.getElementById(id);
/** How often what is live is asked for again, while somebody looks. */
const ASK_AGAIN_MS = 5000;
/** Its history and its groups change slowly, and cost more. */
const ASK_MORE_MS = 30_000;
const MOST_GROUPS = 8;

/** The section of one item. */
export class ItemView {
  #chart = new Chart(byId("item-figure"), (at) => this.#read(at));
  #asked = new AbortController();
  #key = null;
  #choice = null;
  #kept = false;
  #askedMore = 0;
  #line = [];
  /** Whether the counts of items add up to a total. */
  #ofTotal = true;

  constructor(onBack) {
    byId("item-back").addEventListener("click", onBack);
    document.addEventListener("keydown", ({ key }) => {
      if (key === "Escape" && this.#key !== null && !document.querySelector("dialog[open]")) onBack();
    });
    setInterval(() => this.#again(), ASK_AGAIN_MS);
  }

  /** Whether a past is kept, without which there is no history. */
  keep(past) {
    const came = !this.#kept && past !== null;
    this.#kept = past !== null;
    if (came && this.#key !== null) void this.#askMore(this.#choice, this.#asked.signal);
  }

  /** What is chosen. */
  show(choice) {
    const key = choice.item && !choice.view ? itemPath(choice, {}) : null;
    const opened = key !== null && this.#key === null;
    this.#choice = choice;
    byId("item-view").hidden = key === null;
    if (key === this.#key) return;
    this.#key = key;
    this.#asked.abort();
    this.#asked = new AbortController();
    if (key === null) return;
    this.#clear(choice.item);
    if (opened) byId("item-id").focus();
    void this.#ask(choice, this.#asked.signal);
    void this.#askMore(choice, this.#asked.signal);
  }

  #clear(id) {
    putName(byId("item-id"), id);
    for (const part of ["item-count", "item-rank", "item-share", "item-when"]) put(byId(part), "…");
    for (const part of ["item-bounds", "item-note", "item-about"]) put(byId(part), "");
    byId("item-figure").hidden = byId("item-groups").hidden = true;
  }

  #again() {
    if (this.#key === null || this.#choice.past || document.visibilityState !== "visible") return;
    void this.#ask(this.#choice, this.#asked.signal);
    if (performance.now() - this.#askedMore > ASK_MORE_MS) void this.#askMore(this.#choice, this.#asked.signal);
  }

  async #ask(choice, signal) {
    try {
      const item = await ask(itemPath(choice, {}), signal);
      if (!signal.aborted) this.#tell(item);
    } catch (error) {
      if (!signal.aborted) put(byId("item-note"), error.message);
    }
  }

  #tell(item) {
    put(byId("item-count"), number(item.count));
    put(byId("item-bounds"), item.withheld ? "not told" : item.upper === 0 ? "certainly none" : between(item));
    put(byId("item-rank"), ranksOf(item));
    put(byId("item-share"), item.upper === 0 || !addsUp(item) ? "–" : shareOf(item));
    put(byId("item-when"), interval(item.window_start, item.window_end));
    put(byId("item-note"), noteOf(item));
  }

  /** Its history, and what each group has of it. */
  async #askMore(choice, signal) {
    this.#askedMore = performance.now();
    if (this.#kept) await this.#askHistory(choice, signal);
    else put(byId("item-about"), "Its history is shown where a state is kept.");
    const grouped = choice.board.by.length > 0 && Object.keys(choice.group).length === 0;
    if (grouped && !signal.aborted) await this.#askGroups(choice, signal);
  }

  async #askHistory(choice, signal) {
    try {
      const item = await ask(itemPath(choice, { step: "auto" }), signal);
      if (!signal.aborted) this.#draw(item);
    } catch (error) {
      if (!signal.aborted) put(byId("item-about"), error.message);
    }
  }

  #draw(item) {
    const columns = columnsOf(item, [item.item_id]);
    [this.#line] = columns.lines;
    this.#ofTotal = addsUp(item);
    byId("item-figure").hidden = this.#line.length === 0;
    const when = interval(item.window_start, item.window_end);
    put(byId("item-about"), when);
    this.#chart.show(columns, "Its counts, " + when + ". The slider below reads them.");
  }

  #read(at) {
    const point = this.#line[at];
    put(byId("item-read"), point ? between(point) + (this.#ofTotal ? " of " + number(point.total) : "") : "");
  }

  async #askGroups(choice, signal) {
    try {
      const { groups } = await ask("boards/" + encodeURIComponent(choice.board.name), signal);
      const rows = [];
      for (const group of groups.slice(0, MOST_GROUPS)) {
        const item = await ask(itemPath({ ...choice, group }, {}), signal).catch(() => null);
        signal.throwIfAborted();
        if (item) rows.push([plain(Object.values(group).join(", ")), number(item.count), between(item), ranksOf(item)]);
      }
      byId("item-groups").hidden = rows.length === 0;
      putRows(byId("item-groups"), rows);
    } catch (error) {
      if (!signal.aborted) byId("item-groups").hidden = true;
    }
  }
}

/** `7`, `7 to 9`; beyond a thousand ranks nothing is said by their number. */
function ranksOf({ rank }) {
  if (rank === null) return "–";
  if (rank.best === rank.worst) return number(rank.best);
  return rank.worst - rank.best > 1000 ? number(rank.best) + " or worse" : number(rank.best) + " to " + number(rank.worst);
}

/** Whether the counts of items add up to the total: items share different values, and may have less than nothing left. */
const addsUp = (item) => !item.distinct && !item.retracts;

function shareOf({ lower, upper, total }) {
  const [least, most] = [share(lower, total), share(Math.min(upper, total), total)];
  return least === most ? most : least + " to " + most;
}

function noteOf(item) {
  const notes = [];
  if (item.blocked) notes.push("It is blocked: rankings leave it out.");
  if (item.withheld) notes.push("What it has is not told, since it may be of too few.");
  else if (!item.listed && item.upper > 0) notes.push("It is not counted on its own: it has at most what any such item can have.");
  if (item.partial) notes.push("Some of this time was not counted" + (item.missing ? ": " + item.missing.join(", ") : "") + ".");
  if (!item.final) notes.push("Counted up to now: events on their way can join.");
  if (item.stale) notes.push("The server has not been able to renew this.");
  return notes.join(" ");
}
