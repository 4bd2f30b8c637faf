// Calls of this server's API, with the reader's token where it asks for one.

const KEY = "crest-token";
const PATIENCE_MS = 10_000;
const byId = (id) => document.getElementById(id);

/** An answer that is a refusal: its status, and the server's own words. */
export class Refusal extends Error {
  constructor(status, body) {
    super(body.error ?? "The server answered with status " + status + ".");
    this.status = status;
    this.kept = body.kept;
  }
}

/** The JSON of an answer. Throws a `Refusal`, or what `fetch` throws. */
export async function ask(path, signal) {
  const response = await call(path, signal, PATIENCE_MS);
  if (!response.ok) throw await refusal(response);
  return response.json();
}

/** All boards: many come in pages. */
export async function allBoards() {
  const found = [];
  for (let after = ""; ; ) {
    const page = await ask("boards" + after);
    found.push(...page.boards);
    if (page.next === undefined) return found;
    // Whatever else it names, the pages would not end.
    if (page.next !== page.boards.at(-1)?.name) throw new Error("the pages of /boards do not end");
    after = "?after=" + encodeURIComponent(page.next);
  }
}

/** The refusal that an answer is. */
export async function refusal(response) {
  const body = await response.json().catch(() => ({}));
  return new Refusal(response.status, body);
}

/** A response; one that wants a token is asked for again with the one that the reader gives. */
export async function call(path, signal, patience) {
  for (;;) {
    const token = sessionStorage.getItem(KEY);
    const headers = token === null ? {} : { Authorization: "Bearer " + token };
    const signals = [signal, patience && AbortSignal.timeout(patience)].filter(Boolean);
    const response = await fetch(path, { cache: "no-store", headers, signal: AbortSignal.any(signals) });
    if (response.status !== 401) return response;
    // Another call may have been given one meanwhile.
    if (sessionStorage.getItem(KEY) === token) await tokenFromReader(token !== null);
  }
}

let asking = null;

function tokenFromReader(refused) {
  asking ??= new Promise((resolve) => {
    const dialog = byId("token-dialog");
    if (refused) byId("token-note").textContent = "The server does not know that token. Try another one.";
    byId("token-form").addEventListener(
      "submit",
      (event) => {
        event.preventDefault();
        sessionStorage.setItem(KEY, byId("token").value.trim());
        byId("token").value = "";
        asking = null;
        dialog.onclose = null;
        dialog.close();
        resolve();
      },
      { once: true },
    );
    // There is nothing to go back to without one.
    dialog.onclose = () => dialog.showModal();
    dialog.showModal();
  });
  return asking;
}

/** Whether calls of this server carry a token. */
export const hasToken = () => sessionStorage.getItem(KEY) !== null;
