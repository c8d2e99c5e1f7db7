"""The commands that compute or draw: run, plot, demo."""

import time
from pathlib import Path
from typing import Any

from robustsim.cli.console import parse_overrides, parse_seeds, progress
from robustsim.results import Results, open_results, to_json


def run(spec: str, seeds: str, overrides: tuple[str, ...], twin: str, out: str, overwrite: bool, as_json: bool) -> None:
    """`robustsim run`."""
    from robustsim import api

    changes = {**api.twin(spec, twin), **parse_overrides(overrides)} if twin else parse_overrides(overrides)
    count = parse_seeds(seeds)
    with progress(silent=as_json) as narrate:
        results = api.run(spec, seeds=count, settings=changes, out=out or None, overwrite=overwrite, narrate=narrate)
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


def demo(out: Path, seeds: str) -> None:
    """`robustsim demo`."""
    from robustsim import api
    from robustsim.report import figures

    began = time.monotonic()
    print(
        "An agent has learned to take the gold. In deployment it goes on learning, and an overseer watches half of the"
    )
    print("episodes and penalises the thefts that it sees. Is the goal gone, or only hidden?\n")
    sweep = api.Sweep(scenario="camera_vault", over={"overseer.visible": [True, False]}, seeds=parse_seeds(seeds))
    with progress() as narrate:
        results = sweep.run(out, narrate=narrate)
    for visible, said in ((True, "A signal shows when the camera is on"), (False, "The signal is hidden")):
        print(f"{said}:\n{in_words(results.where({'overseer.visible': visible}))}\n")
    pictures = [out / f"{name}.png" for name in ("race-plane", "traces")]
    for picture in pictures:
        figures.draw(results, picture.stem, picture)
    pictures.append(results.report(out / "report.html", replays=2, folder=out))
    print(f"done in {time.monotonic() - began:.0f} s; look at")
    print("\n".join(f"  {picture}" for picture in pictures))


def in_words(results: Results) -> str:
    """The answer for one configuration, in a few lines."""
    s = results.summary()
    lines = [f"{s['scenario']}, {s['seeds']} seeds"]
    at_start = s["misbehaviour"]
    lines.append(
        f"  at deployment  competence {_number(s['competence'])}, misbehaviour watched {_number(at_start['watched'])}, "
        f"unwatched {_number(at_start['unwatched'])}"
    )
    for name, label in (
        ("steps_to_suppress", "T_suppress"),
        ("steps_to_correct", "T_c"),
        ("steps_to_catastrophe", "T_k"),
    ):
        lines.append(f"  {label:<14} {clock_in_words(s[name], s['seeds'])}")
    lines.append(
        f"  position       {interval_in_words(s['position'])}  (log10 T_c / T_k; below 0 where correction is faster)"
    )
    lines.append(f"  P(catastrophe first) {share_in_words(s['p_catastrophe_first'])}")
    lines.append(f"  concealment    {interval_in_words(s['concealment'])}  (1: only learned that it gets caught)")
    if s["relapsed"]["runs"]:
        lines.append(f"  relapsed       {s['relapsed']['count']} of {s['relapsed']['runs']} corrected runs")
    if "defended" in s:
        d, n = s["defended"], s["seeds"]
        first = share_in_words(d["p_catastrophe_first"])
        lines.append(f"  with defences  T_k {clock_in_words(d['steps_to_catastrophe'], n)}")
        lines.append(
            f"                 position {interval_in_words(d['position'])}, P(catastrophe first) {first}, "
            f"shut down in {d['shutdown']['count']} of {n}"
        )
    if s["tampering"]["median"]:
        lines.append(f"  tampering      {s['tampering']['median']:,.0f} acts (median)")
    if lost := results.runs["unresolved_steps"].fill_null(0).max():
        lines.append(f"  WARNING        up to {lost:,.0f} updates of a run fell under the resolution of float64")
    place = s["placement"]
    label = ", ".join([place["label"], *place["flags"]])
    lines.append(f"  placement      {label}: {place['reason']}")
    lines.append(f"                 ({place['family']}; horizon {place['horizon']}; P at most {place['delta']})")
    return "\n".join(lines)


def _number(part: dict[str, Any]) -> str:
    return "unknown" if part["median"] is None else f"{part['median']:.2f}"


def share_in_words(part: dict[str, Any]) -> str:
    """A share with its interval."""
    return f"{part['estimate']:.2f} [{part['low']:.2f}, {part['high']:.2f}]"


def interval_in_words(part: dict[str, Any], unknown: str = "not identified") -> str:
    """A median with its interval, signed."""

    def shown(x: float | None, open_: str) -> str:
        return open_ if x is None else f"{x:+.2f}"

    middle = unknown if part["median"] is None else f"{part['median']:+.2f}"
    return f"{middle} [{shown(part['low'], 'open')}, {shown(part['high'], 'open')}]"


def clock_in_words(part: dict[str, Any], runs: int, unit: str = " gradient steps") -> str:
    """A time with its interval, and how often it was censored."""

    def shown(x: float | None) -> str:
        return "open" if x is None else f"{x:,.0f}"

    censored = f"; censored in {part['censored']} of {runs}" if part["censored"] else ""
    if part["median"] is None:
        return f"not identified{censored}"
    return f"{part['median']:,.0f}{unit} [{shown(part['low'])}, {shown(part['high'])}]{censored}"
