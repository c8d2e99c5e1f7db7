// Data, small helpers, and what is chosen. Everything below shares this scope.
const $ = (id) => document.getElementById(id);
const D = JSON.parse($("data").textContent);
const R = D.runs;
const N = R.seed.length;
const MANY = D.configs.length > 8; // more than colours and shapes can tell apart
const state = { plane: null, strip: null, search: "", event: "", config: "", from: "", to: "", open: -1 };
const listeners = [];

function fill(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes || {})) {
    if (value !== null && value !== undefined) node.setAttribute(name, value);
  }
  for (const child of children) node.append(child);
  return node;
}
const el = (name, attributes, ...children) => fill(document.createElement(name), attributes, children);
const svg = (name, attributes, ...children) =>
  fill(document.createElementNS("http://www.w3.org/2000/svg", name), attributes, children);

const whole = (x) => x.toLocaleString("en-US", { maximumFractionDigits: 0 });
// Rounded as everywhere else: half to even, where the number is exactly between two (as only multiples of a power of a
// half can be; toFixed rounds those up).
function fixed(x, digits) {
  const halves = Math.abs(x) * 2 ** (digits + 1), unit = 10 ** digits;
  if (!Number.isInteger(halves) || halves % 2 === 0) return x.toFixed(digits);
  const below = Math.floor(Math.abs(x) * unit);
  return ((Math.sign(x) * (below + (below % 2))) / unit).toFixed(digits);
}
function signed(x) {
  const text = fixed(Math.abs(x), 2);
  return (x < 0 && +text ? "\u2212" : "+") + text;
}
const share = (x) => (x === null ? "not identified" : fixed(x, 2));
// A time that is censored is never a number.
const time = (x, lower) => (x === null ? `censored (beyond ${whole(lower)})` : whole(x));
function place(i) {
  if (R.x[i] !== null) return signed(R.x[i]);
  if (R.x_lower[i] !== null) return `above ${signed(R.x_lower[i])}`;
  return R.x_upper[i] !== null ? `below ${signed(R.x_upper[i])}` : "not identified";
}
const EVENT = { removed: "removed", catastrophe: "catastrophe", censored: "neither" };
const short = (name) => name.split(".").pop();
const label = (i) => D.configs[R.config[i]].label;
const words = (v) => (typeof v === "number" && !Number.isInteger(v) ? String(+v.toPrecision(4)) : String(v));
// Where a run is on the spectrum: its margin, or what that is at least.
const spot = (i) => R.margin[i] ?? R.margin_lower[i];
const marginOf = (i) => (R.margin[i] !== null ? signed(R.margin[i]) : R.margin_lower[i] !== null ? `above ${signed(R.margin_lower[i])}` : "not identified");
// Points that fall together are moved apart a little, each run always by the same amount.
function noise(i, salt) {
  const x = Math.sin(i * 127.1 + salt * 311.7) * 43758.5453;
  return x - Math.floor(x) - 0.5;
}

// Where the spectrum draws it: where there are too many configurations to draw runs, that is where its configuration is.
const ROOMY = D.configs.length <= 12;
const middle = (c) => c.margin.median ?? c.margin.low ?? c.margin.high;
const drawnAt = (i) => (ROOMY ? spot(i) : middle(D.configs[R.config[i]]));

function unpack(text) {
  const bytes = Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Response(stream).arrayBuffer();
}

function chosen(i) {
  const x = spot(i);
  if (state.event && R.event[i] !== state.event) return false;
  if (state.config !== "" && R.config[i] !== +state.config) return false;
  if (state.from !== "" && !(x !== null && x >= +state.from)) return false;
  if (state.to !== "" && !(x !== null && x <= +state.to)) return false;
  const at = drawnAt(i);
  if (state.strip && !(at !== null && at >= state.strip[0] && at <= state.strip[1])) return false;
  if (state.plane && !inPlane(i, state.plane)) return false;
  if (!state.search) return true;
  const text = `seed ${R.seed[i]} ${label(i)} ${R.id[i]}`.toLowerCase();
  return state.search.toLowerCase().split(/\s+/).every((word) => text.includes(word) || String(R.seed[i]) === word);
}
function refresh() {
  const mask = new Array(N);
  for (let i = 0; i < N; i++) mask[i] = chosen(i);
  for (const listener of listeners) listener(mask);
}

