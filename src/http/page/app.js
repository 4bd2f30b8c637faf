// Wires the page: the address says what to show, the stream brings it, the parts draw it.

import { ask, Refusal } from "./api.js";
import { rankingPath, read, streamPath, write } from "./choice.js";
import { Facts, headline, showSnapshot } from "./facts.js";
import { interval, lag, put } from "./format.js";
import { Past } from "./past.js";
import { Pickers } from "./pickers.js";
import { Ranking } from "./ranking.js";
import { History } from "./spark.js";
import { follow } from "./stream.js";
import { Teach } from "./teach.js";

const RETRY_MS = 2000;
/** What was chosen before stays so long, dimmed, while its successor has not come. */
const GRACE_MS = 600;
/** The slider asks for a ranking when it has rested so long. */
const SLIDER_REST_MS = 120;

const byId = (id) => document.getElementById(id);

const ranking = new Ranking(document.querySelector("#ranking tbody"));
const history = new History();
const facts = new Facts();
const teach = new Teach();
const pickers = new Pickers((change) => choose({ ...choice, ...change }));
const past = new Past((interval) => choose({ ...choice, past: interval }));

let boards = [];
let choice = null;
let stream = null;
let status = null;
/** The newest of the stream, and the one that is shown; each with the time (ms) at which it was as old as it says. */
let live = null;
let shown = null;
let drawing = false;
let pastAsked = new AbortController();

/** Goes over to a choice; "back" undoes it. Moves of the time slider are one step, and not a hundred. */
function choose(wanted) {
  const entry = choice.past && wanted.past ? "replaceState" : "pushState";
  window.history[entry](null, "", write(wanted));
  apply(wanted);
}

function apply(wanted) {
  const before = choice;
  choice = wanted;
  pickers.show(choice);
  past.show(choice);
  const { title, lead } = headline(choice);
  put(byId("headline"), title);
  put(byId("lead"), lead);
  document.title = title + " – Crest";
  document.body.dataset.time = choice.past ? "past" : "live";
  tellConnection();
  byId("json").href = rankingPath(choice);
  put(byId("json").firstElementChild, "GET /" + rankingPath(choice));
  if (!before || streamPath(before) !== streamPath(choice)) listen();
  if (before && rankingPath(before) === rankingPath(choice)) return;
  if (before && !(before.past && choice.past)) announce(title + (choice.past ? ", " + interval(choice.past.from, choice.past.to) : ""));
  pastAsked.abort();
  pastAsked = new AbortController();
  trouble(null);
  if (choice.past) void askPast(choice, pastAsked.signal);
  else if (live) draw();
  wait();
}

/** Dims what belongs to the choice before, and takes it away if nothing follows soon. */
function wait() {
  byId("board-view").setAttribute("aria-busy", "true");
  const waiting = choice;
  setTimeout(() => {
    if (choice === waiting && shown?.choice !== waiting) clear();
  }, GRACE_MS);
}

function clear() {
  shown = null;
  ranking.clear();
  byId("badge").hidden = byId("legend").hidden = true;
  for (const id of ["counted", "interval", "age"]) put(byId(id), "");
  explainNothing();
}

function listen() {
  stream?.stop();
  history.clear();
  live = null;
  stream = follow(streamPath(choice), {
    onEvent(name, data) {
      if (name === "snapshot") onSnapshot(data);
      if (name === "status") onStatus(data);
      if (byId("connection").dataset.state === "lost") void loadBoards();
      connection("live");
    },
    onLost(error) {
      if (error instanceof Refusal) {
        trouble(error);
        clear();
      }
      connection(error instanceof Refusal ? "refused" : "lost");
    },
  });
}

function onSnapshot(snapshot) {
  const now = performance.now();
  live = { snapshot, at: now - snapshot.snapshot_age_seconds * 1000 };
  history.note(snapshot.items, now);
  if (!choice.past) draw();
}

/** At the screen's next turn: of several that come before it, the last. */
function draw() {
  if (drawing) return;
  drawing = true;
  requestAnimationFrame(() => {
    drawing = false;
    if (!choice.past && live) show(live.snapshot, live.at, history);
  });
}

