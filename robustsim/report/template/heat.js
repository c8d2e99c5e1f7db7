// A sweep: a heat map over two axes (points where the design is no grid), or intervals along one.
const TONES = {
  m: { stops: [[213, 234, 245], [244, 199, 159], [143, 47, 0]], reach: [-2, 2], text: (c) => (c.margin.median !== null ? signed(c.margin.median) : c.margin.low !== null ? `> ${signed(c.margin.low)}` : c.margin.high !== null ? `< ${signed(c.margin.high)}` : "?") },
  p: { stops: [[213, 234, 245], [244, 199, 159], [143, 47, 0]], reach: [0, 1], text: (c) => share(c.p.estimate) },
};
// The colours reach as far as the margins do, within sense.
const FARTHEST = Math.max(...D.configs.map((c) => Math.abs(c.margin.median ?? 0)));
TONES.m.reach = FARTHEST > 1 ? [-2, 2] : FARTHEST > 0.5 ? [-1, 1] : [-0.5, 0.5];
// A bound says nothing of the race, so it gets no colour: where the median is not identified, there is none.
const heatOf = (c, what) => (what === "m" ? c.margin.median : c.p.estimate);
const known = (c, what) => heatOf(c, what) !== null;

function tone(value, { stops, reach }) {
  const s = Math.max(0, Math.min(1, (value - reach[0]) / (reach[1] - reach[0]))) * (stops.length - 1);
  const k = Math.min(stops.length - 2, Math.floor(s));
  return stops[k].map((a, j) => Math.round(a + (stops[k + 1][j] - a) * (s - k)));
}
const paint = (rgb) => `rgb(${rgb.join(",")})`;
const inkOn = (rgb) => (rgb[0] * 0.3 + rgb[1] * 0.59 + rgb[2] * 0.11 > 140 ? "#14171b" : "#ffffff");

function axisValues(k, configs) {
  const values = [...new Set(configs.map((c) => c.values[k]))];
  return values.every((v) => typeof v === "number") ? values.sort((a, b) => a - b) : values;
}
// Drawn designs have hardly two configurations with the same value: then all are points, over any two axes.
const GRID = D.configs.length >= D.swept.reduce((n, _, k) => n * axisValues(k, D.configs).length, 1) / 2;
function shownConfigs() {
  if (!GRID) return D.configs;
  const fixed = [...$("heat-choice").querySelectorAll("select[data-axis]")].map((s) => [+s.dataset.axis, +s.value]);
  return D.configs.filter((c) => fixed.every(([k, v]) => c.values[k] === axisValues(k, D.configs)[v]));
}
const inWords = (c) => {
  const margin = c.margin.median === null ? "margin not identified" : `margin ${signed(c.margin.median)}`;
  return `${c.label}: ${c.verdict}; ${margin}; P(catastrophe first) ${share(c.p.estimate)} [${share(c.p.low)}, ${share(c.p.high)}]; ${c.runs} runs`;
};

function drawHeat() {
  const configs = shownConfigs();
  if (D.swept.length === 1) return drawAlong(configs);
  const [xs, ys] = [axisValues(0, configs), axisValues(1, configs)];
  const cells = GRID && xs.length <= 60 && ys.length <= 60;
  const [a, b] = GRID ? [0, 1] : [+$("heat-across").value, +$("heat-up").value];
  const unknown = `; ${cells ? "grey and hatched" : "empty and dashed"} where the median is not identified`;
  $("heat-caption").textContent = `${D.swept[b]} (up) against ${D.swept[a]} (across)${$("heat-what").value === "m" ? unknown : ""}`;
  return cells ? drawCells(configs, xs, ys) : drawPoints(configs, a, b);
}

