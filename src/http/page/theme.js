// Light or dark: as the system has it, unless the button said otherwise. It runs before the first paint.
"use strict";
{
  const KEY = "crest-theme";
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const root = document.documentElement;
  const system = () => (dark.matches ? "dark" : "light");
  const shown = () => root.dataset.theme ?? system();

  // A browser that forbids storage throws at the mere look.
  const stored = (act) => {
    try {
      return act(localStorage);
    } catch {
      return null;
    }
  };

  const chosen = stored((storage) => storage.getItem(KEY));
  if (chosen === "dark" || chosen === "light") root.dataset.theme = chosen;

  document.addEventListener("DOMContentLoaded", () => {
    const button = document.getElementById("theme");
    const tell = () => button.setAttribute("aria-pressed", String(shown() === "dark"));
    button.addEventListener("click", () => {
      const wanted = shown() === "dark" ? "light" : "dark";
      if (wanted === system()) {
        delete root.dataset.theme;
        stored((storage) => storage.removeItem(KEY));
      } else {
        root.dataset.theme = wanted;
        stored((storage) => storage.setItem(KEY, wanted));
      }
      tell();
    });
    dark.addEventListener("change", tell);
    tell();
  });
}
