// Brings every <div class="point-views"> to life: cameras, channels, legend, pointer and keyboard.

const groups = [];

function written(x) {
  const size = Math.abs(x);
  return size && (size < 1e-3 || size >= 1e5) ? x.toExponential(2) : String(+x.toPrecision(4));
}

const floats = (base64) => new Float32Array(bytes(base64));

// ------------------------------------------------------------------ channels
function showChannel(group) {
  const { name, range, beyond, note } = group.channels[group.channel];
  const part = (selector) => group.element.querySelector(selector);
  part(".name").textContent = name;
  part(".bar").style.background = `linear-gradient(to right, ${theme.map.map(css).join(",")})`;
  const ticks = [range[0], (range[0] + range[1]) / 2, range[1]].map(written);
  if (beyond[0]) ticks[0] = `≤ ${ticks[0]}`;
  if (beyond[1]) ticks[2] = `≥ ${ticks[2]}`;
  part(".ticks").replaceChildren(...ticks.map((text) => {
    const tick = document.createElement("span");
    tick.textContent = text;
    return tick;
  }));
  part(".note").textContent = note;
  for (const view of group.views) {
    redrawn(view);
    view.canvas.setAttribute("aria-label",
      `${view.title}: ${view.count} points in 3-D, coloured by ${name} from ${ticks[0]} to ${ticks[2]}. ` +
      "Arrow keys turn, plus and minus zoom, 0 resets.");
  }
  mark(group, null, null);
}

// ------------------------------------------------------------------ pointing at a point
function mark(group, pointed, index) {
  for (const view of group.views) {
    const marked = (group.linked || view === pointed) && index < view.count ? index : null;
    if (marked !== view.marked) redrawn(view);
    view.marked = marked;
  }
  const shown = group.views.filter((view) => view.marked !== null);
  const parts = shown.map((view) => `${view.title} ${view.values[group.channel][index].toPrecision(7)}`);
  group.element.querySelector(".readout").textContent =
    parts.length ? `Point ${index}: ${parts.join(" · ")}` : "Point at a point to read its value.";
}

function nearest(view, x, y) {
  let best = null, closest = (14 * density()) ** 2, front = Infinity;
  const within = (6 * density()) ** 2;
  for (let i = 0; i < view.count; i++) {
    const away = (view.screen[3 * i] - x) ** 2 + (view.screen[3 * i + 1] - y) ** 2;
    const depth = away < within ? view.screen[3 * i + 2] : 1e9 + away;
    if (away < closest && depth < front) [best, front] = [i, depth];
  }
  return best;
}

// ------------------------------------------------------------------ camera
function move(view, turn, tilt, zoom = 1) {
  moveCamera(view, turn, tilt, zoom);
  moved(view);
}

function moved(view) {
  (view.group.linked ? view.group.views : [view]).forEach(redrawn);
}

function listen(view) {
  const { canvas, group } = view;
  letHold(view, moved, (event) => mark(group, view, nearest(view, ...inside(canvas, event))));
  canvas.addEventListener("pointerleave", () => mark(group, view, null));
  canvas.addEventListener("wheel", (event) => zoomOrHint(view, event), { passive: false });
  canvas.addEventListener("keydown", (event) => pressed(view, event));
}

function inside(canvas, event) {
  const box = canvas.getBoundingClientRect(), scale = canvas.width / box.width;
  return [(event.clientX - box.left) * scale, (event.clientY - box.top) * scale];
}

// A page that scrolls past a view must not be caught by it: the wheel zooms a view that has the
// focus (one click), or with Ctrl, which is also what a touchpad's pinch sends.
function zoomOrHint(view, event) {
  if (document.activeElement !== view.canvas && !event.ctrlKey) {
    view.hint.classList.add("shown");
    clearTimeout(view.hiding);
    view.hiding = setTimeout(() => view.hint.classList.remove("shown"), 1200);
    return;
  }
  event.preventDefault();
  move(view, 0, 0, Math.exp(-0.0015 * event.deltaY * (event.deltaMode ? 30 : 1)));
}

function pressed(view, event) {
  const step = 0.1;
  const actions = {
    ArrowLeft: [step, 0], ArrowRight: [-step, 0], ArrowUp: [0, -step], ArrowDown: [0, step],
    "+": [0, 0, 1.15], "=": [0, 0, 1.15], "-": [0, 0, 1 / 1.15],
  };
  if (event.key === "0") home(view.group);
  else if (actions[event.key]) move(view, ...actions[event.key]);
  else return;
  event.preventDefault();
}

function home(group) {
  group.views.forEach((view) => Object.assign(view.camera, HOME));
  group.views.forEach(redrawn);
}

// ------------------------------------------------------------------ start
function start(element) {
  const data = JSON.parse(element.querySelector("script").textContent);
  const group = { element, channel: 0, ...data };
  const shared = { ...HOME };
  group.views = data.views.map((told, i) => startView(group, told, i, shared));
  element.querySelector("label").hidden = group.channels.length === 1;
  element.querySelector("select").addEventListener("change", (event) => {
    group.channel = +event.target.value;
    showChannel(group);
  });
  element.querySelector("button").addEventListener("click", () => home(group));
  groups.push(group);
}

function startView(group, told, i, shared) {
  const box = group.element.querySelectorAll(".view")[i], canvas = box.querySelector("canvas");
  const view = newView(canvas, group, { title: told.title, hint: box.querySelector(".hint"),
    camera: group.linked ? shared : { ...HOME } });
  setPoints(view, floats(told.points), told.values.map(floats));
  listen(view);
  show(view);
  return view;
}

document.querySelectorAll(".point-views").forEach(start);
whenRethemed(() => groups.forEach(showChannel));
