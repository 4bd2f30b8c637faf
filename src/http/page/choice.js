// What is shown, and its place in the address: `#board=videos&window=last_1m&k=10&region=IN`, and `from` and `to` for a
// past interval. They are the parameters of `GET /top-k`, so a link says what it asks for. `item` is the one that is looked
// at, `chart` says how far back that of the top ten reaches, `rise` what the window is compared with, and `view=status` shows
// how the job is doing.

const USUAL_K = 10;
const K_CHOICES = [10, 25, 50, 100];
/** How far back a chart may reach. */
const CHARTS = ["1h", "24h"];
const CHART_ITEMS = 10;
/** What a window may be compared with. */
const AGAINST = ["previous", "1d", "7d"];

/** The numbers of rows that a board offers. */
export function kChoices(board) {
  const fitting = K_CHOICES.filter((k) => k < board.k);
  return [...fitting, Math.min(board.k, K_CHOICES.at(-1))];
}

/** Reads the address; what it does not say, or what there is not, is as it usually is. */
export function read(hash, boards) {
  const given = new URLSearchParams(hash.replace(/^#/, ""));
  const board = boards.find(({ name }) => name === given.get("board"))
    ?? boards.find(({ name }) => name === "default")
    ?? boards[0];
  const window = board.windows.find(({ name }) => name === given.get("window")) ?? board.windows[0];
  const k = kChoices(board).find((k) => k === Number(given.get("k"))) ?? Math.min(USUAL_K, board.k);
  const group = {};
  for (const dimension of board.by) {
    const value = given.get(dimension);
    if (value) group[dimension] = value;
  }
  const chart = CHARTS.find((chart) => chart === given.get("chart")) ?? null;
  const whole = { board, window, k, group: isWhole(board, group) ? group : {} };
  const rise = AGAINST.find((against) => against === given.get("rise")) ?? null;
  const view = given.get("view") === "status" ? "status" : null;
  return { ...whole, past: readPast(given), chart, rise, view, item: given.get("item") || null };
}

/** A group names all of its board's dimensions, or none. */
export function isWhole(board, group) {
  const named = Object.keys(group).length;
  return named === 0 || named === board.by.length;
}

function readPast(given) {
  const [from, to] = [Number(given.get("from")), Number(given.get("to"))];
  return Number.isSafeInteger(from) && Number.isSafeInteger(to) && 0 < from && from < to ? { from, to } : null;
}

/** As `read` takes it. */
export function write({ board, window, k, group, past, chart, rise, view, item }) {
  const words = new URLSearchParams({ board: board.name, window: window.name, k: String(k), ...group });
  if (past) {
    words.set("from", String(past.from));
    words.set("to", String(past.to));
  }
  if (chart) words.set("chart", chart);
  if (rise) words.set("rise", rise);
  if (item) words.set("item", item);
  if (view) words.set("view", view);
  return "#" + words;
}

/** The stream of a choice: of its window, also while something past is looked at. */
export function streamPath({ board, window, k, group }) {
  const words = new URLSearchParams({ window: window.name, k: String(k), ...group });
  return "stream/" + encodeURIComponent(board.name) + "?" + words;
}

/** The ranking of a choice, as anybody can ask for it. */
export function rankingPath({ board, window, k, group, past }) {
  const words = new URLSearchParams({ ...timeOf({ window, past }), k: String(k), ...group });
  return "top-k/" + encodeURIComponent(board.name) + "?" + words;
}

const encoded = encodeURIComponent;
const timeOf = ({ window, past }) =>
  past ? { from: String(past.from), to: String(past.to) } : { window: window.name };

/** What is known of the item of a choice; `step` asks for its points too. */
export function itemPath(choice, more) {
  const words = new URLSearchParams({ ...timeOf(choice), ...more, ...choice.group });
  return "items/" + encoded(choice.board.name) + "/" + encoded(choice.item) + "?" + words;
}

/** The points of the top ten, of the past that is looked at or as far back as the chart reaches. */
export function seriesPath({ board, group, past, chart, window }) {
  const time = past ? timeOf({ window, past }) : { window: chart };
  const words = new URLSearchParams({ ...time, k: String(Math.min(CHART_ITEMS, board.k)), ...group });
  return "series/" + encoded(board.name) + "?" + words;
}

/** What rises in the window, or in the past that is looked at. */
export function risingPath({ board, window, k, group, past, rise }) {
  const words = new URLSearchParams({ ...timeOf({ window, past }), k: String(k), by: "rise", against: rise, ...group });
  return "top-k/" + encoded(board.name) + "?" + words;
}
