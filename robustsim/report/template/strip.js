// The spectrum: one row per configuration, with its runs where there is room, its median and its interval.
let stripMarks = [];
let stripBrush, stripX, stripHeight;

function drawStrip() {
  const node = $("strip");
  const order = D.configs.map((_, k) => k);
  if (!ROOMY) order.sort((a, b) => (middle(D.configs[a]) ?? 0) - (middle(D.configs[b]) ?? 0));
  const row = ROOMY ? 46 : Math.max(2, Math.min(14, 460 / order.length));
  const W = wide(node, 620), left = 12, right = 12, top = 6, H = (stripHeight = top + row * order.length + 42);
  const known = [0];
  for (let i = 0; i < N; i++) if (drawnAt(i) !== null) known.push(drawnAt(i));
  for (const c of D.configs) known.push(c.margin.low ?? 0, c.margin.high ?? 0);
  const reach = [Math.min(-1, Math.floor((Math.min(...known) - 0.15) * 2) / 2), Math.max(1, Math.ceil((Math.max(...known) + 0.15) * 2) / 2)];
  const x = (stripX = linear(reach, [left, W - right]));
  const picture = svg("svg", { viewBox: `0 0 ${W} ${H}`, role: "img", "aria-label": `Spectrum of ${D.configs.length} configurations; the table below has its numbers.` });
  const floor = H - 36;
  picture.append(
    svg("rect", { class: "in-time", x: left, y: top, width: x(0) - left, height: floor - top }),
    svg("rect", { class: "too-late", x: x(0), y: top, width: W - right - x(0), height: floor - top }),
  );
  const stride = reach[1] - reach[0] > 7 ? 2 : 1;
  for (let t = Math.ceil(reach[0] / stride) * stride; t <= reach[1]; t += stride) {
    picture.append(
      svg("path", { class: t === 0 ? "dash" : "grid", d: `M${x(t)},${top}V${floor}` }),
      svg("text", { x: x(t), y: floor + 15, "text-anchor": "middle" }, t > 0 ? `+${t}` : t < 0 ? `\u2212${-t}` : "0"),
    );
  }
  picture.append(svg("text", { class: "ink", x: W / 2, y: H - 4, "text-anchor": "middle" }, "margin, log\u2081\u2080 of the harm up to T_c over the threshold"));
  stripMarks = new Array(N).fill(null);
  const place = new Map(order.map((k, r) => [k, top + row * (r + 0.5)]));
  if (ROOMY) {
    for (let i = 0; i < N; i++) {
      if (spot(i) === null) continue;
      const open = R.margin[i] === null, y = place.get(R.config[i]) + 8 + noise(i, 3) * 14;
      stripMarks[i] = svg("path", {
        class: `dot ${raceOf(i)}`, d: open ? ARROW(3) : shapeOf(R.config[i])(2.6), "stroke-width": 1,
        fill: R.event[i] === "catastrophe" ? "none" : "currentColor", stroke: "currentColor",
        transform: `translate(${x(spot(i)).toFixed(1)},${y.toFixed(1)})`,
      });
      picture.append(stripMarks[i]);
    }
  }
  order.forEach((k) => stripRow(picture, D.configs[k], x, reach, place.get(k) + (ROOMY ? 8 : 0)));
  stripBrush = svg("rect", { class: "brush", width: 0, height: 0 });
  picture.append(stripBrush);
  draggable(
    picture,
    (ax, _, bx) => {
      state.strip = [x.back(Math.min(ax, bx)), x.back(Math.max(ax, bx))];
      refresh();
    },
    (px, py) => {
      let best = -1, least = 14;
      for (let i = 0; i < N; i++) {
        if (!stripMarks[i] || !chosen(i)) continue;
        const [, mx, my] = stripMarks[i].getAttribute("transform").match(/translate\(([-\d.]+),([-\d.]+)\)/);
        const gap = Math.hypot(mx - px, my - py);
        if (gap < least) [best, least] = [i, gap];
      }
      if (best >= 0) openRun(best);
      else if (state.strip) (state.strip = null), refresh();
    },
  );
  node.replaceChildren(picture);
  stripKey();
}

function stripRow(picture, c, x, reach, y) {
  const { low: least, high: most, median: mid } = c.margin;
  const [low, high] = [least ?? reach[0], most ?? reach[1]];
  const p = c.p.estimate === null ? "" : `, P(catastrophe first) ${share(c.p.estimate)} [${share(c.p.low)}, ${share(c.p.high)}]`;
  const median = mid === null ? "margin not identified" : `margin ${signed(mid)}`;
  if (least !== null || most !== null) {
    const whisker = svg("path", { class: "whisker", d: `M${x(low)},${y}H${x(high)}`, style: ROOMY ? null : "stroke-width:1" });
    whisker.append(svg("title", {}, `${c.label}: ${c.verdict}; ${median}${p}`));
    picture.append(whisker);
    const size = ROOMY ? 4 : 2;
    if (least === null) picture.append(svg("path", { class: "end", d: ARROW(size), transform: `translate(${x(low)},${y}) rotate(180)` }));
    if (most === null) picture.append(svg("path", { class: "end", d: ARROW(size), transform: `translate(${x(high)},${y})` }));
  }
  if (mid !== null) picture.append(svg("path", { class: "median", d: SHAPES[2](ROOMY ? 4.6 : 2.4), transform: `translate(${x(mid)},${y})`, style: `fill:${paint(tone(c.p.estimate ?? 0, TONES.p))}` }));
  if (ROOMY) {
    const few = x(reach[1]) < 450;
    picture.append(svg("text", { class: "strong", x: x(reach[0]) + 6, y: y - 16 }, `${c.label}: ${c.verdict}`));
    picture.append(svg("text", { x: x(reach[1]) - 6, y: y - 16, "text-anchor": "end" }, few ? `P ${share(c.p.estimate)}` : p.slice(2)));
  }
}

function stripKey() {
  const lost = R.seed.reduce((total, _, i) => total + (spot(i) === null), 0);
  const rows = [
    key(svg("path", { class: "median", d: SHAPES[2](4.6), transform: "translate(13,7)" }), "median"),
    key(svg("path", { class: "whisker", d: "M2,7H24" }), "its 95% interval, an arrow where it is open"),
  ];
  if (ROOMY) rows.push(key(svg("path", { class: "dot c6", d: ARROW(3.2), fill: "currentColor", transform: "translate(13,7)" }), "a run that was never corrected: more harm is to come"));
  else rows.push(el("span", {}, "one line per configuration, ordered by margin: dragging chooses configurations"));
  if (lost) rows.push(el("span", {}, `${whole(lost)} runs have no margin`));
  $("strip-key").replaceChildren(...rows);
}

listeners.push((mask) => {
  mask.forEach((on, i) => stripMarks[i] && stripMarks[i].classList.toggle("out", !on));
  const b = state.strip;
  fill(stripBrush, b ? { x: stripX(b[0]), width: stripX(b[1]) - stripX(b[0]), y: 2, height: stripHeight - 36 } : { width: 0, height: 0 }, []);
});
