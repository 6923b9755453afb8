// How points are projected, coloured, drawn and turned: with WebGL 2, or else with the 2-D canvas.
// One hidden WebGL canvas serves all views, since browsers allow only a few WebGL contexts a page.

// 33 nodes of matplotlib's viridis (CC0); between them colours are interpolated.
const VIRIDIS =
  "440154470d6048186a482374472d7b4537814240863e49893b528b375b8d33638d2f6b8e2c728e297a8e26828e" +
  "23898e21918c1f978b1f9f8821a68527ad8131b57b3dbc744cc26c5cc8636ece5881d34d95d840aadc32c0df25" +
  "d5e21aeae51afde725";
// The part of the map that stands out from the panel: no yellow on white, no violet on black.
const SPAN = { light: [0, 0.92], dark: [0.16, 1] };
const EYE = 4; // distance of the eye from the centre, in radii
const FADE = 0.25; // how far the farthest points fade into the panel
const RIM = { from: 0.72, shade: 0.72 }; // each disc has a darker rim, so that neighbours part

const clamp = (x, low, high) => Math.min(high, Math.max(low, x));
const mix = (a, b, t) => a.map((x, i) => x + (b[i] - x) * t);
const css = (colour) => `rgb(${colour.map(Math.round).join(" ")})`;
const rgb = (hex) => [0, 2, 4].map((j) => parseInt(hex.substr(j, 2), 16));

function readTheme() {
  const [low, high] = SPAN[matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light"];
  const map = Array.from({ length: 256 }, (_, step) => {
    const x = 32 * (low + ((high - low) * step) / 255), i = Math.min(31, Math.floor(x));
    return mix(rgb(VIRIDIS.substr(6 * i, 6)), rgb(VIRIDIS.substr(6 * i + 6, 6)), x - i);
  });
  const panel = getComputedStyle(document.documentElement).getPropertyValue("--panel").trim();
  return { map, panel: rgb(panel.slice(1)) };
}

// ------------------------------------------------------------------ geometry
// The camera turns about the vertical z axis, then tilts; depth grows away from the eye.
function lookThrough({ camera, canvas, group, count }) {
  const side = Math.min(canvas.width, canvas.height);
  return {
    cosTurn: Math.cos(camera.turn), sinTurn: Math.sin(camera.turn),
    cosTilt: Math.cos(camera.tilt), sinTilt: Math.sin(camera.tilt),
    scale: (0.45 * side * camera.zoom) / group.radius,
    disc: clamp((0.4 * side) / Math.sqrt(count), 1, 0.02 * side) * Math.sqrt(camera.zoom),
  };
}

function project({ points, count, group, canvas, screen }, lens) {
  for (let i = 0; i < count; i++) {
    const x = points[3 * i], y = points[3 * i + 1], z = points[3 * i + 2];
    const behind = lens.cosTurn * y - lens.sinTurn * x;
    const depth = (lens.cosTilt * behind - lens.sinTilt * z) / group.radius;
    const near = (lens.scale * EYE) / (EYE + depth);
    screen[3 * i] = canvas.width / 2 + near * (lens.cosTurn * x + lens.sinTurn * y);
    screen[3 * i + 1] = canvas.height / 2 - near * (lens.cosTilt * z + lens.sinTilt * behind);
    screen[3 * i + 2] = depth;
  }
}

// Far points first, so that discs with soft edges blend rightly: a counting sort by depth.
function sortByDepth({ screen, count, order }) {
  const starts = new Uint32Array(4097);
  const bin = (i) => clamp(Math.floor((1 - screen[3 * i + 2]) * 2047.5), 0, 4095);
  for (let i = 0; i < count; i++) starts[bin(i) + 1]++;
  for (let b = 0; b < 4096; b++) starts[b + 1] += starts[b];
  for (let i = 0; i < count; i++) order[starts[bin(i)]++] = i;
}

// ------------------------------------------------------------------ WebGL 2
const VERTEX = `#version 300 es
  in vec3 position;
  in float value;
  uniform vec4 angles;
  uniform vec2 fit, range;
  uniform float radius, disc;
  uniform vec3 panel;
  uniform sampler2D map;
  out vec3 colour;
  out float size;
  void main() {
    float behind = angles.x * position.y - angles.y * position.x;
    float depth = (angles.z * behind - angles.w * position.z) / radius;
    float near = ${EYE}.0 / (${EYE}.0 + depth);
    vec2 at = vec2(angles.x * position.x + angles.y * position.y,
                   angles.z * position.z + angles.w * behind);
    gl_Position = vec4(fit * near * at, 0, 1);
    size = 2.0 * disc * near + 1.0;
    gl_PointSize = size;
    float t = range.y > range.x ? clamp((value - range.x) / (range.y - range.x), 0.0, 1.0) : 0.5;
    float fade = ${FADE} * clamp(0.5 + 0.5 * depth, 0.0, 1.0);
    colour = mix(texture(map, vec2((t * 255.0 + 0.5) / 256.0, 0.5)).rgb, panel, fade);
  }`;
const FRAGMENT = `#version 300 es
  precision mediump float;
  in vec3 colour;
  in float size;
  out vec4 shown;
  void main() {
    float away = length(2.0 * gl_PointCoord - 1.0), edge = 2.0 / size;
    float cover = 1.0 - smoothstep(1.0 - edge, 1.0, away);
    float rim = smoothstep(${RIM.from} - edge, ${RIM.from} + edge, away);
    shown = vec4(colour * mix(1.0, ${RIM.shade}, rim), 1.0) * cover;
  }`;

function link(gl) {
  const program = gl.createProgram();
  for (const [type, source] of [[gl.VERTEX_SHADER, VERTEX], [gl.FRAGMENT_SHADER, FRAGMENT]]) {
    const shader = gl.createShader(type);
    gl.shaderSource(shader, source);
    gl.compileShader(shader);
    gl.attachShader(program, shader);
  }
  gl.linkProgram(program);
  return gl.getProgramParameter(program, gl.LINK_STATUS) ? program : null;
}

function upload(gl, data) {
  const buffer = gl.createBuffer();
  gl.bindBuffer(gl.ARRAY_BUFFER, buffer);
  gl.bufferData(gl.ARRAY_BUFFER, data, gl.STATIC_DRAW);
  return buffer;
}

function attribute(gl, program, name, buffer, size) {
  const index = gl.getAttribLocation(program, name);
  gl.bindBuffer(gl.ARRAY_BUFFER, buffer);
  gl.enableVertexAttribArray(index);
  gl.vertexAttribPointer(index, size, gl.FLOAT, false, 0, 0);
}

function prepare(gl, program) {
  gl.useProgram(program);
  gl.enable(gl.BLEND);
  gl.blendFunc(gl.ONE, gl.ONE_MINUS_SRC_ALPHA);
  gl.bindTexture(gl.TEXTURE_2D, gl.createTexture());
  gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_MIN_FILTER, gl.NEAREST);
  gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_MAG_FILTER, gl.NEAREST);
  gl.bindBuffer(gl.ELEMENT_ARRAY_BUFFER, gl.createBuffer());
}

