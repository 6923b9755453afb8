// Turns the shapes of each cluster's row, and shows the map with the shape under the pointer.

const SPEED = 0.6; // radians a second
const PAUSE = 40; // milliseconds between two frames, at least; as long as drawing took, if longer
const REACH = 14; // how near, in CSS pixels, the pointer must come to a dot of the map
const NAMED = 200; // entries of the legend at most

const told = JSON.parse(document.querySelector("#gallery-data").textContent);
const packed = told.points && new Int16Array(bytes(told.points));
const packedTurned = told.turned && new Int16Array(bytes(told.turned));
const group = { radius: 1, channel: 0, channels: [{ range: [0, 1] }] };
const still = matchMedia("(prefers-reduced-motion: reduce)").matches;
const state = { turning: !still, last: performance.now() };

function element(name, text = "", of = {}) {
  return Object.assign(document.createElement(name), { textContent: text, ...of });
}

// ------------------------------------------------------------------ shapes
// The colour of a point is its distance from the centroid, which no rotation changes.
function setShape(view, shape, from = packed) {
  const count = told.count, points = new Float32Array(3 * count), radii = new Float32Array(count);
  for (let i = 0; i < 3 * count; i++) points[i] = from[3 * count * shape + i] / 32767;
  for (let i = 0; i < count; i++)
    radii[i] = Math.hypot(points[3 * i], points[3 * i + 1], points[3 * i + 2]);
  setPoints(view, points, [radii]);
}

function startView(canvas, shape, from = packed) {
  const view = newView(canvas, group, { camera: { ...HOME } });
  if (shape !== null) setShape(view, shape, from);
  show(view);
  letHold(view, redrawn);
  return view;
}

// Views of this script turn, those of others on the page do not.
animate = (now, took) => {
  const passed = clamp(now - state.last, 0, 200) / 1000;
  state.last = now;
  const turning = state.turning ? [...onScreen].filter((view) => view.group === group) : [];
  for (const view of turning.filter((view) => !view.held.size)) {
    view.camera.turn += SPEED * passed;
    view.drawn = false;
  }
  return turning.length ? Math.max(PAUSE, took) : null;
};

// ------------------------------------------------------------------ the map
// Neighbouring numbers get hues far apart; those 8 and 13 apart, whose hues are near, differ in
// lightness.
function colour(number) {
  return number < 0 ? "#8a929b" : `hsl(${(number * 137.508) % 360} 58% ${[48, 66, 38][number % 3]}%)`;
}

function startMap(box) {
  const canvas = box.querySelector("canvas.dots"), places = new Int16Array(bytes(told.map.places));
  const map = { box, canvas, places, context: canvas.getContext("2d"), pointed: null, only: null,
    by: "cluster", readout: box.querySelector("output"), view: null };
  const preview = box.querySelector("canvas.preview");
  if (packed && preview) map.view = startView(preview, null);
  new ResizeObserver(() => {
    canvas.width = Math.round(canvas.clientWidth * devicePixelRatio);
    canvas.height = Math.round(canvas.clientHeight * devicePixelRatio);
    drawMap(map);
  }).observe(canvas);
  canvas.addEventListener("pointermove", (event) => pointAt(map, nearest(map, event)));
  canvas.addEventListener("click", () => openCluster(map));
  canvas.addEventListener("keydown", (event) => pressed(map, event));
  box.querySelector("select").addEventListener("change", (event) => {
    map.by = event.target.value;
    fillLegend(map);
    drawMap(map);
  });
  fillLegend(map);
  pointAt(map, 0);
  rethemed.push(() => drawMap(map));
}

const numberOf = (map, shape) => (map.by === "class" ? told.labels : told.clusters)[shape];

function dotAt({ canvas, places }, i) {
  const margin = 10 * devicePixelRatio;
  return [margin + ((places[2 * i] + 32767) / 65534) * (canvas.width - 2 * margin),
    margin + ((places[2 * i + 1] + 32767) / 65534) * (canvas.height - 2 * margin)];
}

