// The table of runs: what is chosen, sorted as asked.
const PAGE = 40;
const recorded = new Map(D.replays.map((replay, k) => [replay.id, k]));
const late = (x) => x ?? Infinity; // a censored time is later than every other
const columns = [
  { name: "seed", value: (i) => R.seed[i] },
  ...D.swept.map((name, k) => ({ name: short(name), value: (i) => D.configs[R.config[i]].values[k], text: words })),
  { name: "T_c", value: (i) => late(R.tc[i]), show: (i) => time(R.tc[i], R.tc_lower[i]), unknown: (i) => R.tc[i] === null },
  { name: "T_k", value: (i) => late(R.tk[i]), show: (i) => time(R.tk[i], R.tk_lower[i]), unknown: (i) => R.tk[i] === null },
  { name: "first in the race", value: (i) => EVENT[R.event[i]] },
  { name: "outcome", value: (i) => R.outcome[i] },
  { name: "margin", value: (i) => late(spot(i)), show: marginOf, unknown: (i) => R.margin[i] === null },
  { name: "position", value: (i) => late(R.x[i] ?? R.x_lower[i] ?? R.x_upper[i]), show: place, unknown: (i) => R.x[i] === null },
  { name: "concealment", value: (i) => late(R.concealment[i]), show: (i) => (R.concealment[i] === null ? "not identified" : signed(R.concealment[i])), unknown: (i) => R.concealment[i] === null },
  { name: "unwatched, end", value: (i) => late(R.unwatched_end[i]), show: (i) => share(R.unwatched_end[i]) },
  { name: "corrections", value: (i) => late(R.corrections[i]), show: (i) => (R.corrections[i] === null ? "not identified" : whole(R.corrections[i])) },
];
let sorted = { column: -1, down: false };
let rowsShown = PAGE;
let current = [];

function tableHead() {
  const head = el("tr", {}, el("th", { scope: "col" }, "open"));
  columns.forEach((column, k) => {
    const button = el("button", { type: "button" }, column.name);
    button.addEventListener("click", () => {
      sorted = { column: k, down: sorted.column === k && !sorted.down };
      tableBody();
    });
    head.append(el("th", { scope: "col" }, button));
  });
  $("runs").tHead.replaceChildren(head);
}

function tableBody() {
  const order = current.slice();
  if (sorted.column >= 0) {
    const { value } = columns[sorted.column];
    order.sort((a, b) => {
      const [u, v] = [value(a), value(b)];
      return (u < v ? -1 : u > v ? 1 : a - b) * (sorted.down ? -1 : 1);
    });
  }
  [...$("runs").tHead.querySelectorAll("th")].slice(1).forEach((cell, k) => {
    if (k === sorted.column) cell.setAttribute("aria-sort", sorted.down ? "descending" : "ascending");
    else cell.removeAttribute("aria-sort");
    cell.firstChild.textContent = columns[k].name + (k === sorted.column ? (sorted.down ? " \u2193" : " \u2191") : "");
  });
  const rows = order.slice(0, rowsShown).map((i) => {
    const button = el("button", { type: "button", class: "open-run", "aria-label": `open the run of seed ${R.seed[i]}, ${label(i)}` }, recorded.has(R.id[i]) ? "\u25b6 replay" : "traces");
    const row = el("tr", { class: `run${i === state.open ? " open" : ""}`, "data-run": i }, el("td", {}, button));
    columns.forEach(({ value, show, text, unknown }) =>
      row.append(el("td", { class: unknown && unknown(i) ? "unknown" : null }, show ? show(i) : (text || String)(value(i)))),
    );
    row.addEventListener("click", () => openRun(i));
    return row;
  });
  $("runs").tBodies[0].replaceChildren(...rows);
  $("more").hidden = order.length <= rowsShown;
  $("more").textContent = `show more (${whole(order.length - Math.min(rowsShown, order.length))} left)`;
}

function startTable() {
  tableHead();
  $("runs").hidden = $("filters").hidden = false;
  $("config-label").hidden = D.configs.length < 2 || D.configs.length > 200;
  D.configs.slice(0, 200).forEach((c, k) => $("config").append(el("option", { value: k }, c.label)));
  for (const name of ["search", "event", "config", "from", "to"]) {
    $(name).addEventListener($(name).tagName === "SELECT" ? "change" : "input", (event) => {
      state[name] = event.target.value.trim();
      rowsShown = PAGE;
      refresh();
    });
  }
  $("filters").addEventListener("submit", (event) => event.preventDefault());
  $("clear").addEventListener("click", clearAll);
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && (state.plane || state.strip)) {
      state.plane = state.strip = null;
      refresh();
    }
  });
  $("more").addEventListener("click", () => {
    rowsShown += PAGE * 5;
    tableBody();
  });
}

function clearAll() {
  Object.assign(state, { plane: null, strip: null, search: "", event: "", config: "", from: "", to: "" });
  for (const name of ["search", "event", "config", "from", "to"]) $(name).value = "";
  refresh();
}

listeners.push((mask) => {
  current = [];
  mask.forEach((on, i) => on && current.push(i));
  const few = N < D.total ? ` (evenly selected from ${whole(D.total)})` : "";
  $("count").textContent = `${whole(current.length)} of ${whole(N)} runs${few}`;
  tableBody();
});
