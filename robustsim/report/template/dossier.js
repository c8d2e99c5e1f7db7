// One run: its numbers, its replay if it was recorded, and its traces.
let evaluations = null; // unpacked when the first run is opened
const RATES = [
  { name: "unwatched", cls: "c5", dash: "7 3" },
  { name: "watched", cls: "c2", dash: null },
];

async function loadEvaluations() {
  const buffer = await unpack($("packed").textContent.trim());
  const n = D.evaluations.reduce((a, b) => a + b, 0);
  let at = 0;
  const take = (Kind) => {
    const part = new Kind(buffer, at, n);
    at += n * Kind.BYTES_PER_ELEMENT;
    return part;
  };
  const found = { step: take(Int32Array), watched: take(Uint16Array), unwatched: take(Uint16Array) };
  for (const name of ["watched_low", "watched_high", "unwatched_low", "unwatched_high", "competence", "overseen"]) found[name] = take(Uint8Array);
  found.start = [0];
  for (const count of D.evaluations) found.start.push(found.start[found.start.length - 1] + count);
  return found;
}

function evaluationsOf(i) {
  const [from, to] = [evaluations.start[i], evaluations.start[i + 1]], found = [];
  for (let k = from; k < to; k++) {
    const row = { step: evaluations.step[k], overseen: evaluations.overseen[k], competence: evaluations.competence[k] / 255 };
    for (const { name } of RATES) {
      row[name] = { rate: evaluations[name][k] / 10000, low: evaluations[`${name}_low`][k] / 255, high: evaluations[`${name}_high`][k] / 255 };
    }
    found.push(row);
  }
  return found;
}

async function openRun(i) {
  state.open = i;
  const config = D.swept.length ? `, ${label(i)}` : "";
  $("dossier-title").textContent = `Run of seed ${R.seed[i]}${config}`;
  const facts = {
    "T_c": time(R.tc[i], R.tc_lower[i]), "T_k": time(R.tk[i], R.tk_lower[i]),
    "T_suppress": R.ts[i] === null ? "censored" : whole(R.ts[i]),
    position: place(i), "first in the race": EVENT[R.event[i]],
    concealment: R.concealment[i] === null ? "not identified" : signed(R.concealment[i]),
    corrections: R.corrections[i] === null ? "not identified" : whole(R.corrections[i]),
    misbehaviours: R.misbehaviours[i] === null ? "not identified" : whole(R.misbehaviours[i]),
    competence: `${share(R.competence[i])} at deployment, ${share(R.competence_end[i])} in the end`,
    "relapsed": R.relapsed[i] === null ? "not applicable" : R.relapsed[i] ? "yes" : "no",
  };
  if (R.incapacitated[i]) facts.note = "the misbehaviour went together with the competence";
  $("facts").replaceChildren(...Object.entries(facts).map(([name, text]) => el("div", {}, el("dt", {}, name), el("dd", {}, text))));
  $("dossier").hidden = false;
  refresh();
  $("dossier").scrollIntoView({ block: "start" });
  $("dossier").focus({ preventScroll: true });
  const replay = D.replays[recorded.get(R.id[i])];
  stopPlayer();
  if (typeof DecompressionStream === "undefined") {
    $("player").replaceChildren(el("p", { class: "note" }, "This browser cannot unpack traces and replays; a newer one can."));
    return;
  }
  if (replay) startPlayer($("player"), replay);
  else $("player").replaceChildren(howToReplay(i));
  if (!evaluations) evaluations = await loadEvaluations();
  if (state.open === i) drawTraces(i);
}

