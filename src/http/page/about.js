// What is shown, in words: the headline of a choice, and what is known of a snapshot as a whole.

import { interval, number, put, span, time } from "./format.js";
import { plain } from "./names.js";

const byId = (id) => document.getElementById(id);

const FINAL = "Every event of this window is counted; this ranking never changes again.";
const PROVISIONAL = "Counted up to now: the newest seconds are still open, so that events on their way can join.";
const STALE = "The server has not been able to renew this ranking. It shows the last one that it has.";

/** What is known of the snapshot as a whole. */
export function showSnapshot(snapshot) {
  // A board or a window that came in later lacks what was before, as does one without a region.
  const since = snapshot.partial ? " since " + time(snapshot.since) : "";
  const without = snapshot.missing ? ", before that without " + snapshot.missing.join(", ") : "";
  put(byId("counted"), countedOf(snapshot) + since + without);
  put(byId("interval"), interval(snapshot.window_start, snapshot.window_end));
  const iso = (ms) => new Date(ms).toISOString();
  byId("interval").title = iso(snapshot.window_start) + " to " + iso(snapshot.window_end);
  showBadge(snapshot);
  showLegend(snapshot);
}

/** What was counted. Different values of items do not add up to a total. */
const countedOf = ({ distinct, total, retracts }) =>
  distinct
    ? "Different values of " + distinct + " are counted"
    : number(total) + " counted" + (retracts ? ", net of removals" : "");

function showBadge({ stale, final }) {
  const [word, note] = stale ? ["Stale", STALE] : final ? ["Final", FINAL] : ["Provisional", PROVISIONAL];
  const badge = byId("badge");
  badge.hidden = false;
  badge.dataset.kind = word.toLowerCase();
  put(badge.firstElementChild, word);
  put(badge.lastElementChild, note);
  badge.firstElementChild.title = note;
}

function showLegend({ items, guaranteed, distinct }) {
  const exact = items.every((item) => item.exact);
  byId("legend").hidden = items.length === 0;
  byId("legend-bars").hidden = byId("legend-doubt").hidden = exact;
  byId("legend-exact").hidden = !exact;
  const [least, most] = distinct ? ["likely at least", "likely at most"] : ["certainly counted", "at most"];
  put(byId("legend-least"), least);
  put(byId("legend-most"), most);
  const all = items.length > 0 && guaranteed >= items.length;
  put(byId("legend-all"), all ? "These are certainly the top " + items.length + "." : "");
}

/** What the headline says, and the sentence below it. */
export function headline({ board, group, past, window, k, view }) {
  if (view === "status") return { title: "How the job is doing", lead: "What became of its events, and whether all parts of it work." };
  const where = board.name === "default" ? "" : " in " + board.name;
  const who = Object.values(group).map((value) => " · " + plain(value)).join("");
  const title = (past ? "What was popular" : "What is popular right now") + where + who;
  const live = window.size_ms
    ? "in the last " + span(window.size_ms).replace(/^1 /, "") + ", counted as they arrive."
    : window.calendar ? "in the " + unitOf(window) + ", counted as they arrive."
    : "in the whole input, ranked once it has ended.";
  const when = past ? "from " + interval(past.from, past.to).replace(" – ", " to ") + "." : live;
  const lead = "The " + k + " items with the most " + eventsOf(board) + " " + when;
  const retracts = board.retracts ? " Some of these take away what others have counted." : "";
  return { title, lead: lead + retracts + " Each count says how far off it can be." };
}

/** The time of a choice, for those who listen. */
export const spoken = ({ past, window }) => {
  if (past) return interval(past.from, past.to);
  if (window.calendar) return "the " + unitOf(window);
  return window.size_ms ? "the last " + span(window.size_ms) : "the whole input";
};

/** `day that is under way in Europe/Berlin`. */
const unitOf = ({ calendar, timezone }) => calendar + " that is under way in " + timezone;

/** Why there are no rows of a choice yet. */
export function awaited(choice) {
  if (choice?.past) return "Reading what is kept of that time …";
  const group = Object.values(choice?.group ?? {}).map(plain).join(" · ");
  return "There is no ranking" + (group && " of " + group) + " yet. It appears here by itself.";
}

/** The values that a filter takes, or what else it asks for: `IN or US`, `not IN or US, beginning with /p/, present`. */
function wordsOf(condition) {
  if (Array.isArray(condition)) return condition.join(" or ");
  const { not, prefix, exists } = condition;
  const words = [];
  if (not) words.push("not " + not.join(" or "));
  if (prefix) words.push("beginning with " + prefix.join(" or "));
  if (exists !== undefined) words.push(exists ? "present" : "absent");
  return words.join(", ");
}

/** Which events a board counts: `video_view events`, `events with tier gold, region IN or US`. */
export function eventsOf({ filter, distinct }) {
  if (distinct) return "different values of " + distinct;
  const kinds = Object.entries(filter ?? {}).map(([name, condition]) => [name, wordsOf(condition)]);
  if (kinds.length === 1 && /type|event/.test(kinds[0][0])) return kinds[0][1] + " events";
  return "events" + (kinds.length ? " with " + kinds.map((kind) => kind.join(" ")).join(", ") : "");
}
