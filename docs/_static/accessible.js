// What the theme leaves out for those who hear a page, or have no mouse.
document.addEventListener("DOMContentLoaded", () => {
  for (const caption of document.querySelectorAll('.caption[role="heading"]')) caption.ariaLevel = "2";
  document.querySelector(".sidebar-drawer")?.setAttribute("aria-label", "All pages");
  document.querySelector(".toc-drawer")?.setAttribute("aria-label", "This page");
  const article = document.querySelector("article[role=main], #furo-main-content");
  if (article && !document.querySelector("h1"))
    article.insertAdjacentHTML("afterbegin", "<h1>Search</h1>");

  // What scrolls takes the focus, so that arrow keys scroll it.
  const mark = (box) => (box.scrollWidth > box.clientWidth ? (box.tabIndex = 0) : box.removeAttribute("tabindex"));
  const widths = new ResizeObserver((entries) => entries.forEach((entry) => mark(entry.target)));
  document.querySelectorAll(".table-wrapper, pre, .cell_output .output").forEach((box) => widths.observe(box));
});
