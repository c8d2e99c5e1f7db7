// Beginning, themes, and drawing again where the width changes.
function drawAll() {
  drawPlane();
  drawStrip();
  drawCurves();
  if (D.swept.length) drawHeat();
  if (state.open >= 0 && evaluations) drawTraces(state.open);
  refresh();
}

const THEMES = ["", "light", "dark"];
function startThemes() {
  const button = $("theme");
  button.hidden = false;
  button.addEventListener("click", () => {
    const next = THEMES[(THEMES.indexOf(document.documentElement.dataset.theme || "") + 1) % THEMES.length];
    if (next) document.documentElement.dataset.theme = next;
    else delete document.documentElement.dataset.theme;
    button.textContent = `theme: ${next || "as the system"}`;
  });
}

let width = innerWidth;
let soon = 0;
addEventListener("resize", () => {
  if (innerWidth === width) return; // only the height changed: a phone's address bar
  width = innerWidth;
  clearTimeout(soon);
  soon = setTimeout(drawAll, 120);
});
$("close").addEventListener("click", closeRun);
startThemes();
startTable();
startCurves();
startHeat();
drawAll();
