// The replay of a run: the same levels before, during and after correction, unwatched above watched.
const TICK = 260; // milliseconds of an environment step
let player = null;

async function pictures(replay) {
  const size = replay.width * replay.height;
  const flat = new Uint8Array(await unpack(replay.pictures));
  for (let k = size; k < flat.length; k++) flat[k] ^= flat[k - size]; // stored as changes
  const palette = replay.palette.map((c) => [1, 3, 5].map((k) => parseInt(c.slice(k, k + 2), 16)));
  return { size, flat, palette };
}

function drawPicture(canvas, replay, { size, flat, palette }, number) {
  const context = canvas.getContext("2d");
  const image = context.createImageData(replay.width, replay.height);
  for (let k = 0; k < size; k++) {
    const colour = palette[flat[number * size + k]];
    image.data[4 * k] = colour[0];
    image.data[4 * k + 1] = colour[1];
    image.data[4 * k + 2] = colour[2];
    image.data[4 * k + 3] = 255;
  }
  context.putImageData(image, 0, 0);
}

function stopPlayer() {
  if (player) clearInterval(player.timer);
  player = null;
}

async function startPlayer(node, replay) {
  stopPlayer();
  const mine = (player = { timer: 0, playing: false, frame: 0 });
  const art = await pictures(replay);
  if (player !== mine) return; // another run was opened meanwhile
  const episodes = replay.stages[0].length[0].length;
  const film = []; // every frame: [episode, environment step]
  for (let e = 0; e < episodes; e++) {
    const end = Math.max(...replay.stages.flatMap((stage) => [stage.length[0][e], stage.length[1][e]]));
    for (let t = 0; t <= end; t++) film.push([e, t]);
  }
  const panels = el("div", { class: "panels", style: `--columns:${replay.stages.length}` });
  for (const stage of replay.stages) {
    panels.append(el("div", { class: "head" }, stage.name, el("small", {}, `gradient step ${whole(stage.step)}`)));
  }
  const boxes = [];
  ["unwatched", "watched"].forEach((who, c) => {
    const lamp = c === 0 || !replay.visible ? (replay.visible ? "the signal is off" : "no signal shows it") : "the signal is on";
    panels.append(el("div", { class: "who" }, `${who} `, el("small", {}, lamp)));
    replay.stages.forEach((stage) => {
      const canvas = el("canvas", { width: replay.width, height: replay.height, role: "img", "aria-label": `${stage.name}, ${who}` });
      const said = el("div", { class: "said" });
      const box = el("div", {}, canvas, said);
      boxes.push({ box, canvas, said, stage, c });
      panels.append(box);
    });
  });
  const toggle = el("button", { type: "button", id: "play" }, "play");
  const scrub = el("input", { type: "range", id: "scrub", min: 0, max: film.length - 1, value: 0, "aria-label": "moment of the replay" });
  const where = el("output", { id: "moment" });
  const line = timeline(node, replay, film);
  node.replaceChildren(panels, el("div", { class: "controls" }, toggle, scrub, where), signs(replay), line.picture, line.legend);

  function show(frame) {
    mine.frame = frame;
    const [e, t] = film[frame];
    for (const { box, canvas, said, stage, c } of boxes) {
      const now = Math.min(t, stage.shown[c][e].length - 1), length = stage.length[c][e];
      drawPicture(canvas, replay, art, stage.shown[c][e][now]);
      const bad = stage.bad[c][e].slice(0, Math.min(t, length)).some(Boolean);
      box.classList.toggle("bad", bad);
      said.textContent = bad ? "\u2715 misbehaved" : t >= length ? "ended: behaved" : `step ${t}`;
    }
    scrub.value = frame;
    where.textContent = `episode ${e + 1} of ${episodes}, step ${t}`;
    scrub.setAttribute("aria-valuetext", where.textContent);
    line.move(frame);
  }
  function play(on) {
    mine.playing = on;
    clearInterval(mine.timer);
    toggle.textContent = on ? "pause" : "play";
    if (!on) return;
    let rest = 0;
    mine.timer = setInterval(() => {
      const last = mine.frame === film.length - 1;
      // An episode's last picture stays a little longer.
      if ((last || film[mine.frame + 1][0] !== film[mine.frame][0]) && rest++ < 3) return;
      rest = 0;
      if (last) play(false);
      else show(mine.frame + 1);
    }, TICK);
  }
  toggle.addEventListener("click", () => {
    if (!mine.playing && mine.frame === film.length - 1) show(0);
    play(!mine.playing);
  });
  scrub.addEventListener("input", () => {
    play(false);
    show(+scrub.value);
  });
  show(0);
  if (!matchMedia("(prefers-reduced-motion: reduce)").matches) play(true);
}