function webglPainter(onLost) {
  const hidden = document.createElement("canvas");
  const gl = hidden.getContext("webgl2", { antialias: false, depth: false });
  const program = gl && link(gl);
  if (!program) return null;
  hidden.addEventListener("webglcontextlost", onLost);
  prepare(gl, program);
  const uniform = (name) => gl.getUniformLocation(program, name);

  function retheme(theme) {
    const row = Uint8Array.from(theme.map.flat(), Math.round);
    gl.texImage2D(gl.TEXTURE_2D, 0, gl.RGB, 256, 1, 0, gl.RGB, gl.UNSIGNED_BYTE, row);
    gl.uniform3f(uniform("panel"), ...theme.panel.map((c) => c / 255));
  }

  function paint(view, lens) {
    const { group, canvas: { width, height } } = view;
    hidden.width < width && (hidden.width = width);
    hidden.height < height && (hidden.height = height);
    view.buffers ??= { points: upload(gl, view.points), values: view.values.map((v) => upload(gl, v)) };
    gl.viewport(0, 0, width, height);
    gl.clear(gl.COLOR_BUFFER_BIT);
    attribute(gl, program, "position", view.buffers.points, 3);
    attribute(gl, program, "value", view.buffers.values[group.channel], 1);
    gl.uniform4f(uniform("angles"), lens.cosTurn, lens.sinTurn, lens.cosTilt, lens.sinTilt);
    gl.uniform2f(uniform("fit"), (2 * lens.scale) / width, (2 * lens.scale) / height);
    gl.uniform2f(uniform("range"), ...group.channels[group.channel].range);
    gl.uniform1f(uniform("radius"), group.radius);
    gl.uniform1f(uniform("disc"), lens.disc);
    gl.bufferData(gl.ELEMENT_ARRAY_BUFFER, view.order, gl.STREAM_DRAW);
    gl.drawElements(gl.POINTS, view.count, gl.UNSIGNED_INT, 0);
    view.context.drawImage(hidden, 0, hidden.height - height, width, height, 0, 0, width, height);
  }
  return { name: "webgl2", paint, retheme };
}