function frame(W, H) {
  const picture = svg("svg", { viewBox: `0 0 ${W} ${H}`, role: "img", "aria-label": `${$("heat-caption").textContent}; the table below has the numbers.` });
  const pattern = svg("pattern", { id: "hatch", width: 7, height: 7, patternUnits: "userSpaceOnUse", patternTransform: "rotate(45)" });
  pattern.append(svg("path", { d: "M0,0V7", stroke: "#14171b", "stroke-width": 1.6, opacity: 0.45 }));
  picture.append(svg("defs", {}, pattern));
  return picture;
}

function drawCells(configs, xs, ys) {
  const what = $("heat-what").value, node = $("heat");
  const W = wide(node, 1140), left = 58, bottom = 44, top = 6;
  const cw = (W - left - 6) / xs.length, ch = Math.max(18, 120 / ys.length, Math.min(70, 460 / ys.length)), H = top + ch * ys.length + bottom;
  const picture = frame(W, H);
  for (const c of configs) {
    const a = xs.indexOf(c.values[0]), b = ys.length - 1 - ys.indexOf(c.values[1]), value = heatOf(c, what);
    const box = { x: left + a * cw, y: top + b * ch, width: cw, height: ch };
    const rgb = value === null ? [150, 155, 160] : tone(value, TONES[what]);
    const cell = svg("rect", { class: "cell", ...box, fill: paint(rgb) });
    cell.append(svg("title", {}, inWords(c)));
    picture.append(cell);
    const text = TONES[what].text(c);
    const room = cw > text.length * 6.6 && ch >= 16;
    if (!known(c, what)) picture.append(svg("rect", { ...box, fill: "url(#hatch)", "pointer-events": "none" }));
    if (room) picture.append(svg("text", { x: box.x + cw / 2, y: box.y + ch / 2 + 4, "text-anchor": "middle", style: `fill:${inkOn(rgb)};font-weight:600`, "pointer-events": "none" }, text));
  }
  const every = Math.ceil(40 / cw);
  xs.forEach((v, a) => a % every === 0 && picture.append(svg("text", { x: left + (a + 0.5) * cw, y: H - bottom + 16, "text-anchor": "middle" }, words(v))));
  ys.forEach((v, b) => picture.append(svg("text", { x: left - 6, y: top + (ys.length - 0.5 - b) * ch + 4, "text-anchor": "end" }, words(v))));
  finish(picture, W, H, left, 0, 1);
}

function drawPoints(configs, a, b) {
  const what = $("heat-what").value, node = $("heat");
  const W = wide(node, 1140), H = 420, left = 58, bottom = 44;
  const picture = frame(W, H);
  const scale = (k, range) => {
    const values = axisValues(k, configs);
    if (!values.every((v) => typeof v === "number")) return { f: (v) => linear([-0.5, values.length - 0.5], range)(values.indexOf(v)), ticks: values };
    const [low, high] = [values[0], values[values.length - 1]];
    const useLog = low > 0 && high / low > 30;
    const f = linear(useLog ? [Math.log(low), Math.log(high)] : [low, high], range);
    const ticks = [0, 1, 2, 3, 4].map((s) => (useLog ? low * (high / low) ** (s / 4) : low + ((high - low) * s) / 4));
    return { f: (v) => f(useLog ? Math.log(v) : v), ticks };
  };
  const x = scale(a, [left + 8, W - 14]), y = scale(b, [H - bottom - 8, 14]);
  for (const t of x.ticks) picture.append(svg("text", { x: x.f(t), y: H - bottom + 16, "text-anchor": "middle" }, words(t)));
  for (const t of y.ticks) picture.append(svg("text", { x: left - 6, y: y.f(t) + 4, "text-anchor": "end" }, words(t)));
  picture.append(svg("path", { class: "axis", d: `M${left},6V${H - bottom}H${W - 6}` }));
  for (const c of configs) {
    const value = heatOf(c, what);
    const dot = svg("circle", { cx: x.f(c.values[a]), cy: y.f(c.values[b]), r: 6, fill: value === null ? "none" : paint(tone(value, TONES[what])), stroke: "var(--ink)", "stroke-width": known(c, what) ? 0.6 : 1.4, "stroke-dasharray": known(c, what) ? null : "2 2" });
    dot.append(svg("title", {}, inWords(c)));
    picture.append(dot);
  }
  finish(picture, W, H, left, a, b);
}