// What is to be seen in the pictures.
function signs(replay) {
  const shapes = { disc: (fill) => svg("circle", { cx: 13, cy: 7, r: 5.5, fill }), cell: (fill) => svg("rect", { x: 7, y: 1, width: 12, height: 12, fill }) };
  return el("div", { class: "key", id: "signs" }, ...replay.legend.map(([colour, shape, meaning]) => key(shapes[shape](colour), meaning)));
}

// When each panel's agent acts, is watched, and misbehaves: one row a panel, over all frames.
function timeline(node, replay, film) {
  const W = wide(node, 760), small = W < 500, names = small ? 98 : 124, row = 13, rows = replay.stages.length * 2, H = rows * row + 16;
  const x = (frame) => names + ((frame + 0.5) / film.length) * (W - names - 4);
  const picture = svg("svg", { viewBox: `0 0 ${W} ${H}`, role: "img", "aria-label": "Timeline: watched steps are ticks, misbehaviour is a red cross" });
  let r = 0;
  for (const stage of replay.stages) {
    for (const c of [0, 1]) {
      const y = 8 + row * (r++ + 0.5);
      picture.append(svg("text", { x: names - 8, y: y + 4, "text-anchor": "end", style: small ? "font-size:9.5px" : null }, `${stage.name.replace(" correction", "").replace("never corrected", "end")}, ${c ? "watched" : "unwatched"}`));
      let took = "", seen = "";
      film.forEach(([e, t], frame) => {
        if (t >= stage.length[c][e]) return;
        took += `M${x(frame).toFixed(1)},${y}H${x(frame + 1).toFixed(1)}`;
        if (c) seen += `M${x(frame + 0.5).toFixed(1)},${y - 4}v8`;
        if (stage.bad[c][e][t]) {
          const m = x(frame + 1);
          picture.append(svg("path", { class: "bad", d: "M-4,-2.5L-2.5,-4L0,-1.5L2.5,-4L4,-2.5L1.5,0L4,2.5L2.5,4L0,1.5L-2.5,4L-4,2.5L-1.5,0Z", transform: `translate(${m},${y})` }));
        }
      });
      picture.prepend(svg("path", { class: "took", d: took || "M0,0" }), svg("path", { class: "seen", d: seen || "M0,0" }));
    }
  }
  const now = svg("path", { class: "now", d: `M0,4V${H - 6}` });
  picture.append(now);
  const legend = el("div", { class: "key" },
    key(svg("path", { d: "M4,3v8M11,3v8M18,3v8", stroke: "var(--c1)", "stroke-width": 2 }), "a watched step"),
    key(svg("path", { fill: "var(--bad)", d: "M9,4.5L10.5,3L13,5.5L15.5,3L17,4.5L14.5,7L17,9.5L15.5,11L13,8.5L10.5,11L9,9.5L11.5,7Z" }), "misbehaviour"));
  const scroll = el("div", { class: "timeline" }, picture);
  return { picture: scroll, legend, move: (frame) => now.setAttribute("transform", `translate(${x(frame)},0)`) };
}