// ------------------------------------------------------------------ 2-D canvas
function canvasPainter() {
  let theme;
  function paint({ context, screen, order, group, values }, lens) {
    const [low, high] = group.channels[group.channel].range;
    for (const i of order) {
      const depth = screen[3 * i + 2], size = (lens.disc * EYE) / (EYE + depth);
      const t = high > low ? clamp((values[group.channel][i] - low) / (high - low), 0, 1) : 0.5;
      const fade = FADE * clamp(0.5 + 0.5 * depth, 0, 1);
      const colour = mix(theme.map[Math.round(255 * t)], theme.panel, fade);
      for (const [part, shade] of [[1, RIM.shade], [RIM.from, 1]]) {
        context.fillStyle = css(colour.map((c) => c * shade));
        context.beginPath();
        context.arc(screen[3 * i], screen[3 * i + 1], size * part, 0, 2 * Math.PI);
        context.fill();
      }
    }
  }
  return { name: "canvas", paint, retheme: (fresh) => (theme = fresh) };
}

// ------------------------------------------------------------------ views of one shape each
const HOME = { turn: -0.6, tilt: 0.32, zoom: 1 };

const bytes = (base64) => Uint8Array.from(atob(base64), (c) => c.charCodeAt(0)).buffer;

function newView(canvas, group, of) {
  return { canvas, group, context: canvas.getContext("2d"), marked: null, drawn: false, held: new Map(), ...of };
}

function setPoints(view, points, values) {
  const count = points.length / 3;
  Object.assign(view, { points, count, values, buffers: undefined, drawn: false,
    screen: new Float32Array(3 * count), order: new Uint32Array(count) });
}

function draw(view) {
  const { canvas, context } = view, lens = lookThrough(view);
  context.clearRect(0, 0, canvas.width, canvas.height);
  project(view, lens);
  sortByDepth(view);
  painter.paint(view, lens);
  if (view.marked !== null) ring(view, lens);
  view.drawn = true;
}

function ring({ context, screen, marked }, lens) {
  const ink = getComputedStyle(document.body);
  for (const [width, colour] of [[5, ink.backgroundColor], [2, ink.color]]) {
    context.beginPath();
    context.arc(screen[3 * marked], screen[3 * marked + 1], lens.disc + 5 * density(), 0, 7);
    context.lineWidth = width * density();
    context.strokeStyle = colour;
    context.stroke();
  }
}

// A pointer that holds a view turns it, two of them zoom it. `moved` draws it then, and `pointed`
// is told of pointers that hold nothing.
function letHold(view, moved, pointed = () => {}) {
  const { canvas, held } = view;
  const spread = () => { const [a, b] = [...held.values()]; return Math.hypot(a.x - b.x, a.y - b.y); };
  canvas.addEventListener("pointerdown", (event) => {
    held.set(event.pointerId, { x: event.clientX, y: event.clientY });
    canvas.setPointerCapture(event.pointerId);
  });
  canvas.addEventListener("pointermove", (event) => {
    const last = held.get(event.pointerId), rate = 4 / canvas.clientWidth;
    if (!last) return pointed(event);
    const before = held.size === 2 && spread();
    held.set(event.pointerId, { x: event.clientX, y: event.clientY });
    if (before) moveCamera(view, 0, 0, spread() / before);
    else moveCamera(view, (last.x - event.clientX) * rate, (event.clientY - last.y) * rate);
    moved(view);
  });
  for (const end of ["pointerup", "pointercancel"])
    canvas.addEventListener(end, (event) => held.delete(event.pointerId));
}

function moveCamera({ camera }, turn, tilt, zoom = 1) {
  camera.turn += turn;
  camera.tilt = clamp(camera.tilt + tilt, -Math.PI / 2, Math.PI / 2);
  camera.zoom = clamp(camera.zoom * zoom, 0.3, 20);
}
