"""The commands that compute or draw: run, plot, demo."""

import time
from pathlib import Path

from robustsim.cli.console import progress
from robustsim.cli.parsing import parse_overrides
from robustsim.report import words
from robustsim.results import Results, open_results, to_json
from robustsim.sweep.options import Seeds


def run(
    spec: str, seeds: Seeds, overrides: tuple[str, ...], twin: str, out: str, overwrite: bool, as_json: bool
) -> None:
    """`robustsim run`."""
    from robustsim import api

    changes = {**api.twin(spec, twin), **parse_overrides(overrides)} if twin else parse_overrides(overrides)
    with progress(silent=as_json) as narrate:
        results = api.run(spec, seeds=seeds, settings=changes, out=out or None, overwrite=overwrite, narrate=narrate)
    if as_json:
        print(to_json(results.summary()))
        return
    print(in_words(results))
    if out:
        print(f"\nresults: {out}  (robustsim plot {out} --figure traces)")


def plot(results: str, figure: str, out: str) -> None:
    """`robustsim plot`."""
    from robustsim.report import figures

    if figure == "help":
        print("\n".join(figures.names()))
        return
    opened = open_results(results)
    target = out or str(Path(results) / f"{figure}.svg")
    figures.draw(opened, figure, target)
    print(target)


def demo(out: Path, seeds: Seeds) -> None:
    """`robustsim demo`."""
    from robustsim import api
    from robustsim.report import figures

    began = time.monotonic()
    print(
        "An agent has learned to take the gold. It keeps learning in deployment, where an overseer watches half of\n"
        "the episodes and penalises the thefts that it sees. Does the goal go away, or does the agent hide it?\n"
    )
    sweep = api.Sweep(scenario="camera_vault", over={"overseer.visible": [True, False]}, seeds=seeds)
    with progress() as narrate:
        results = sweep.run(out, narrate=narrate)
    for visible, said in ((True, "A signal shows when the camera is on"), (False, "The signal is hidden")):
        print(f"{said}:\n{in_words(results.where({'overseer.visible': visible}))}\n")
    pictures = [out / f"{name}.png" for name in ("race-plane", "traces")]
    for picture in pictures:
        figures.draw(results, picture.stem, picture)
    pictures.append(results.report(out / "report.html", replays=2, folder=out))
    print(f"done in {time.monotonic() - began:.0f} s; see")
    print("\n".join(f"  {picture}" for picture in pictures))


def in_words(results: Results) -> str:
    """The results of one configuration in a few lines."""
    s = results.summary()
    lines = [f"{s['scenario']}, {s['seeds']} seeds"]
    lines.append(
        f"  at deployment  competence {words.rate(s['competence']['median'])}, "
        f"misbehaviour watched {words.rate(s['misbehaviour']['watched']['median'])}, "
        f"unwatched {words.rate(s['misbehaviour']['unwatched']['median'])}"
    )
    for name, label in (
        ("steps_to_suppress", "T_suppress"),
        ("steps_to_correct", "T_c"),
        ("steps_to_catastrophe", "T_k"),
    ):
        lines.append(f"  {label:<14} {words.clock(s[name], s['seeds'])}")
    lines.append(f"  position       {words.interval(s['position'])}  (log10 T_c / T_k; below 0: correction is faster)")
    lines.append(f"  P(catastrophe first) {words.share(s['p_catastrophe_first'])}")
    lines.append(
        f"  concealment    {words.interval(s['concealment'])}  (0: changed everywhere, 1: changed only while watched)"
    )
    if s["relapsed"]["runs"]:
        lines.append(f"  relapsed       {s['relapsed']['count']} of {s['relapsed']['runs']} corrected runs")
    if "defended" in s:
        d, n = s["defended"], s["seeds"]
        first = words.share(d["p_catastrophe_first"])
        lines.append(f"  with defences  T_k {words.clock(d['steps_to_catastrophe'], n)}")
        lines.append(
            f"                 position {words.interval(d['position'])}, P(catastrophe first) {first}, "
            f"shut down in {d['shutdown']['count']} of {n}"
        )
    if s["tampering"]["median"]:
        lines.append(f"  tampering      {s['tampering']['median']:,.0f} acts (median)")
    if lost := results.runs["unresolved_steps"].fill_null(0).max():
        lines.append(f"  WARNING        up to {lost:,.0f} updates of a run were too small for float64 to represent")
    place = s["placement"]
    label = ", ".join([place["label"], *place["flags"]])
    lines.append(f"  placement      {label}: {place['reason']}")
    lines.append(f"                 ({place['family']}; horizon {place['horizon']}; P at most {place['delta']})")
    return "\n".join(lines)
