// What is shown, and its place in the address: `#board=videos&window=last_1m&k=10&region=IN`, and `from` and `to` for a
// past interval. They are the parameters of `GET /top-k`, so a link says what it asks for.

const USUAL_K = 10;
const K_CHOICES = [10, 25, 50, 100];

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
  return { board, window, k, group: isWhole(board, group) ? group : {}, past: readPast(given) };
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
export function write({ board, window, k, group, past }) {
  const words = new URLSearchParams({ board: board.name, window: window.name, k: String(k), ...group });
  if (past) {
    words.set("from", String(past.from));
    words.set("to", String(past.to));
  }
  return "#" + words;
}

/** The stream of a choice: of its window, also while something past is looked at. */
export function streamPath({ board, window, k, group }) {
  const words = new URLSearchParams({ window: window.name, k: String(k), ...group });
  return "stream/" + encodeURIComponent(board.name) + "?" + words;
}

/** The ranking of a choice, as anybody can ask for it. */
export function rankingPath({ board, window, k, group, past }) {
  const time = past ? { from: String(past.from), to: String(past.to) } : { window: window.name };
  const words = new URLSearchParams({ ...time, k: String(k), ...group });
  return "top-k/" + encodeURIComponent(board.name) + "?" + words;
}