function drawMap(map) {
  const { context, canvas, only, pointed } = map, scale = devicePixelRatio;
  const dots = told.map.shapes, size = clamp(90 / Math.sqrt(dots.length), 2, 5) * scale;
  context.clearRect(0, 0, canvas.width, canvas.height);
  dots.forEach((shape, i) => {
    context.globalAlpha = only === null || numberOf(map, shape) === only ? 0.85 : 0.1;
    context.fillStyle = colour(numberOf(map, shape));
    context.beginPath();
    context.arc(...dotAt(map, i), size, 0, 7);
    context.fill();
  });
  context.globalAlpha = 1;
  if (pointed === null) return;
  context.beginPath();
  context.arc(...dotAt(map, pointed), size + 4 * scale, 0, 7);
  context.lineWidth = 2 * scale;
  context.strokeStyle = getComputedStyle(canvas).color;
  context.stroke();
}

function nearest(map, event) {
  const box = map.canvas.getBoundingClientRect(), scale = map.canvas.width / box.width;
  const x = (event.clientX - box.left) * scale, y = (event.clientY - box.top) * scale;
  let best = null, closest = (REACH * devicePixelRatio) ** 2;
  told.map.shapes.forEach((_, i) => {
    const [dotX, dotY] = dotAt(map, i), away = (dotX - x) ** 2 + (dotY - y) ** 2;
    if (away < closest) [best, closest] = [i, away];
  });
  return best;
}

function pointAt(map, i) {
  if (i === map.pointed || i === null) return;
  map.pointed = i;
  const shape = told.map.shapes[i];
  const lines = [told.names[shape], `Cluster ${told.clusters[shape] + 1}`];
  if (told.labels) lines.push(told.classNames[told.labels[shape]]);
  map.readout.replaceChildren(...lines.map((line) => element("span", line)));
  if (map.view) {
    setShape(map.view, shape);
    redrawn(map.view);
  }
  drawMap(map);
}

function openCluster(map) {
  if (map.pointed === null) return;
  const row = document.querySelector(`#cluster-${told.clusters[told.map.shapes[map.pointed]] + 1}`);
  row.scrollIntoView({ behavior: still ? "auto" : "smooth", block: "center" });
}

function pressed(map, event) {
  const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
  const count = told.map.shapes.length;
  if (step) pointAt(map, ((map.pointed ?? -1) + step + count) % count);
  else if (event.key === "Enter") openCluster(map);
  else return;
  event.preventDefault();
}

function fillLegend(map) {
  map.only = null;
  const numbers = [...new Set(told.map.shapes.map((shape) => numberOf(map, shape)))];
  numbers.sort((a, b) => a - b);
  const entries = numbers.slice(0, NAMED).map((number) => {
    const name = map.by === "class" ? told.classNames[number] : `Cluster ${number + 1}`;
    const entry = element("button", name, { type: "button" });
    entry.style.setProperty("--swatch", colour(number));
    const show = (only) => () => { map.only = only; drawMap(map); };
    for (const event of ["pointerenter", "focus"]) entry.addEventListener(event, show(number));
    for (const event of ["pointerleave", "blur"]) entry.addEventListener(event, show(null));
    return entry;
  });
  if (numbers.length > NAMED) entries.push(element("span", `and ${numbers.length - NAMED} more`));
  map.box.querySelector(".map-legend").replaceChildren(...entries);
}

// ------------------------------------------------------------------ start
const places = new Map(told.indices.map((index, shape) => [index, shape]));
for (const figure of document.querySelectorAll(".cluster figure[data-index]"))
  for (const canvas of figure.querySelectorAll("canvas"))
    startView(canvas, places.get(+figure.dataset.index),
      canvas.classList.contains("turned") ? packedTurned : packed);
for (const swatch of document.querySelectorAll(".cluster [data-number]"))
  swatch.style.setProperty("--swatch", colour(+swatch.dataset.number));
const mapBox = document.querySelector(".cluster-map");
if (mapBox) startMap(mapBox);
const pause = document.querySelector("#turning");
const showPause = () => (pause.textContent = state.turning ? "Stop turning" : "Turn the shapes");
if (pause) {
  showPause();
  pause.addEventListener("click", () => {
    state.turning = !state.turning;
    showPause();
    askFrame();
  });
}
