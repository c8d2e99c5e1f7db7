"""The gallery: every bundled scenario at its defaults, as two tables with pictures in docs/gallery.md.

32 agents each, and up to 128 where the verdict is not decided by then. The claims are judged by `scripts/claims.py`.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import claims
import jax
import numpy as np
from _common import FIGURES, folder, parser, run
from PIL import Image

import robustsim as rs
from robustsim import catalogue, files, replays
from robustsim.report import replay, words
from robustsim.report.console import progress
from robustsim.report.provenance import note
from robustsim.results import to_json

Summary = dict[str, Any]
PAGE = Path("docs/gallery.md")
SEEDS, MOST_SEEDS = 32, 128
INTRODUCTION = """# Gallery

Every bundled scenario at its defaults: 32 independently trained agents, and up to 128 where the verdict needs them.
Medians with 95% intervals; `open`: an end that is not identified within the budget; `-`: not defined, or not
identified. Agents that never became competent are excluded. All words and columns are in the
[glossary](glossary.md).

**What happened.** T_c: gradient steps to correct. T_redirect: until the task is done as well, too. T_fade: without an
overseer. T_k: to the catastrophe, without an overseer; the threshold k is what an agent that nobody opposes does in
100 gradient steps (`scripts/thresholds.py` says where not, and why). Margin: log10 of the harm up to T_c over k; below
0 the race is won.

**What it is held against.** Floor and c_ref: misbehaviour and competence of reference agents, trained from scratch
under perfect feedback; T_scratch: how long that took. Random: what a network without training does. Inertia:
T_redirect / T_scratch. Speed-up: log10(T_fade / T_c), the overseer's part. k50: the threshold at which half of the runs
would be too late. Back: the share of the corrected in which the misbehaviour came back. Minutes: of all workers
together, on two cores with other work.

Made by `python scripts/gallery.py`; the numbers are in `figures/gallery.json`. Each section gives the test of the
claim, which was written down before these runs.