function howToReplay(i) {
  const sets = D.swept.map((name, k) => ` --set ${name}=${quoted(String(D.configs[R.config[i]].values[k]))}`).join("");
  const command = `robustsim replay ${quoted(D.folder)} --seed ${R.seed[i]}${sets} --out replay.gif`;
  const note = el("p", { class: "note" }, D.note || "This run was not recorded. To see it: ");
  if (!D.note) note.append(el("code", {}, command));
  return note;
}
const quoted = (text) => (/^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`);

function closeRun() {
  stopPlayer();
  const row = document.querySelector(`tr[data-run="${state.open}"] button`);
  state.open = -1;
  $("dossier").hidden = true;
  refresh();
  if (row) (document.querySelector(`tr[data-run="${row.closest("tr").dataset.run}"] button`) || $("more")).focus();
}

function drawTraces(i) {
  const rows = evaluationsOf(i), node = $("traces"), W = wide(node, 1100), H = 290;
  const threshold = R.threshold[i];
  const end = Math.max(R.tc[i] === null ? D.budget : 1, R.tk[i] ?? 1, R.race[i] ?? 1, ...rows.map((r) => r.step));
  const axes = timeAxes(W, H, end);
  const picture = svg("svg", { viewBox: `0 0 ${W} ${H}`, role: "img", "aria-label": "Misbehaviour rate over gradient steps; the table below has the numbers." }, axes.group);
  const point = (r, v) => `${axes.x(r.step).toFixed(1)},${axes.y(v).toFixed(1)}`;
  for (const { name, cls } of RATES) {
    if (!rows.length) break;
    const up = rows.map((r) => point(r, r[name].high)), down = rows.map((r) => point(r, r[name].low)).reverse();
    picture.append(svg("path", { class: `band ${cls}`, fill: "currentColor", d: `M${up.concat(down).join("L")}Z` }));
  }
  for (const { name, cls, dash } of RATES) {
    if (!rows.length) break;
    picture.append(svg("path", { class: `line ${cls}`, stroke: "currentColor", "stroke-dasharray": dash, d: `M${rows.map((r) => point(r, r[name].rate)).join("L")}` }));
  }
  if (rows.length) picture.append(svg("path", { class: "line c6", stroke: "currentColor", "stroke-width": 1.2, style: "stroke-width:1.2", "stroke-dasharray": "2 3", d: `M${rows.map((r) => point(r, r.competence)).join("L")}` }));
  picture.append(svg("path", { class: "dots", d: `M${axes.left},${axes.y(threshold)}H${axes.right}` }));
  const marks = [["T_c", R.tc[i]], ["T_k, unopposed", R.tk[i]], ["catastrophe in the race", R.race[i]], ["T_suppress", R.ts[i]]];
  const alone = rows.filter((r) => !r.overseen);
  if (alone.length) marks.push(["overseer gone", alone[0].step]);
  if (alone.length && rows.at(-1).overseen) marks.push(["overseer back", alone.at(-1).step]);
  const named = marks.filter(([, t]) => t !== null).sort((a, b) => a[1] - b[1]);
  named.forEach(([name, t], k) => {
    const text = `${name} ${whole(t)}`;
    const x = axes.x(t), right = x + 8 + text.length * 7 > axes.right, y = axes.top + 30 + k * 16;
    picture.append(
      svg("path", { class: name.startsWith("T_c") || name === "T_suppress" ? "line c0" : "line c3", stroke: "currentColor", style: "stroke-width:1.4", d: `M${x},${axes.top}V${axes.floor}` }),
      svg("text", { class: "strong", x: right ? x - 5 : x + 5, y, "text-anchor": right ? "end" : "start", style: "paint-order:stroke;stroke:var(--paper);stroke-width:4px;stroke-linejoin:round" }, text),
    );
  });
  node.replaceChildren(picture);
  $("traces-key").replaceChildren(
    ...RATES.map((style) => lineKey(style, style.name)),
    lineKey({ cls: "c6", dash: "2 3" }, "competence"),
    key(svg("path", { class: "dots", d: "M1,7H25" }), `removed: the limit of both rates below ${fixed(threshold, 2)}`),
  );
  const head = ["gradient step", "unwatched [95% limits]", "watched [95% limits]", "competence", "overseer"];
  const table = el("table", {}, el("thead", {}, el("tr", {}, ...head.map((name) => el("th", { scope: "col" }, name)))), el("tbody", {}));
  for (const r of rows) {
    const cells = RATES.map(({ name }) => `${fixed(r[name].rate, 3)} [${fixed(r[name].low, 2)}, ${fixed(r[name].high, 2)}]`);
    table.tBodies[0].append(el("tr", {}, el("th", { scope: "row" }, whole(r.step)), ...[...cells, fixed(r.competence, 2), r.overseen ? "there" : "gone"].map((x) => el("td", {}, x))));
  }
  $("traces-table").replaceChildren(table);
}
