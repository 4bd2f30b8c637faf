// The bar of facts about the stream, from `GET /status`.

import { lag, number, put, rate } from "./format.js";

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
