// Server-sent events by `fetch`, since `EventSource` cannot send a token: connects again by itself.

import { call, refusal } from "./api.js";

const FIRST_WAIT_MS = 1000;
const LONGEST_WAIT_MS = 5000;
/** The server says something each second: one that does not is gone, whatever the connection says. */
const SILENCE_MS = 8000;

/**
 * Reads a stream until `stop()` of what this returns. `onEvent(name, data)` gets each event, its data parsed;
 * `onLost(error)` is called each time that the connection cannot be made or ends.
 */
export function follow(path, { onEvent, onLost }) {
  const stopped = new AbortController();
  void keepReading(path, stopped.signal, onEvent, onLost);
  return { stop: () => stopped.abort() };
}

async function keepReading(path, stopped, onEvent, onLost) {
  let wait = FIRST_WAIT_MS;
  while (!stopped.aborted) {
    try {
      await read(path, stopped, (name, data) => {
        wait = FIRST_WAIT_MS;
        if (!stopped.aborted) onEvent(name, JSON.parse(data));
      });
      throw new Error("The server ended the stream.");
    } catch (error) {
      if (stopped.aborted) return;
      onLost(error);
    }
    await new Promise((resolve) => setTimeout(resolve, wait));
    wait = Math.min(LONGEST_WAIT_MS, wait * 1.5);
  }
}

async function read(path, stopped, onEvent) {
  const silent = new AbortController();
  const signal = AbortSignal.any([stopped, silent.signal]);
  const response = await call(path, signal);
  if (!response.ok) throw await refusal(response);
  let alarm = setTimeout(() => silent.abort(), SILENCE_MS);
  try {
    const parse = parser(onEvent);
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      clearTimeout(alarm);
      alarm = setTimeout(() => silent.abort(), SILENCE_MS);
      parse(value);
    }
  } finally {
    clearTimeout(alarm);
  }
}

/** Takes text in pieces of any size and gives whole events. Lines that begin with a colon are comments. */
export function parser(onEvent) {
  let rest = "";
  let name = "message";
  let data = [];
  const take = (line) => {
    if (line === "") {
      if (data.length) onEvent(name, data.join("\n"));
      name = "message";
      data = [];
      return;
    }
    const colon = line.indexOf(":");
    const field = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? "" : line.slice(colon + 1).replace(/^ /, "");
    if (field === "event") name = value;
    if (field === "data") data.push(value);
  };
  return (piece) => {
    const lines = (rest + piece).split("\n");
    rest = lines.pop();
    for (const line of lines) take(line.endsWith("\r") ? line.slice(0, -1) : line);
  };
}
