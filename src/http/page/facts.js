// The bar of facts about the stream, from `GET /status`, and what is known of the ranking shown.

import { interval, lag, number, put, rate, span } from "./format.js";

const byId = (id) => document.getElementById(id);

/** What is told: its name, its value in a status or `null` where a node does not know it, and what it means. */
const FACTS = [
  {
    name: "Events/s",
    of: ({ events_per_second: perSecond }) => perSecond ?? null,
    text: rate,
    more: (status) => [number(status.events) + " counted since the start, " + lag(status.uptime_seconds) + " ago"],
  },
  {
    name: "Watermark lag",
    of: ({ watermark_lag_ms: ms }) => ms ?? null,
    text: (ms) => lag(ms / 1000),
    more: () => ["How far event time is behind the clock: panes older than the watermark are closed for good."],
  },
  {
    name: "Not read yet",
    of: ({ lag_records: waiting }) => waiting || null,
    text: number,
    more: () => ["Records that wait in the source."],
  },
  {
    name: "Late",
    of: ({ late }) => late ?? null,
    text: number,
    more: () => ["Events of panes that were closed already. They are not counted."],
  },
  {
    name: "Refused",
    of: ({ refused }) => refused ?? null,
    text: number,
    more: (status) => {
      const reasons = Object.entries(status.refused_by_reason ?? {}).filter(([, count]) => count > 0);
      const listed = reasons.map(([reason, count]) => number(count) + " " + reason.replaceAll("_", " "));
      return listed.length ? listed : ["Records that cannot be counted, by reason. There are none."];
    },
  },
  {
    name: "On no board",
    of: ({ unmatched }) => unmatched || null,
    text: number,
    more: () => ["Good events that no board's filter wants."],
  },
];

/** The bar. A fact that a node does not know is left out. */
export class Facts {
  #parts = FACTS.map((fact) => newFact(fact));

  constructor() {
    byId("facts").append(...this.#parts.map(({ element }) => element));
  }

  show(status) {
    for (const { fact, element, value, more } of this.#parts) {
      const found = fact.of(status);
      element.hidden = found === null;
      if (found === null) continue;
      put(value, fact.text(found));
      put(more, fact.more(status).join("\n"));
      value.parentElement.title = more.textContent;
    }
    put(byId("version"), "Crest " + status.version);
  }
}

function newFact(fact) {
  const make = (tag, name) => Object.assign(document.createElement(tag), { className: name });
  const [element, term, body] = [make("div", "fact"), make("dt", ""), make("dd", "")];
  const [details, value, more] = [make("details", ""), make("summary", "value"), make("p", "note")];
  term.textContent = fact.name;
  value.textContent = "–";
  details.name = "note";
  details.append(value, more);
  body.append(details);
  element.append(term, body);
  element.hidden = true;
  return { fact, element, value, more };
}

const FINAL = "Every event of this window is counted; this ranking never changes again.";
const PROVISIONAL = "Counted up to now: the newest seconds are still open, so that events on their way can join.";
const STALE = "The server has not been able to renew this ranking. It shows the last one that it has.";

/** What is known of the snapshot as a whole. */
export function showSnapshot(snapshot) {
  put(byId("counted"), number(snapshot.total) + (snapshot.total === 1 ? " event" : " events"));
  put(byId("interval"), interval(snapshot.window_start, snapshot.window_end));
  const iso = (ms) => new Date(ms).toISOString();
  byId("interval").title = iso(snapshot.window_start) + " to " + iso(snapshot.window_end);
  const [word, note] = snapshot.stale ? ["Stale", STALE] : snapshot.final ? ["Final", FINAL] : ["Provisional", PROVISIONAL];
  const badge = byId("badge");
  badge.hidden = false;
  badge.dataset.kind = word.toLowerCase();
  put(badge.firstElementChild, word);
  put(badge.lastElementChild, note);
  badge.firstElementChild.title = note;
  showLegend(snapshot);
  byId("legend").hidden = snapshot.items.length === 0;
}

function showLegend({ items, guaranteed }) {
  const exact = items.every((item) => item.exact);
  byId("legend-bars").hidden = exact;
  byId("legend-exact").hidden = !exact;
  const all = items.length > 0 && guaranteed >= items.length;
  put(byId("legend-all"), all ? "These are certainly the top " + items.length + "." : "");
}

/** What the headline says. */
export function headline({ board, group, past, window, k }) {
  const where = board.name === "default" ? "" : " in " + board.name;
  const who = Object.values(group).map((value) => " · " + value).join("");
  const title = past ? "What was popular" + where + who : "What is popular right now" + where + who;
  const kinds = Object.entries(board.filter ?? {});
  const only = kinds.length === 1 && /type|event/.test(kinds[0][0])
    ? kinds[0][1].join(" or ") + " events"
    : "events" + kinds.map(([name, values], at) => (at ? ", " : " with ") + name + " " + values.join(" or ")).join("");
  const when = past ? "from " + interval(past.from, past.to).replace(" – ", " to ") : "in the last " + span(window.size_ms).replace(/^1 /, "");
  const lead = "The " + k + " items with the most " + only + " " + when
    + (past ? "." : ", counted as they arrive.") + " Each count says how far off it can be.";
  return { title, lead };
}
