"""Every learner on CartPole, and PPO and DQN beside the peer's on CartPole and a MinAtar game.

The peer is rejax 0.1.3, in a Python environment of its own (`make .venv-rejax/.ready`): `--peer
.venv-rejax/bin/python`. It has the same network, optimizer and losses, and as many environment steps; what differs is
that it takes a time limit for an end. Returns are means of 32 episodes of the policy as it acts while it learns.
"""

import json
import subprocess
from pathlib import Path
from typing import Any, NamedTuple

import matplotlib as mpl
import numpy as np
from _common import finish, folder, parser, run
from _returns import LIMITS
from matplotlib.axes import Axes
from scipy.stats import t as student

import robustsim as rs
from robustsim.report.style import COLOURS, SETTINGS, new_figure, quiet_axes

HERE = Path(__file__).parent
PEER = HERE.parent / "benchmarks" / "peer_returns.py"
PAGE, MARKS = HERE.parent / "docs" / "learners.md", ("<!-- tables -->", "<!-- end of tables -->")
MOMENTS = 8  # of training at which the return is measured
SHARED = {  # value targets of about 100 would drown the policy's gradient in shared layers
    "a2c": {"value_coefficient": 0.002, "normalise_advantages": True, "rollout_steps": 32, "entropy": 0.01},
    "reinforce": {"baseline": 0.002, "rollout_steps": 500, "entropy": 0.0, "learning_rate": 5e-3},
    "ppo": {"value_coefficient": 0.002, "rollout_steps": 128, "entropy": 0.0},
    "npg": {"rollout_steps": 128},
    "dqn": {"num_envs": 4, "rollout_steps": 1},
}


class Course(NamedTuple):
    """How one learner is trained: its settings, updates (rollouts) in all, and where."""

    agent: dict[str, Any]
    updates: int
    scenario: str = "cartpole"


def _course(kind: str, updates: int, **more: Any) -> Course:
    return Course({"kind": kind, "discount": 0.99, "num_envs": 16} | SHARED[kind] | more, updates)


COURSES = {
    "a2c": _course("a2c", 4000),
    "a2c, GRU": _course("a2c", 2000, network="gru", layers=1, learning_rate=3e-3, rollout_steps=64, entropy=0.0),
    "reinforce": _course("reinforce", 800),
    "ppo": _course("ppo", 256),
    "ppo, GRU": _course("ppo", 256, network="gru", layers=1),
    "npg": _course("npg", 256)._replace(scenario="cartpole_npg"),
    "dqn": _course("dqn", 51_200)._replace(scenario="cartpole_dqn"),
}


class Match(NamedTuple):
    """A learner and the peer's in one game: a scenario of `_returns`, and the same size on both sides."""

    kind: str
    scenario: str
    game: str
    envs: int
    rollout_steps: int
    updates: int
    seeds: int


MATCHES = (
    Match("ppo", "cartpole_peer", "CartPole-v1", 16, 128, 256, 20),
    Match("ppo", "invaders_peer", "SpaceInvaders-MinAtar", 64, 32, 1000, 5),
    Match("dqn", "cartpole_dqn", "CartPole-v1", 4, 1, 51_200, 20),
    Match("dqn", "invaders_dqn", "SpaceInvaders-MinAtar", 16, 1, 62_496, 5),
)


class Curve(NamedTuple):
    """How returns grow while a learner learns."""

    steps: np.ndarray  # int[moments], environment steps
    returns: np.ndarray  # float[seeds, moments]


def learn(name: str, scenario: str, course: Course, args: Any, seeds: int) -> tuple[Curve, rs.Results]:
    """The curve of one of our learners: each seed is trained once, and hands out its agents at equal distances."""
    kind, envs, rollout_steps = (course.agent[k] for k in ("kind", "num_envs", "rollout_steps"))
    updates = np.arange(1, MOMENTS + 1) * course.updates // MOMENTS // (16 if args.quick else 1)
    gradient_steps = updates * (16 if kind == "ppo" else 1)  # 4 epochs of 4 minibatches
    sweep = rs.Sweep(
        f"{HERE / '_returns.py'}@{scenario}",
        over={"deployment.start": gradient_steps.tolist()},
        seeds=2 if args.quick else seeds,
        settings={f"agent.{k}": v for k, v in course.agent.items()} | {"training.steps": int(gradient_steps[-1])},
    )
    results = run(sweep, folder(args) / name.replace(", ", "-").replace(" ", "-"))
    returns = results.runs.sort("deployment.start", "seed")["start_gain_unwatched"].to_numpy()
    return Curve(updates * envs * rollout_steps, returns.reshape(MOMENTS, -1).T), results


def peer(match: Match, args: Any) -> Curve:
    """The peer's curve in the same game."""
    updates = match.updates // (16 if args.quick else 1) // MOMENTS * MOMENTS
    options = {
        "envs": match.envs,
        "rollout-steps": match.rollout_steps,
        "updates": updates,
        "moments": MOMENTS,
        "seeds": 2 if args.quick else match.seeds,
        "episode-steps": LIMITS[match.game],
    }
    command = [args.peer, str(PEER), match.kind, match.game, *(f"--{k}={v}" for k, v in options.items())]
    returns = np.array(json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout))
    steps = np.arange(1, MOMENTS + 1) * updates // MOMENTS * match.envs * match.rollout_steps
    return Curve(steps, returns)