// Axes.
const log = (x) => Math.log10(Math.max(x, 0.7));
function linear(domain, range) {
  const f = (x) => range[0] + ((x - domain[0]) / (domain[1] - domain[0])) * (range[1] - range[0]);
  f.back = (y) => domain[0] + ((y - range[0]) / (range[1] - range[0])) * (domain[1] - domain[0]);
  return f;
}
function decades(end) {
  const found = [];
  for (let t = 1; t <= end; t *= 10) found.push(t);
  return found;
}
const brief = (t) => (t >= 1e6 ? `${t / 1e6}M` : t >= 1e4 ? `${t / 1e3}k` : whole(t));
const wide = (node, most) => Math.min(most, Math.max(280, node.clientWidth || 600));

// The outline of each shape within a radius r, so that shapes differ where colours do not.
const SHAPES = [
  (r) => `M${-r},0a${r},${r} 0 1 0 ${2 * r},0a${r},${r} 0 1 0 ${-2 * r},0Z`,
  (r) => `M${-r * 0.9},${-r * 0.9}h${r * 1.8}v${r * 1.8}h${-r * 1.8}Z`,
  (r) => `M0,${-r * 1.25}L${r * 1.25},0L0,${r * 1.25}L${-r * 1.25},0Z`,
  (r) => `M${-r * 1.1},${-r * 0.9}H${r * 1.1}L0,${r * 1.15}Z`,
  (r) => `M${-r * 0.4},${-r * 1.2}h${r * 0.8}v${r * 0.8}h${r * 0.8}v${r * 0.8}h${-r * 0.8}v${r * 0.8}h${-r * 0.8}v${-r * 0.8}h${-r * 0.8}v${-r * 0.8}h${r * 0.8}Z`,
  (r) => `M${-r},${-r * 0.4}L${-r * 0.4},${-r}L0,${-r * 0.6}L${r * 0.4},${-r}L${r},${-r * 0.4}L${r * 0.6},0L${r},${r * 0.4}L${r * 0.4},${r}L0,${r * 0.6}L${-r * 0.4},${r}L${-r},${r * 0.4}L${-r * 0.6},0Z`,
  (r) => `M${-r * 1.1},0L${-r * 0.55},${-r}H${r * 0.55}L${r * 1.1},0L${r * 0.55},${r}H${-r * 0.55}Z`,
  (r) => `M0,${-r * 1.3}L${r * 0.4},${-r * 0.4}L${r * 1.3},${-r * 0.3}L${r * 0.6},${r * 0.3}L${r * 0.8},${r * 1.2}L0,${r * 0.7}L${-r * 0.8},${r * 1.2}L${-r * 0.6},${r * 0.3}L${-r * 1.3},${-r * 0.3}L${-r * 0.4},${-r * 0.4}Z`,
];
const ARROW = (r) => `M${-r},${-r}L${r * 1.2},0L${-r},${r}Z`; // to the right
const shapeOf = (config) => SHAPES[MANY ? 0 : config % SHAPES.length];
// What came first has one colour everywhere; configurations differ by shape.
const RACE = { removed: "won", catastrophe: "lost", censored: "neither" };
const raceOf = (i) => RACE[R.event[i]];

// A row of a legend: a little drawing and its words.
const key = (drawing, text, cls) => {
  const picture = svg("svg", { viewBox: "0 0 26 14", "aria-hidden": "true" });
  picture.append(drawing);
  return el("span", { class: cls || null }, picture, text);
};

// Dragging over a chart. `act(x0, y0, x1, y1)` in chart units while dragging, `click(x, y)` where nothing was dragged.
function draggable(picture, act, click) {
  let from = null;
  const at = (event) => {
    const box = picture.getBoundingClientRect();
    const scale = picture.viewBox.baseVal.width / box.width;
    return [(event.clientX - box.left) * scale, (event.clientY - box.top) * scale];
  };
  picture.addEventListener("pointerdown", (event) => {
    if (event.button !== 0) return;
    from = at(event);
    picture.setPointerCapture(event.pointerId);
  });
  picture.addEventListener("pointermove", (event) => {
    if (!from) return;
    const to = at(event);
    if (Math.hypot(to[0] - from[0], to[1] - from[1]) > 4) act(from[0], from[1], to[0], to[1]);
  });
  picture.addEventListener("pointerup", (event) => {
    if (!from) return;
    const to = at(event);
    if (Math.hypot(to[0] - from[0], to[1] - from[1]) <= 4) click(to[0], to[1]);
    from = null;
  });
  picture.addEventListener("pointercancel", () => (from = null));
}
