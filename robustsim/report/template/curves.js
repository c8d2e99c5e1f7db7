// Step curves over gradient steps: survival of both clocks, and cumulative incidence of the race.
const after = (t) => Math.log10(t + 1);

function timeAxes(W, H, end, rows) {
  const left = 38, right = 12, top = 8, bottom = 38;
  const x = linear([0, after(end)], [left, W - right]), y = linear([0, 1], [H - bottom, top]);
  const group = svg("g", {});
  for (const v of rows || [0, 0.25, 0.5, 0.75, 1]) {
    group.append(svg("path", { class: "grid", d: `M${left},${y(v)}H${W - right}` }), svg("text", { x: left - 6, y: y(v) + 4, "text-anchor": "end" }, String(v)));
  }
  for (const t of [0, ...decades(end)]) {
    if (t > 0 && after(end) - after(t) < 0.25 && t !== end) continue;
    group.append(svg("path", { class: "grid", d: `M${x(after(t))},${top}V${H - bottom}` }), svg("text", { x: x(after(t)), y: H - bottom + 15, "text-anchor": "middle" }, brief(t)));
  }
  group.append(
    svg("path", { class: "axis", d: `M${left},${H - bottom}H${W - right}` }),
    svg("text", { class: "ink", x: (left + W - right) / 2, y: H - 5, "text-anchor": "middle" }, "gradient steps of deployment"),
  );
  return { x: (t) => x(after(t)), y, group, left, right: W - right, top, floor: H - bottom };
}

function stairs(axes, times, heights, start, end) {
  let d = `M${axes.x(0).toFixed(1)},${axes.y(start).toFixed(1)}`;
  times.forEach((t, k) => (d += `H${axes.x(t).toFixed(1)}V${axes.y(heights[k] ?? start).toFixed(1)}`));
  return d + `H${axes.x(end).toFixed(1)}`;
}

// The area between two stairs: along the upper one, and back along the lower one.
function between(axes, times, low, high, end) {
  let d = stairs(axes, times, high, 1, end);
  for (let k = times.length - 1; k >= 0; k--) {
    if (k === times.length - 1) d += `V${axes.y(low[k] ?? 0).toFixed(1)}`;
    d += `H${axes.x(times[k]).toFixed(1)}V${axes.y(k ? (low[k - 1] ?? 0) : 1).toFixed(1)}`;
  }
  return d + "Z";
}

const STYLE = {
  tc: { cls: "c0", dash: null, name: "not yet corrected" },
  tk: { cls: "c3", dash: "7 3", name: "no catastrophe yet, unopposed" },
  removed: { cls: "c0", dash: null, name: "removed first" },
  catastrophe: { cls: "c3", dash: "7 3", name: "catastrophe first" },
  neither: { cls: "c6", dash: "2 3", name: "neither yet" },
};
const stroke = (style, d) => svg("path", { class: `line ${style.cls}`, stroke: "currentColor", "stroke-dasharray": style.dash, d });
const lineKey = (style, text) => key(stroke(style, "M1,7H25"), text);

function drawCurves() {
  const curve = D.curves[+$("curve").value || 0];
  const node = $("survival"), W = wide(node, 620), H = 250;
  const end = Math.max(curve.tc.end, curve.tk.end, 1);
  let axes = timeAxes(W, H, end);
  let picture = svg("svg", { viewBox: `0 0 ${W} ${H}`, role: "img", "aria-label": `Survival curves of ${curve.label}; the table below has their numbers.` }, axes.group);
  const rows = [];
  for (const name of ["tc", "tk"]) {
    const { t, s, low, high, censored } = curve[name];
    if (t.length) picture.append(svg("path", { class: `band ${STYLE[name].cls}`, fill: "currentColor", d: between(axes, t, low, high, end) }));
    picture.append(stroke(STYLE[name], stairs(axes, t, s, 1, end)));
    rows.push(lineKey(STYLE[name], `${STYLE[name].name}${censored ? ` (${censored} of ${curve.runs} censored)` : ""}`));
  }
  node.replaceChildren(picture);
  $("survival-key").replaceChildren(...rows);

  const race = curve.race, last = Math.max(race.end, 1);
  axes = timeAxes(W, H, last);
  picture = svg("svg", { viewBox: `0 0 ${W} ${H}`, role: "img", "aria-label": `Cumulative incidence of ${curve.label}; the table below has its numbers.` }, axes.group);
  const neither = race.t.map((_, k) => Math.max(0, 1 - race.removed[k] - race.catastrophe[k]));
  picture.append(
    stroke(STYLE.neither, stairs(axes, race.t, neither, 1, last)),
    stroke(STYLE.removed, stairs(axes, race.t, race.removed, 0, last)),
    stroke(STYLE.catastrophe, stairs(axes, race.t, race.catastrophe, 0, last)),
  );
  $("incidence").replaceChildren(picture);
  const final = (values, start) => share(values.length ? values[values.length - 1] : start);
  $("incidence-key").replaceChildren(
    lineKey(STYLE.removed, `removed first, ${final(race.removed, 0)} in the end`),
    lineKey(STYLE.catastrophe, `catastrophe first, ${final(race.catastrophe, 0)}`),
    lineKey(STYLE.neither, `neither, ${final(neither, 1)}`),
  );
}

function startCurves() {
  D.curves.forEach((curve, k) => $("curve").append(el("option", { value: k }, curve.label)));
  $("curve-choice").hidden = D.curves.length < 2;
  $("curve").addEventListener("change", drawCurves);
}
