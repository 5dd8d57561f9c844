// A table that is wider than its page scrolls; whoever has no mouse has to reach it by the Tab key to do so.
function reach() {
  for (const area of document.querySelectorAll(".md-typeset__scrollwrap")) {
    const scrolls = area.scrollWidth > area.clientWidth;
    area.toggleAttribute("tabindex", scrolls);
    if (!scrolls) continue;
    area.tabIndex = 0;
    area.setAttribute("role", "region");
    area.setAttribute("aria-label", "Table, scrolls sideways");
  }
}
addEventListener("load", reach);
addEventListener("resize", reach);
