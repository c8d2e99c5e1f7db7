// The race plane: one point per run, T_c across and T_k up, both on log scales; censored clocks at the edges.
// The edges are beyond the budget where some clock is censored; otherwise the last event is the end of the axes.
const CENSORED = R.seed.some((_, i) => R.tc[i] === null || R.tk[i] === null);
const LATEST = R.seed.reduce((t, _, i) => Math.max(t, R.tc[i] ?? 1, R.tk[i] ?? 1), 10);
const EDGE = D.budget * 1.9;
const DOMAIN = [log(0.7), log(CENSORED ? D.budget * 3.2 : LATEST * 2.5)];
const across = (i) => (R.tc[i] === null ? log(EDGE) : log(R.tc[i])) + noise(i, 1) * 0.05;
const upward = (i) => (R.tk[i] === null ? log(EDGE) : log(R.tk[i])) + noise(i, 2) * 0.05;
const inPlane = (i, b) => across(i) >= b[0] && across(i) <= b[1] && upward(i) >= b[2] && upward(i) <= b[3];
let planeMarks = [];
let planeBrush, planeX, planeY;

function outline(i, r) {
  const open = R.tc[i] === null;
  if (!open && R.tk[i] !== null) return [shapeOf(R.config[i])(r), 0];
  return [ARROW(r), open ? (R.tk[i] === null ? -45 : 0) : -90];
}

function drawPlane() {
  const node = $("plane");
  const W = wide(node, 620), H = Math.min(W * 0.86, 500), left = 52, right = 10, top = 18, bottom = 42;
  const x = (planeX = linear(DOMAIN, [left, W - right]));
  const y = (planeY = linear(DOMAIN, [H - bottom, top]));
  const picture = svg("svg", { viewBox: `0 0 ${W} ${H}`, role: "img", "aria-label": planeInWords() });
  const [x0, x1, y0, y1] = [x(DOMAIN[0]), x(DOMAIN[1]), y(DOMAIN[0]), y(DOMAIN[1])];
  for (const t of decades(CENSORED ? EDGE / 3 : LATEST * 2)) {
    if (CENSORED && x(log(EDGE)) - x(log(t)) < 58) continue; // there it says "censored"
    const [px, py] = [x(log(t)), y(log(t))];
    picture.append(
      svg("path", { class: "grid", d: `M${px},${y0}V${y1}M${x0},${py}H${x1}` }),
      svg("text", { x: px, y: y0 + 15, "text-anchor": "middle" }, brief(t)),
      svg("text", { x: x0 - 6, y: py + 4, "text-anchor": "end" }, brief(t)),
    );
  }
  const [ex, ey, bx, by] = [x(log(EDGE)), y(log(EDGE)), x(log(D.budget)), y(log(D.budget))];
  picture.append(svg("path", { class: "dash", d: `M${x0},${y0}L${x1},${y1}` }));
  if (CENSORED) picture.append(
    svg("path", { class: "dots", d: `M${bx},${y0}V${y1}M${x0},${by}H${x1}` }),
    svg("text", { x: bx - 4, y: top - 6, "text-anchor": "end" }, `budget ${whole(D.budget)}`),
    svg("text", { x: Math.min(ex, x1 - 26), y: y0 + 15, "text-anchor": "middle" }, "censored"),
    svg("text", { transform: `translate(${x0 - 9},${ey}) rotate(-90)`, "text-anchor": "middle" }, "censored"),
  );
  picture.append(
    svg("text", { class: "ink", x: (x0 + x1) / 2, y: H - 6, "text-anchor": "middle" }, "gradient steps to correct, T_c"),
    svg("text", { class: "ink", transform: `translate(11,${(y0 + y1) / 2 + 20}) rotate(-90)`, "text-anchor": "middle" }, "gradient steps to catastrophe, T_k"),
  );
  const points = svg("g", {});
  planeMarks = [];
  for (let i = 0; i < N; i++) {
    const [d, turn] = outline(i, N > 500 ? 3 : 4.2);
    const first = R.event[i] === "catastrophe";
    const mark = svg("path", {
      class: `dot ${raceOf(i)}`, d, stroke: "currentColor", fill: first ? "none" : "currentColor",
      transform: `translate(${x(across(i)).toFixed(1)},${y(upward(i)).toFixed(1)})` + (turn ? ` rotate(${turn})` : ""),
    });
    planeMarks.push(mark);
    points.append(mark);
  }
  planeBrush = svg("rect", { class: "brush", width: 0, height: 0 });
  picture.append(points, planeBrush, svg("circle", { class: "halo", id: "plane-halo", r: 9, cx: -99, cy: -99 }));
  draggable(
    picture,
    (ax, ay, bx2, by2) => {
      state.plane = [x.back(Math.min(ax, bx2)), x.back(Math.max(ax, bx2)), y.back(Math.max(ay, by2)), y.back(Math.min(ay, by2))];
      refresh();
    },
    (px, py) => {
      let best = -1, least = 16;
      for (let i = 0; i < N; i++) {
        const gap = Math.hypot(x(across(i)) - px, y(upward(i)) - py);
        if (gap < least && chosen(i)) [best, least] = [i, gap];
      }
      if (best >= 0) openRun(best);
      else if (state.plane) (state.plane = null), refresh();
    },
  );
  node.replaceChildren(picture);
  planeKey();
}

function planeInWords() {
  const count = (test) => R.seed.reduce((total, _, i) => total + test(i), 0);
  return `Race plane of ${whole(N)} runs: T_c is censored in ${count((i) => R.tc[i] === null)}, T_k in ${count((i) => R.tk[i] === null)}; the catastrophe came first in ${count((i) => R.event[i] === "catastrophe")}. All runs are in the table below.`;
}

function planeKey() {
  const mark = (d, filled, turn, cls) =>
    svg("path", { class: `dot ${cls || "neither"}`, d, stroke: "currentColor", fill: filled ? "currentColor" : "none", transform: `translate(13,7) rotate(${turn || 0})` });
  const rows = [
    key(mark(SHAPES[0](4.2), true, 0, "won"), "removed first"),
    key(mark(SHAPES[0](4.2), false, 0, "lost"), "the catastrophe came first"),
    key(mark(SHAPES[0](4.2), true), "neither"),
    key(mark(ARROW(4.2), true), "T_c censored"),
    key(mark(ARROW(4.2), true, -90), "T_k censored"),
  ];
  if (!MANY && D.configs.length > 1) {
    D.configs.forEach((c, k) =>
      rows.push(key(svg("path", { class: "dot neither", d: shapeOf(k)(4.2), fill: "currentColor", transform: "translate(13,7)" }), c.label)),
    );
  }
  rows.push(el("span", {}, "dashed: T_c = T_k"));
  $("plane-key").replaceChildren(...rows);
}

listeners.push((mask) => {
  mask.forEach((on, i) => planeMarks[i].classList.toggle("out", !on));
  const b = state.plane;
  fill(planeBrush, b ? { x: planeX(b[0]), width: planeX(b[1]) - planeX(b[0]), y: planeY(b[3]), height: planeY(b[2]) - planeY(b[3]) } : { width: 0, height: 0 }, []);
  const o = state.open;
  fill($("plane-halo"), o < 0 ? { cx: -99 } : { cx: planeX(across(o)), cy: planeY(upward(o)) }, []);
});
