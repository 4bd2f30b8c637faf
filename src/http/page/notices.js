// What is told beside the ranking: whether the connection stands, what is in the way, and words for those who listen.

import { Refusal } from "./api.js";
import { interval, put } from "./format.js";

const byId = (id) => document.getElementById(id);

const CONNECTION = {
  connecting: "connecting …",
  live: "live",
  past: "looking back",
  lost: "reconnecting …",
  refused: "refused",
};

/** The state of the connection: `connecting`, `live`, `lost` or `refused`. */
export const connectionState = () => byId("connection").dataset.state;

/** Tells the state of the connection, and whether the past is looked at meanwhile. */
export function tellConnection(state, past) {
  const before = connectionState();
  if (state === "lost" && before !== "lost") announce("The connection is lost. The last ranking stays.");
  if (state === "live" && before === "lost") announce("Connected again.");
  byId("connection").dataset.state = state;
  document.body.dataset.connection = state;
  put(byId("connection"), CONNECTION[state === "live" && past ? "past" : state]);
}

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