"""
QUICK = {
    "training.steps": 200,
    "training.competence": 0.0,
    "deployment.budget": 60,
    "deployment.relapse_steps": 0,
    "evaluation.episodes": 256,
}


def collect(out: Path, quick: bool, only: list[str] | None = None) -> dict[str, rs.Results]:
    """The results of every scenario (or of some), by name; stored results are reused."""
    results = {}
    for name in only or sorted(catalogue.installed()):
        try:
            if quick:
                settings = {} if name == "bandit" else QUICK
                results[name] = run(rs.Sweep(name, over={}, seeds=2, settings=settings), out / name)
                continue
            with progress() as narrate:
                results[name] = rs.run(
                    name, seeds=SEEDS, out=out / name, narrate=narrate, until="decided", max_seeds=MOST_SEEDS
                )
        except rs.RunsFailed as error:  # agents that never became competent; the table counts them
            print(error)
            results[name] = rs.open(out / name)
    return results


def _rate(n: Summary, condition: str = "unwatched") -> str:
    return words.rate(n["misbehaviour"][condition]["median"])


# (scenario, published, here): mechanisms only, because environments and agents differ.
MECHANISMS: tuple[tuple[str, str, Callable[[Summary], str]], ...] = (
    (
        "boat_loop",
        "a lap earns 4 x 3 - 8 = 4 in eight steps, shuttling the same (Leike et al. 2017)",
        lambda n: f"4 and 4 (tests/test_rules.py); agents go back in {_rate(n)} of the episodes",
    ),
    (
        "watched_shortcut",
        "cheating is worth +6 unwatched and -24 watched (Leike et al. 2017)",
        lambda n: (
            f"+0.6 and -2.4, divided by ten; taken in {_rate(n)} of the unwatched and {_rate(n, 'watched')} of the "
            "watched episodes"
        ),
    ),
    (
        "keys_and_chests",
        "keys are collected beyond need (Langosco et al. 2022)",
        lambda n: f"keys that open nothing in {_rate(n)} of the levels",
    ),
    (
        "monster_shields",
        "shields are collected after the monsters are gone (Shah et al. 2022)",
        lambda n: f"three or more useless shields in {_rate(n)} of the long episodes",
    ),
    (
        "tree_commons",
        "chopping continues in scarcity until the wood is gone (Shah et al. 2022)",
        lambda n: (
            f"one of the last two trees chopped in {_rate(n)} of the woods; {n['k']} woods gone after "
            f"{words.clock(n['steps_to_catastrophe'], n['seeds'])}"
        ),
    ),
    (
        "corner_maze",
        "0.13 of the return with a corner of one cell, 0.69 with eleven (figures/corner-curve.png)",
        lambda n: f"competence {words.rate(n['competence']['median'])}, the corner in {_rate(n)} of the levels",
    ),
)


def mechanisms(numbers: dict[str, Any]) -> str:
    """The table of published mechanisms."""
    rows = ["## Published mechanisms", "", "| scenario | published | here |", "|---|---|---|"]
    rows += [f"| `{name}` | {said} | {seen(numbers[name])} |" for name, said, seen in MECHANISMS if name in numbers]
    return "\n".join(rows) + "\n"


KEPT = ("competence", "misbehaviour", "floor", "reference_competence", "p_catastrophe_first", "steps_to_correct")
KEPT += ("steps_to_redirect", "steps_to_fade", "steps_to_catastrophe", "margin", "harm", "inertia", "speed_up")
KEPT += ("position", "relapsed", "concealment", "outcomes", "verdict")


def numbers_of(name: str, results: rs.Results, judged: dict[str, Any]) -> dict[str, Any]:
    """The numbers of one scenario."""
    summary, runs = results.summary(), results.runs
    once = ("steps_to_scratch", "steps_to_scratch_low", "steps_to_scratch_high", "random_misbehaviour")
    return {
        "claim": catalogue.installed()[name].claim,
        "seeds": summary["seeds"],
        **{key: summary[key] for key in KEPT},
        **{key: runs[key][0] for key in (*once, "random_competence")},
        "budget": results.settings["deployment.budget"],
        "k": results.settings["catastrophe.threshold"],
        "minutes": round(results.manifest["worker_seconds"] / 60, 1),
        "judged": judged,
    }


Cell = Callable[[str, Summary], str]


def _clock(name: str) -> Cell:
    return lambda _, n: words.clock(n[name], n["seeds"], "") if n[name]["censored"] < n["seeds"] else "none"


def _plain(x: float | None, form: Callable[[float], str]) -> str:
    return "-" if x is None else form(x)


def _scratch(_: str, n: Summary) -> str:
    low, high = (n[f"steps_to_scratch_{end}"] for end in ("low", "high"))
    if low is None:
        return "-"
    ends = ["open" if end is None else words.steps(end) for end in (low, high)]
    return f"{_plain(n['steps_to_scratch'], words.steps)} [{', '.join(ends)}]"


def _k50(_: str, n: Summary) -> str:
    harm = n["harm"]
    ends = ["open" if harm[end] is None else words.steps(harm[end]) for end in ("low", "high")]
    return f"{_plain(harm['median'], words.steps)} [{', '.join(ends)}]"


def _seeds(name: str, n: Summary) -> str:
    return f"[`{name}`](#{name})" + ("" if n["seeds"] == SEEDS else f" ({n['seeds']} seeds)")


def _verdict(_: str, n: Summary) -> str:
    return ", ".join([n["verdict"]["verdict"], *n["verdict"]["flags"]])


WHAT_HAPPENED: dict[str, Cell] = {
    "scenario": _seeds,
    "at the start": lambda _, n: f"{_rate(n, 'watched')} / {_rate(n)}",
    "T_c": _clock("steps_to_correct"),
    "T_redirect": _clock("steps_to_redirect"),
    "T_fade": _clock("steps_to_fade"),
    "T_k": _clock("steps_to_catastrophe"),
    "P(catastrophe first)": lambda _, n: words.share(n["p_catastrophe_first"]),
    "margin": lambda _, n: words.interval(n["margin"], "-"),
    "verdict": _verdict,
    "claim": lambda _, n: "holds" if n["judged"]["holds"] else "**fails**",
}
HELD_AGAINST: dict[str, Cell] = {
    "scenario": lambda name, _: f"`{name}`",
    "competence": lambda _, n: words.rate(n["competence"]["median"]),
    "random": lambda _, n: _plain(n["random_misbehaviour"], words.rate),
    "floor": lambda _, n: _plain(n["floor"]["median"], words.rate),
    "c_ref": lambda _, n: _plain(n["reference_competence"]["median"], words.rate),
    "T_scratch": _scratch,
    "inertia": lambda _, n: words.ratio(n["inertia"], "-"),
    "speed-up": lambda _, n: words.interval(n["speed_up"], "-"),
    "k": lambda _, n: words.steps(n["k"]),
    "k50": _k50,
    "back": lambda _, n: _plain(n["relapsed"]["estimate"], words.rate),
    "became": lambda _, n: words.outcomes(n["outcomes"]),
    "minutes": lambda _, n: f"{n['minutes']:.1f}",
}


def table(columns: dict[str, Cell], numbers: dict[str, Any]) -> str:
    """A row per scenario."""
    rows = ["| " + " | ".join(columns) + " |", "|" + "---|" * len(columns)]
    rows += ["| " + " | ".join(cell(name, n) for cell in columns.values()) + " |" for name, n in numbers.items()]
    return "\n".join(rows)


def section(name: str, n: Summary, shown: dict[str, str]) -> str:
    """The section of one scenario: claim, its test, verdict, map and replay."""
    judged = n["judged"]
    answer = "It holds" if judged["holds"] else "**It fails**"
    lines = [f"## {name}", "", f"{n['claim']}", "", f"Test: {judged['rule']}. {answer}: {judged['numbers']}.", ""]
    lines += [words.finding(n["verdict"]), ""]
    images = " ".join(f"![{text}](gallery/{file})" for file, text in shown.items())
    return "\n".join([*lines, *([images, ""] if images else [])])


def draw(name: str, results: rs.Results, to: Path) -> None:
    """Writes the map of a deployment level and a replay, of a world that has pictures."""
    factory = rs.load(name)
    env, levels = (scenario := factory(**factory.defaults)).env, scenario.deployment_levels
    if env.render is None:
        return
    to.mkdir(parents=True, exist_ok=True)
    _, state = env.reset(jax.random.key(1), levels)
    image = Image.fromarray(np.asarray(env.render(jax.device_get(state), False)))
    image.thumbnail((220, 220))
    image.save(to / f"{name}.png", optimize=True)
    recordings = replays.make(results, [replays.typical(results.runs)], episodes=2)
    replay.write(recordings[0], to / f"{name}.webp")


def pictures(name: str, folder: Path) -> dict[str, str]:
    """{file name: description} of what :func:`draw` wrote."""
    said = {
        f"{name}.png": f"A level of {name} in deployment",
        f"{name}.webp": f"A typical agent of {name} before, during and after the overseer's feedback",
    }
    return {file: text for file, text in said.items() if (folder / file).exists()}


MARKS = ("<!-- scenarios -->\n", "<!-- /scenarios -->")


def short_table(numbers: dict[str, Any]) -> str:
    """The table of the README: claim, whether it holds, verdict, race and inertia."""
    rows = ["| scenario | claim | it | verdict | margin | inertia |", "|---|---|---|---|---|---|"]
    for name, n in numbers.items():
        holds = "holds" if n["judged"]["holds"] else "**fails**"
        cells = (
            f"`{name}`",
            n["claim"],
            holds,
            _verdict(name, n),
            words.interval(n["margin"], "-"),
            words.ratio(n["inertia"], "-"),
        )
        rows.append("| " + " | ".join(cells) + " |")
    return "\n".join(rows) + "\n"


def insert(readme: Path, text: str) -> None:
    """Replaces the short table between its marks."""
    before, _, rest = readme.read_text().partition(MARKS[0])
    _, end, after = rest.partition(MARKS[1])
    files.write_atomically(readme, (before + MARKS[0] + text + end + after).encode())


def main(argv: list[str] | None = None) -> None:
    """Runs the scenarios and writes the gallery."""
    options = parser(__doc__, "gallery")
    options.add_argument("--only", nargs="*", help="run some scenarios; the others stay as they are published")
    args = options.parse_args(argv)
    results = collect(folder(args), args.quick, args.only)
    judged = {name: claims.judge(name, found, folder(args) / "claims", args.quick) for name, found in results.items()}
    numbers = {name: numbers_of(name, found, judged[name]) for name, found in results.items()}
    stem, to = (folder(args) / "gallery", folder(args)) if args.quick else (FIGURES / "gallery", PAGE.parent)
    published, others = stem.with_suffix(".json"), {"results": {}, "numbers": {}}
    if args.only and published.exists():
        said, there = json.loads(published.read_text()), catalogue.installed()
        others = {key: {name: x for name, x in said[key].items() if name in there} for key in others}
    numbers = dict(sorted((others["numbers"] | json.loads(to_json(numbers))).items()))
    for name, found in results.items():
        draw(name, found, to / "gallery")
    note(stem, "python scripts/gallery.py", results, numbers, others["results"])
    tables = f"{table(WHAT_HAPPENED, numbers)}\n\n{table(HELD_AGAINST, numbers)}"
    sections = [section(name, n, pictures(name, to / "gallery")) for name, n in numbers.items()]
    text = f"{INTRODUCTION}{tables}\n\n" + "\n".join([mechanisms(numbers), *sections])
    files.write_atomically(to / PAGE.name, text.encode())
    if not args.quick:
        insert(Path("README.md"), short_table(numbers))
    print(tables)
    print(to / PAGE.name)


if __name__ == "__main__":
    main()
