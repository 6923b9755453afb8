// When canvases of points are drawn: those on the screen first, then all others, a few each frame,
// so that a page is whole when it is printed or taken a picture of. All of them together hold no
// more pixels than a phone gives a page; where that is too few, those off the screen give theirs.

const ROOM = 2 ** 25; // pixels of all canvases together: 128 MB
const PATIENCE = 12; // milliseconds that a frame takes for what is not on the screen
const shown = new Map(); // the view of each canvas
const onScreen = new Set();
const rethemed = []; // what else to do when the colours change
let pixels = 0, asked = false, took = 0;
let animate = () => null; // moves views before a frame; returns the milliseconds to the next, if any

// Finer pixels than these nobody sees on dots, but a phone has to hold them.
const density = () => Math.min(devicePixelRatio, 2);
const sideOf = (view) => Math.round(view.canvas.clientWidth * density());

const sizes = new ResizeObserver((entries) => entries.forEach((entry) => redrawn(shown.get(entry.target))));
const sight = new IntersectionObserver((entries) => {
  for (const { target, isIntersecting } of entries)
    isIntersecting ? onScreen.add(shown.get(target)) : onScreen.delete(shown.get(target));
  askFrame();
}, { rootMargin: "80px" });

function show(view) {
  shown.set(view.canvas, view);
  view.canvas.width = view.canvas.height = 0;
  sizes.observe(view.canvas);
  sight.observe(view.canvas);
}

function redrawn(view) {
  view.drawn = false;
  askFrame();
}

function askFrame() {
  if (!asked) requestAnimationFrame(frame);
  asked = true;
}

function frame(now) {
  asked = false;
  const begun = performance.now(), pause = animate(now, took);
  for (const view of onScreen) if (!view.drawn) paintOne(view);
  took = performance.now() - begun;
  paintOthers(performance.now() + PATIENCE);
  if (pause !== null) setTimeout(askFrame, pause);
}

function paintOthers(late) {
  for (const view of shown.values()) {
    if (view.drawn || !view.points || pixels + sideOf(view) ** 2 > ROOM) continue;
    if (performance.now() > late) return askFrame();
    paintOne(view);
  }
}

function paintOne(view) {
  const side = sideOf(view);
  if (!side || !view.points) return;
  for (const other of shown.values()) {
    if (pixels + side ** 2 <= ROOM) break;
    if (!onScreen.has(other)) resize(other, 0);
  }
  resize(view, side);
  draw(view);
}

function resize(view, side) {
  const { canvas } = view;
  if (canvas.width === side) return;
  pixels += side ** 2 - canvas.width ** 2;
  canvas.width = canvas.height = side;
  view.drawn = false;
}

// ------------------------------------------------------------------ colours of the page
let theme, painter;

function choosePainter(chosen) {
  painter = chosen;
  document.documentElement.dataset.painter = painter.name;
  retheme();
}

function retheme() {
  theme = readTheme();
  painter.retheme(theme);
  shown.forEach(redrawn);
  rethemed.forEach((redo) => redo());
}

function whenRethemed(redo) {
  rethemed.push(redo);
  redo();
}

// A phone takes the graphics card away when it likes; the 2-D canvas goes on.
choosePainter(webglPainter(() => choosePainter(canvasPainter())) ?? canvasPainter());
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", retheme);
