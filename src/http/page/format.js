// Numbers, times and spans in the words of the page.

const numbers = new Intl.NumberFormat("en");
const rates = new Intl.NumberFormat("en", { maximumFractionDigits: 1 });
const shares = new Intl.NumberFormat("en", { style: "percent", maximumSignificantDigits: 2 });
const clock = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", second: "2-digit" });
const minutes = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit" });
const day = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short" });
const dayOfYear = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short", year: "numeric" });

/** The name, the short name, the length, and from how many on it is spoken of: 24 hours, but 7 days. */
const UNITS = [
  ["day", "d", 86_400_000, 2],
  ["hour", "h", 3_600_000, 1],
  ["minute", "min", 60_000, 1],
  ["second", "s", 1000, 1],
  ["millisecond", "ms", 1, 1],
];

const unitOf = (ms) =>
  UNITS.find(([, , size, least]) => ms >= size * least && ms % size === 0) ?? UNITS.at(-1);

/** 5,312; a dash for what is not known. */
export const number = (value) => (value === null || value === undefined ? "–" : numbers.format(value));

/** Events a second: whole ones from ten on. */
export const rate = (value) => (value >= 10 ? numbers.format(Math.round(value)) : rates.format(value));

/** 5.8% of a total. */
export const share = (part, total) => shares.format(total > 0 ? part / total : 0);

/** `1 minute`, `24 hours`: in the greatest unit that it is a whole number of. */
export function span(ms) {
  const [name, , size] = unitOf(ms);
  return numbers.format(ms / size) + " " + name + (ms === size ? "" : "s");
}

/** `1 min`, `24 h`: as a small control has room for. */
export function shortSpan(ms) {
  const [, short, size] = unitOf(ms);
  return numbers.format(ms / size) + " " + short;
}

/** An age or a lag: `0.4 s`, `12 s`, `3 min`, `2 h`. */
export function lag(seconds) {
  if (seconds < 9.95) return Math.max(0, seconds).toFixed(1) + " s";
  if (seconds < 120) return Math.round(seconds) + " s";
  if (seconds < 7200) return Math.round(seconds / 60) + " min";
  return seconds < 172_800 ? Math.round(seconds / 3600) + " h" : Math.round(seconds / 86_400) + " d";
}

const isSameDay = (a, b) => a.toDateString() === b.toDateString();

function withDay(at) {
  const thisYear = at.getFullYear() === new Date().getFullYear();
  return (thisYear ? day : dayOfYear).format(at) + ", " + clock.format(at);
}

/** The time of day; with the day where that is not today. */
export function time(ms) {
  const at = new Date(ms);
  return isSameDay(at, new Date()) ? clock.format(at) : withDay(at);
}

/** A time along a line of so many milliseconds: with no more of it than tells the marks apart. */
export function mark(ms, width) {
  const at = new Date(ms);
  if (width > 5 * UNITS[0][2]) return day.format(at);
  if (width < 10 * UNITS[2][2]) return time(ms);
  return (isSameDay(at, new Date()) ? "" : day.format(at) + ", ") + minutes.format(at);
}

/** From one time to another, with no more of the days than is needed. */
export function interval(from, to) {
  const [first, last] = [new Date(from), new Date(to)];
  if (isSameDay(first, last)) return time(from) + " – " + clock.format(last);
  return withDay(first) + " – " + withDay(last);
}

/** What is certain of an item's count, and what is likely where it is an estimate. */
export function between(item) {
  if (item.exact) return "exactly " + number(item.count);
  const certain = "between " + number(item.lower) + " and " + number(item.upper);
  return item.estimate ? "about " + doubtful(item.estimate) + ", certainly " + certain : certain;
}

/** `5,312 ± 122`: an estimate and its standard error. */
const doubtful = ({ count, standard_error: error }) => number(count) + " ± " + number(error);

/** What stands beside a count that is not exact. */
export function doubtOf(item) {
  if (item.exact) return "";
  return item.estimate ? "± " + number(item.estimate.standard_error) : "≥ " + number(item.lower);
}

/** From where to where a count is drawn: its bounds, or two standard errors of an estimate to either side. */
export function bandOf({ count, lower, upper, estimate }) {
  const error = 2 * (estimate?.standard_error ?? Infinity);
  return [Math.max(lower, count - error), Math.min(upper, count + error)];
}

/** Sets a text only where it differs: an untouched node costs the browser nothing. */
export function put(element, text) {
  if (element.textContent !== text) element.textContent = text;
}
