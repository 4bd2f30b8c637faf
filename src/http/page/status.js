// How the job is doing: whether it is ready, what became of its events, its partitions, its state, and its receivers.

import { ask, call } from "./api.js";
import { make, putRows, told } from "./dom.js";
import { lag, number, put, rate, time } from "./format.js";
import { plain } from "./names.js";
import { losses, reasonOf } from "./reasons.js";

const byId = (id) => document.getElementById(id);
const ASK_AGAIN_MS = 2000;
const WAITS = {
  waiting: "nothing comes of it, and it is not known to be read to its end",
  reading: "what is read of it is not counted, or is no newer",
  silent: "it is read to its end, and not idle yet",
  behind: "it moves, and its events are much older than those of another partition",
};

/** The section of the status. */
export class StatusView {
  #asked = new AbortController();
  #open = false;
  /** Whether anything was shown before: a page that opens leaves the focus where it is. */
  #shown = false;

  constructor(onBack) {
    byId("status-back").addEventListener("click", onBack);
    document.addEventListener("keydown", ({ key }) => {
      if (key === "Escape" && this.#open && !document.querySelector("dialog[open], details[open]")) onBack();
    });
    setInterval(() => this.#open && document.visibilityState === "visible" && void this.#ask(), ASK_AGAIN_MS);
  }

  /** What is chosen. */
  show(choice) {
    const open = choice.view === "status";
    const opened = open && this.#shown;
    this.#shown = true;
    byId("status-view").hidden = !open;
    if (open) byId("status-link").setAttribute("aria-current", "page");
    else byId("status-link").removeAttribute("aria-current");
    if (open === this.#open) return;
    this.#open = open;
    this.#asked.abort();
    this.#asked = new AbortController();
    if (!open) return;
    if (opened) byId("status-title").focus();
    void this.#ask();
  }

  async #ask() {
    const { signal } = this.#asked;
    try {
      const status = await ask("status", signal);
      const checked = await call("readyz", signal).then((response) => response.json());
      if (!signal.aborted) draw(status, checked);
    } catch (error) {
      if (!signal.aborted) put(byId("status-when"), "It cannot be asked for just now: " + error.message);
    }
  }
}

function draw(status, { ready, checks }) {
  put(byId("status-when"), "At " + time(status.now) + ". Counts are since the start, " + lag(status.uptime_seconds) + " before.");
  byId("status-ready").dataset.well = String(ready);
  put(byId("status-ready"), ready ? "Ready" : "Not ready");
  putRows(byId("status-checks"), Object.entries(checks).map(checkRow));
  drawEvents(status);
  drawPartitions(status);
  putRows(byId("status-state"), stateOf(status));
  const receivers = receiversOf(status);
  byId("status-sinks").hidden = receivers.length === 0;
  byId("status-no-sinks").hidden = receivers.length > 0;
  putRows(byId("status-sinks"), receivers);
}

function checkRow([name, found]) {
  const well = found === "ok";
  const mark = make("span", "mark", well ? "✓ ok" : "✗ " + found);
  mark.dataset.well = String(well);
  return [name, mark];
}

function drawEvents(status) {
  const known = status.records !== undefined;
  for (const id of ["status-events", "status-partitions-part"]) byId(id).hidden = !known;
  byId("status-no-job").hidden = known;
  if (!known) return;
  const when = (ms) => (ms === null ? "none yet" : "the last at " + time(ms));
  putRows(byId("status-events"), [
    ["Records read", number(status.records), when(status.last_record)],
    ["Events counted", number(status.events), rate(status.events_per_second) + " a second; " + when(status.last_event)],
    ...losses(status).map(([name, count]) => {
      const [what, meaning, todo] = reasonOf(name);
      const head = what === name ? what : what + " (" + name + ")";
      return ["Not counted: " + head, number(count), told(meaning + " " + todo)];
    }),
    ["Not read yet", number(status.lag_records), "Records that wait in the source."],
  ]);
}

function drawPartitions(status) {
  const { partitions, partitions_total: total, held_by: held, open_transactions: open } = status;
  const behind = status.watermark_lag_ms === null ? "" : " The newest event time is " + lag(status.watermark_lag_ms / 1000) + " behind the clock.";
  const listed = partitions.length < total ? "The " + number(partitions.length) + " furthest behind of " + number(total) : number(total);
  put(byId("status-partitions-about"), listed + (total === 1 ? " partition." : " partitions.") + behind);
  const noteOf = (name) => {
    const notes = [];
    if (held?.partition === name) notes.push("All windows wait for it since " + time(held.since) + ": " + WAITS[held.why] + ".");
    if (open[name] !== undefined) notes.push("It waits for the end of a transaction since " + time(open[name]) + ".");
    return notes.join(" ");
  };
  putRows(byId("status-partitions"), partitions.map(({ name, watermark, lag_records: unread }) => [
    plain(name),
    watermark === null ? "no event yet" : time(watermark),
    watermark === null ? "–" : lag((status.now - watermark) / 1000),
    number(unread),
    noteOf(name),
  ]));
}

function stateOf({ state, past, archive }) {
  const rows = [];
  if (state) {
    rows.push(["Durable up to", state.durable > 0 ? time(state.durable) : "–"]);
    rows.push(["Last commit", state.last_commit === null ? "none yet" : time(state.last_commit)]);
    rows.push(["Written", number(state.commits) + " commits, " + number(state.bytes) + " bytes"]);
    if (state.failing_since !== null) rows.push(["Fails", "since " + time(state.failing_since) + ": " + state.failure]);
  }
  if (past) rows.push(["Kept of the past", "from " + time(past.from) + " to " + time(past.to)]);
  if (archive) {
    const fails = archive.failing_since === null ? "" : "; fails since " + time(archive.failing_since) + ": " + archive.failure;
    rows.push(["Archived", number(archive.records) + " records, " + number(archive.bytes) + " bytes" + fails]);
  }
  return rows.length > 0 ? rows : [["Kept", "nothing here: a restart begins anew, and the past cannot be asked for"]];
}

/** Each receiver: what was written, what waits, what is lost or was refused, and what is wrong. */
function receiversOf({ redis = [], deliveries = [] }) {
  const well = (failure, since) => (failure === null ? "ok" : (since ? "since " + time(since) + ": " : "") + failure);
  return [
    ...redis.map((one) => [plain(one.to), number(one.written), number(one.pending), number(one.dropped), well(one.failure)]),
    ...deliveries.map((one) => [
      plain(one.to), number(one.delivered), number(one.pending), number(one.refused), well(one.failure, one.failing_since),
    ]),
  ];
}
