// Runs in <head>, before anything is shown: the scheme that was chosen earlier, where the browser keeps it, else the system's.
// A button with data-theme-switch goes through system, light, dark.
(() => {
  "use strict";
  const KEY = "vidfer-theme", CHOICES = ["system", "light", "dark"], root = document.documentElement;
  let chosen = "system";
  try {
    chosen = localStorage.getItem(KEY) ?? "system";
  } catch { /* not allowed for this page: the choice lasts until it is closed */ }
  const show = () => {
    if (CHOICES.indexOf(chosen) < 1) delete root.dataset.theme;
    else root.dataset.theme = chosen;
    for (const button of document.querySelectorAll("[data-theme-switch]")) button.textContent = `Colours: ${chosen}`;
  };
  show();
  document.addEventListener("DOMContentLoaded", () => {
    show();
    document.addEventListener("click", (event) => {
      if (!(event.target instanceof Element) || !event.target.closest("[data-theme-switch]")) return;
      chosen = CHOICES[(CHOICES.indexOf(chosen) + 1) % CHOICES.length];
      try {
        localStorage.setItem(KEY, chosen);
      } catch { /* as above */ }
      show();
      document.dispatchEvent(new Event("themechange"));
    });
  });
})();