function show(snapshot, at, lines) {
  shown = { snapshot, at, choice };
  ranking.show(snapshot, choice.k, lines);
  showSnapshot(snapshot);
  trouble(null);
  byId("board-view").removeAttribute("aria-busy");
  tick();
}

async function askPast(asked, signal) {
  try {
    await new Promise((resolve) => setTimeout(resolve, SLIDER_REST_MS));
    signal.throwIfAborted();
    const snapshot = await ask(rankingPath(asked), signal);
    if (asked === choice) show(snapshot, performance.now(), null);
  } catch (error) {
    if (signal.aborted) return;
    clear();
    trouble(error);
  }
}

function onStatus(news) {
  status = news;
  facts.show(status);
  past.keep(status.past);
  if (shown === null) explainNothing();
}

/** Each second: how old the ranking is by now, and what to say where there is none. */
function tick() {
  if (shown === null) return;
  const covers = choice.past && (shown.snapshot.window_start !== choice.past.from || shown.snapshot.window_end !== choice.past.to);
  const age = lag((performance.now() - shown.at) / 1000) + " old";
  put(byId("age"), choice.past ? (covers ? "the interval that is kept for this time" : "") : age);
  explainNothing();
}

function explainNothing() {
  const empty = ranking.isEmpty;
  const teaching = empty && !choice.past && status?.ingest === true && status.events === 0;
  teach.show(teaching ? choice.board : null);
  byId("board-view").hidden = teaching;
  byId("nothing").hidden = !empty || teaching || !byId("trouble").hidden || status === null;
  byId("ranking").hidden = empty;
  const whose = Object.values(choice?.group ?? {}).map((value) => " of " + value).join("");
  const awaited = choice?.past ? "Reading what is kept of that time …" : "There is no ranking" + whose + " yet. It appears here by itself.";
  const words = shown ? "Nothing was counted in this time." : awaited;
  put(byId("nothing"), words);
}

/** Says in words what is in the way; `null`: nothing. */
function trouble(error) {
  byId("trouble").hidden = error === null;
  if (error === null) return;
  const kept = [error.kept ?? []].flat().map((range) => interval(range.from_ms ?? range.from, range.to_ms ?? range.to));
  const words = error instanceof Refusal ? error.message : "The server does not answer. Trying again …";
  const sentence = words.charAt(0).toUpperCase() + words.slice(1) + (/[.…]$/.test(words) ? "" : ".");
  put(byId("trouble"), sentence + (kept.length ? " What is kept: " + kept.join(", and ") + "." : ""));
  explainNothing();
}

const CONNECTION = { live: "live", past: "looking back", lost: "reconnecting …", refused: "no answer to this", connecting: "connecting …" };

function connection(state) {
  const element = byId("connection");
  if (element.dataset.state === state) return;
  if (state === "lost") announce("The connection is lost. The last ranking stays.");
  if (element.dataset.state === "lost" && state === "live") announce("Connected again.");
  element.dataset.state = state;
  document.body.dataset.connection = state;
  tellConnection();
}

function tellConnection() {
  const { state } = byId("connection").dataset;
  put(byId("connection"), CONNECTION[state === "live" && choice?.past ? "past" : state]);
}

function announce(words) {
  byId("announce").textContent = words;
}

async function loadBoards() {
  const found = (await ask("boards")).boards;
  if (JSON.stringify(found) === JSON.stringify(boards)) return;
  boards = found;
  pickers.offer(boards);
  const wanted = read(location.hash, boards);
  window.history.replaceState(null, "", write(wanted));
  apply(wanted);
}

async function start() {
  try {
    await loadBoards();
  } catch (error) {
    trouble(error);
    connection(error instanceof Refusal ? "refused" : "lost");
    setTimeout(start, RETRY_MS);
  }
}

window.addEventListener("popstate", () => boards.length && apply(read(location.hash, boards)));
document.addEventListener("click", ({ target }) => {
  for (const open of document.querySelectorAll("details[name=note][open]")) {
    if (!open.contains(target)) open.open = false;
  }
});
document.addEventListener("keydown", ({ key }) => {
  if (key === "Escape") for (const open of document.querySelectorAll("details[name=note][open]")) open.open = false;
});
setInterval(tick, 1000);
void start();