function finish(picture, W, H, left, a, b) {
  const what = $("heat-what").value, tones = TONES[what];
  picture.append(
    svg("text", { class: "ink", x: (left + W) / 2, y: H - 6, "text-anchor": "middle" }, D.swept[a]),
    svg("text", { class: "ink", transform: `translate(12,${(H - 44) / 2}) rotate(-90)`, "text-anchor": "middle" }, D.swept[b]),
  );
  $("heat").replaceChildren(picture);
  const rows = [0, 0.25, 0.5, 0.75, 1].map((s) => {
    const v = tones.reach[0] + s * (tones.reach[1] - tones.reach[0]);
    const end = what === "m" && s === 0 ? "\u2264 " : what === "m" && s === 1 ? "\u2265 " : "";
    return key(svg("rect", { width: 24, height: 12, x: 1, y: 1, fill: paint(tone(v, tones)) }), end + (what === "m" ? signed(v) : v));
  });
  if (what === "m") rows.unshift(el("span", {}, "below 0 the race is won"));
  $("heat-key").replaceChildren(...rows);
}

function drawAlong(configs) {
  const node = $("heat"), W = wide(node, 1140), H = 270, left = 44, bottom = 44, top = 10;
  $("heat-caption").textContent = `P(catastrophe first) with its 95% interval, and the median margin below each, along ${D.swept[0]}`;
  const xs = axisValues(0, configs), picture = frame(W, H);
  const step = (W - left - 10) / xs.length, y = linear([0, 1], [H - bottom - 22, top]);
  for (const v of [0, 0.5, 1]) picture.append(svg("path", { class: "grid", d: `M${left},${y(v)}H${W - 6}` }), svg("text", { x: left - 6, y: y(v) + 4, "text-anchor": "end" }, String(v)));
  const every = Math.ceil(54 / step);
  for (const c of configs) {
    const a = xs.indexOf(c.values[0]), x = left + (a + 0.5) * step;
    const whisker = svg("path", { class: "whisker", d: `M${x},${y(c.p.low)}V${y(c.p.high)}` });
    whisker.append(svg("title", {}, inWords(c)));
    picture.append(whisker, svg("path", { class: "median", d: SHAPES[2](5), transform: `translate(${x},${y(c.p.estimate)})` }));
    if (a % every) continue;
    picture.append(
      svg("text", { x, y: H - bottom - 2, "text-anchor": "middle" }, TONES.m.text(c)),
      svg("text", { class: "strong", x, y: H - bottom + 16, "text-anchor": "middle" }, words(c.values[0])),
    );
  }
  picture.append(svg("text", { class: "ink", x: (left + W) / 2, y: H - 6, "text-anchor": "middle" }, D.swept[0]));
  node.replaceChildren(picture);
  $("heat-key").replaceChildren();
}

function startHeat() {
  if (!D.swept.length) return;
  $("heat-section").hidden = false;
  $("heat-choice").hidden = D.swept.length < 2;
  if (!GRID) {
    [["across", 0], ["up", 1]].forEach(([name, first]) => {
      const select = el("select", { id: `heat-${name}` });
      D.swept.forEach((axis, k) => select.append(el("option", { value: k, selected: k === first ? "" : null }, axis)));
      $("heat-choice").append(el("label", {}, `${name} `, select));
    });
  }
  for (let k = 2; GRID && k < D.swept.length; k++) {
    const select = el("select", { "data-axis": k });
    axisValues(k, D.configs).forEach((v, j) => select.append(el("option", { value: j }, words(v))));
    $("heat-choice").append(el("label", {}, `${short(D.swept[k])} `, select));
  }
  $("heat-choice").addEventListener("change", drawHeat);
}