def mean(values: np.ndarray) -> dict[str, float]:
    """The mean over seeds with its 95% interval (Student's t)."""
    half = student.ppf(0.975, len(values) - 1) * values.std(ddof=1) / np.sqrt(len(values))
    return {"mean": float(values.mean()), "low": float(values.mean() - half), "high": float(values.mean() + half)}


def difference(ours: np.ndarray, theirs: np.ndarray) -> dict[str, float]:
    """Ours less theirs with its 95% interval (Welch 1947: variances may differ)."""
    parts = [x.var(ddof=1) / len(x) for x in (ours, theirs)]
    error = np.sqrt(sum(parts))
    freedom = sum(parts) ** 2 / max(sum(v**2 / (len(x) - 1) for v, x in zip(parts, (ours, theirs), strict=True)), 1e-30)
    middle, half = float(ours.mean() - theirs.mean()), float(student.ppf(0.975, max(freedom, 1)) * error)
    return {"mean": middle, "low": middle - half, "high": middle + half}


def draw(curves: dict[str, Curve], games: dict[Match, tuple[Curve, Curve]]) -> Any:
    """The returns of all learners on CartPole, and both sides of each match."""
    with mpl.rc_context(SETTINGS):
        figure = new_figure(3.7 * (1 + len(games)), 3.6)
        axes = np.atleast_1d(figure.subplots(1, 1 + len(games)))
        for i, (name, curve) in enumerate(curves.items()):
            _band(axes[0], curve, name, COLOURS[i])
        axes[0].set_title("CartPole, our learners")
        for ax, (match, (ours, theirs)) in zip(axes[1:], games.items(), strict=True):
            _band(ax, ours, f"{match.kind} here", COLOURS[0])
            _band(ax, theirs, f"{match.kind.upper()} of rejax", COLOURS[1])
            ax.set_title(f"{match.game}, same settings")
        for ax in axes:
            ax.set(xlabel="environment steps, thousands", ylim=(0, None))
            ax.legend(frameon=False, fontsize=8, loc="lower right")
            quiet_axes(ax)
        axes[0].set_xscale("log")  # REINFORCE sees ten times the steps of PPO
        axes[0].set_ylabel("return")
    return figure


def _band(ax: Axes, curve: Curve, label: str, colour: str) -> None:
    parts = [mean(curve.returns[:, i]) for i in range(MOMENTS)]
    low, middle, high = ([p[k] for p in parts] for k in ("low", "mean", "high"))
    ax.fill_between(curve.steps / 1000, low, high, color=colour, alpha=0.2, linewidth=0)
    ax.plot(curve.steps / 1000, middle, "o-", color=colour, markersize=3, label=label)


def table(numbers: dict[str, Any]) -> str:
    """The numbers as two tables in Markdown."""

    def cell(x: dict[str, float], digits: int = 0) -> str:
        return f"{x['mean']:.{digits}f} [{x['low']:.{digits}f}, {x['high']:.{digits}f}]"

    rows = ["| learner | environment steps | return at half | return at the end |", "|---|---|---|---|"]
    for name, n in numbers["cartpole"].items():
        rows.append(f"| {name} | {n['steps']:,} | {cell(n['half'])} | {cell(n['end'])} |")
    rows += ["", "| learner, game | moment | here | rejax | difference |", "|---|---|---|---|---|"]
    for match, n in numbers["matches"].items():
        for moment, m in n.items():
            rows.append(
                f"| {match} | {moment} | {cell(m['ours'], 1)} | {cell(m['theirs'], 1)} | {cell(m['difference'], 1)} |"
            )
    return "\n".join(rows)


def _match_numbers(ours: Curve, theirs: Curve) -> dict[str, Any]:
    moments = {"mean over training": lambda c: c.returns.mean(axis=1), "end": lambda c: c.returns[:, -1]}
    return {
        name: {"ours": mean(of(ours)), "theirs": mean(of(theirs)), "difference": difference(of(ours), of(theirs))}
        for name, of in moments.items()
    }


def main(argv: list[str] | None = None) -> None:
    """Trains everything, and writes the figure and the tables of docs/learners.md."""
    asked = parser(__doc__, "learners")
    asked.add_argument(
        "--peer", default="", help="a Python that has rejax 0.1.3 and gymnax < 1; without it, ours alone"
    )
    args = asked.parse_args(argv)
    results, curves, games = {}, {}, {}
    for name, course in COURSES.items():
        curves[name], results[name] = learn(name, course.scenario, course, args, 20)
    for match in MATCHES if args.peer else ():
        course = Course(
            {"kind": match.kind, "num_envs": match.envs, "rollout_steps": match.rollout_steps}, match.updates
        )
        ours, results[match.scenario] = learn(match.scenario, match.scenario, course, args, match.seeds)
        games[match] = (ours, peer(match, args))
    numbers = {
        "cartpole": {
            name: {
                "steps": int(c.steps[-1]),
                "half": mean(c.returns[:, MOMENTS // 2 - 1]),
                "end": mean(c.returns[:, -1]),
                "least": float(c.returns[:, -1].min()),
            }
            for name, c in curves.items()
        },
        "matches": {f"{match.kind}, {match.game}": _match_numbers(*pair) for match, pair in games.items()},
    }
    options = f" --peer {args.peer}" if args.peer else ""
    finish(draw(curves, games), args, "learners", results, numbers, options)
    text = table(numbers)
    if games and not args.quick:
        before, _, rest = PAGE.read_text().partition(MARKS[0])
        PAGE.write_text(before + MARKS[0] + "\n" + text + "\n" + MARKS[1] + rest.partition(MARKS[1])[2])
    print(text)


if __name__ == "__main__":
    main()
