// What is told beside the ranking: whether the connection stands and events come, what is in the way, and words for those
// who listen.

import { Refusal } from "./api.js";
import { interval, put, time } from "./format.js";

const byId = (id) => document.getElementById(id);

/** Without an event for so long, a stream is idle. */
const IDLE_MS = 10_000;
const CONNECTION = {
  connecting: "connecting …",
  live: "live",
  idle: "live, no events",
  past: "looking back",
  lost: "reconnecting …",
  refused: "refused",
};

/** The state of the connection: `connecting`, `live`, `lost` or `refused`. */
export const connectionState = () => byId("connection").dataset.state;

/** Tells the state of the connection, and whether the past is looked at meanwhile. */
export function tellConnection(state, past) {
  const before = connectionState();
  if (state === "lost" && before !== "lost") {
    const words = "The server cannot be reached since " + time(Date.now()) + ". The last ranking stays, and may no longer hold. Trying again …";
    put(byId("outage"), words);
    announce(words);
  }
  byId("outage").hidden = state !== "lost";
  if (state === "live" && before === "lost") announce("Connected again.");
  byId("connection").dataset.state = state;
  document.body.dataset.connection = state;
  put(byId("connection"), CONNECTION[state === "live" && past ? "past" : state]);
}

/** Whether a stream that is alive brings nothing to count, and since when; `status` is `null` before the first. */
export function tellIdle(status, past) {
  const { live, now, last_event: event, last_record: record } = status ?? {};
  const since = live && event !== null && now - event > IDLE_MS ? Date.now() - (now - event) : null;
  const idle = since !== null && !past;
  byId("idle").hidden = !idle;
  if (connectionState() === "live" && !past) put(byId("connection"), idle ? CONNECTION.idle : CONNECTION.live);
  byId("connection").dataset.idle = String(idle);
  if (!idle) return;
  // The seconds are the server's to about one: a sentence that changed with them would be read out again and again.
  const known = idleSince !== null && Math.abs(since - idleSince) < IDLE_MS ? idleSince : since;
  idleSince = known;
  const others = record - event > IDLE_MS ? " Records come, but none is counted: the status says why." : "";
  put(byId("idle"), "No event is counted since " + time(known) + "." + others);
}

let idleSince = null;

/** Says in words what is in the way; `null`: nothing. */
export function tellTrouble(error) {
  byId("trouble").hidden = error === null;
  if (error !== null) put(byId("trouble"), wordsOf(error));
}

/** Whether something is in the way. */
export const inTrouble = () => !byId("trouble").hidden;

function wordsOf(error) {
  if (!(error instanceof Refusal)) return "The server does not answer. Trying again …";
  const { message } = error;
  const sentence = message.charAt(0).toUpperCase() + message.slice(1) + (/[.…]$/.test(message) ? "" : ".");
  const kept = [error.kept ?? []].flat();
  const ranges = kept.map((range) => interval(range.from_ms ?? range.from, range.to_ms ?? range.to));
  return ranges.length ? sentence + " What is kept: " + ranges.join(", and ") + "." : sentence;
}

/** Read out by screen readers when they are done with what they say; seen by nobody. */
export function announce(words) {
  put(byId("announce"), words);
}

/** Lets a note close on Escape, and on a click elsewhere. */
export function closeNotes() {
  const openNotes = () => [...document.querySelectorAll("details[name=note][open]")];
  document.addEventListener("click", ({ target }) => {
    for (const note of openNotes()) note.open = note.contains(target);
  });
  document.addEventListener("keydown", ({ key }) => {
    for (const note of openNotes()) note.open = key !== "Escape";
  });
}
