// What is wider than the page scrolls by itself: then it takes the focus, so that arrow keys scroll
// it, and says what it is.

function markScroller(box) {
  const scrolls = box.scrollWidth > box.clientWidth + 1;
  box.classList.toggle("scrolls", scrolls);
  if (!scrolls) return ["tabindex", "role", "aria-label"].forEach((name) => box.removeAttribute(name));
  box.tabIndex = 0;
  box.setAttribute("role", "group");
  box.setAttribute("aria-label", `${box.dataset.what || nameOf(box)}, wider than the page`);
}

// Its caption, or the heading above.
function nameOf(box) {
  const heading = box.closest("section")?.querySelector("h2");
  return (box.querySelector("caption") ?? heading)?.textContent.trim() || "Table";
}

const widths = new ResizeObserver((entries) => entries.forEach((entry) => markScroller(entry.target.closest(".scroller"))));
for (const box of document.querySelectorAll(".scroller"))
  for (const part of [box, ...box.children]) widths.observe(part);
