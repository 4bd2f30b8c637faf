// Wires the page: the address says what to show, the stream brings it, the parts draw it.

import { headline, showSnapshot, spoken } from "./about.js";
import { allBoards, ask, Refusal } from "./api.js";
import { rankingPath, read, streamPath, write } from "./choice.js";
import { explainNothing } from "./empty.js";
import { Facts } from "./facts.js";
import { lag, put } from "./format.js";
import { ItemView } from "./item.js";
import { announce, closeNotes, connectionState, inTrouble, tellConnection, tellIdle, tellTrouble } from "./notices.js";
import { Past } from "./past.js";
import { Pickers } from "./pickers.js";
import { Ranking } from "./ranking.js";
import { Rising } from "./rising.js";
import { History } from "./spark.js";
import { StatusView } from "./status.js";
import { follow } from "./stream.js";
import { Trend } from "./trend.js";

const RETRY_MS = 2000;
/** A ranking that no stream brings. */
const ASK_AGAIN_MS = 5000;
/** What was chosen before stays so long, dimmed, while its successor has not come. */
const GRACE_MS = 600;
/** The slider asks for a ranking when it has rested so long. */
const SLIDER_REST_MS = 120;

const byId = (id) => document.getElementById(id);

const ranking = new Ranking(document.querySelector("#ranking tbody"), (item) => choose({ ...choice, item }));
const itemView = new ItemView(leaveItem);
const [trend, rising, statusView] = [new Trend(), new Rising(), new StatusView(() => choose({ ...choice, view: null }))];
const history = new History();
const facts = new Facts();
const pickers = new Pickers((change) => choose({ ...choice, ...change, item: change.board ? null : choice.item }));
const past = new Past((interval) => choose({ ...choice, past: interval }));

let boards = [];
let choice = null;
let stream = null;
let status = null;
/** The newest of the stream, and the one that is shown; each with the time (ms) at which it was as old as it says. */
let live = null;
let shown = null;
let drawing = false;
let askedInstead = -Infinity;
let pastAsked = new AbortController();

/** Goes over to a choice; "back" undoes it. Moves of the time slider are one step, and not a hundred. */
function choose(wanted) {
  const entry = choice.past && wanted.past ? "replaceState" : "pushState";
  window.history[entry](null, "", write(wanted));
  apply(wanted);
}

/** Goes back to the ranking, and to the row of the item. */
function leaveItem() {
  const { item } = choice;
  choose({ ...choice, item: null });
  ranking.focus(item);
}

function apply(wanted) {
  const before = choice;
  choice = wanted;
  for (const part of [pickers, past, itemView, trend, rising, statusView]) part.show(choice);
  document.body.dataset.view = choice.view ?? (choice.item ? "item" : "ranking");
  byId("status-link").href = write({ ...choice, view: "status" });
  const { title, lead } = headline(choice);
  put(byId("headline"), title);
  put(byId("lead"), lead);
  document.title = title + " – Crest";
  document.body.dataset.time = choice.past ? "past" : "live";
  tellConnection(connectionState(), choice.past);
  tellIdle(status, choice.past);
  const asked = choice.view === "status" ? "status" : rankingPath(choice);
  byId("json").href = asked;
  put(byId("json").firstElementChild, "GET /" + asked);
  if (!before || streamPath(before) !== streamPath(choice)) listen();
  if (before && rankingPath(before) === rankingPath(choice)) return;
  if (before && !(before.past && choice.past)) announce(title + ", " + spoken(choice));
  pastAsked.abort();
  pastAsked = new AbortController();
  tellTrouble(null);
  if (choice.past) void askPast(choice, pastAsked.signal);
  else if (live) draw();
  wait();
}

/** Dims a ranking until there is a newer one. */
function dim() {
  byId("board-view").setAttribute("aria-busy", "true");
}

/** Dims what belongs to the choice before, and takes it away if nothing follows soon. */
function wait() {
  dim();
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
  explain();
}

function listen() {
  stream?.stop();
  history.clear();
  live = null;
  askedInstead = -Infinity;
  stream = follow(streamPath(choice), {
    onEvent(name, data) {
      if (name === "snapshot") onSnapshot(data);
      if (name === "status") onStatus(data);
      if (connectionState() === "live") return;
      // It may be another server than before, with other boards.
      if (connectionState() === "lost") loadBoards().catch(() => {});
      if (connectionState() === "refused") tellTrouble(null);
      if (name !== "snapshot" && !choice.past) dim();
      tellConnection("live", choice.past);
    },
    onLost(error) {
      // One that is only busy, or going down, is one to wait for.
      const refused = error instanceof Refusal && error.status < 500;
      tellConnection(refused ? "refused" : "lost", choice.past);
      if (!refused) return;
      tellTrouble(error);
      clear();
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
  tellTrouble(null);
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
    tellTrouble(error);
    clear();
  }
}

function onStatus(news) {
  status = news;
  facts.show(status);
  for (const part of [past, itemView, trend, rising]) part.keep(status.past);
  tellIdle(status, choice.past);
  if (shown === null) explain();
  if (!status.live && live === null && !choice.past) void askInstead(choice);
}

/** A node without a job may know rankings from its state that no stream brings. */
async function askInstead(asked) {
  if (performance.now() - askedInstead < ASK_AGAIN_MS) return;
  askedInstead = performance.now();
  const snapshot = await ask(rankingPath(asked)).catch(() => null);
  if (snapshot === null || asked !== choice || live !== null) return;
  const age = snapshot.snapshot_age_seconds * 1000 || Date.now() - snapshot.window_end;
  show(snapshot, performance.now() - age, null);
}

/** Each second: how old the ranking is by now, and what to say where there is none. */
function tick() {
  if (shown === null) return;
  const age = lag((performance.now() - shown.at) / 1000) + " old";
  put(byId("age"), choice.past ? coverage(shown.snapshot, choice.past) : age);
  explain();
}

/** Older times are kept in longer pieces, so that an answer may cover more than was asked for. */
function coverage(snapshot, { from, to }) {
  const asked = snapshot.window_start === from && snapshot.window_end === to;
  return asked ? "" : "what is kept nearest to it";
}

const explain = () =>
  explainNothing({ choice, status, empty: ranking.isEmpty, shown: shown !== null, inTrouble: inTrouble() });

async function loadBoards() {
  const found = await allBoards();
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
    tellTrouble(error);
    tellConnection("lost", false);
    setTimeout(start, RETRY_MS);
  }
}

window.addEventListener("popstate", () => boards.length && apply(read(location.hash, boards)));
closeNotes();
setInterval(tick, 1000);
void start();
