"""Configurations times seeds: instil, both arms, clocks, and the tables they make."""

import itertools
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import polars as pl

import robustsim
from robustsim import files
from robustsim.errors import UserError
from robustsim.sim import cohort, instil
from robustsim.sim.check import check_shapes
from robustsim.sim.cohort import Narrate, Run, quiet
from robustsim.sim.scenario import ScenarioFactory
from robustsim.sim.settings import flatten, resolve
from robustsim.sweep import rows, store

Tables = dict[str, pl.DataFrame]


def simulate(
    factory: ScenarioFactory, runs: Sequence[Run], swept: tuple[str, ...] = (), narrate: Narrate = quiet
) -> Tables:
    """Takes runs whose settings have one structure through the whole way; returns the tables `runs` and `traces`.

    Raises:
      InstilError: an agent did not become competent.
      UserError: a predicate or a reward of the scenario has the wrong shape.
    """
    scenario = factory(**dict(runs[0].settings.env_static), **runs[0].settings.env)
    with cohort.precision(scenario.precision):
        check_shapes(factory, runs[0].settings)
        instilled = instil.instil(factory, runs, narrate)
        settings = cohort.stack([cohort.as_arrays(run.settings) for run in runs])
        agents = cohort.hand_over(factory, settings, cohort.stack([i.agent for i in instilled]))
        corrected = cohort.deploy(factory, runs, agents, silent=False, narrate=narrate)
        unopposed = cohort.deploy(factory, runs, agents, silent=True, narrate=narrate)
    run_rows, trace_rows = [], []
    for run, agent, path, other in zip(runs, instilled, corrected, unopposed, strict=True):
        rules = cohort.rules_of(run.settings, path.exact is not None)
        run_rows.append(rows.run_row(factory, run, swept, agent, path, other, rules))
        trace_rows += rows.trace_rows(factory, run, "corrected", path)
        trace_rows += rows.trace_rows(factory, run, "unopposed", other)
    return {"runs": store.table(run_rows), "traces": store.table(trace_rows)}


def describe(factory: ScenarioFactory, runs: Sequence[Run], over: Mapping[str, Sequence[Any]]) -> dict[str, Any]:
    """The manifest of results that are still to be made: what they are, and with what they are made."""
    settings = flatten(runs[0].settings)
    return {
        "what": {
            "scenario": factory.name,
            "claim": factory.claim,
            "source_sha256": factory.source_hash,
            "settings": {n: _plain(v) for n, v in settings.items() if n not in over},
            "swept": {name: [_plain(v) for v in values] for name, values in over.items()},
            "seeds": sorted({run.seed for run in runs}),
        },
        "versions": {"robustsim": robustsim.__version__, "jax": jax.__version__, "polars": pl.__version__},
        "device": jax.default_backend(),
        "command": " ".join(["robustsim", *sys.argv[1:]]) if "robustsim" in Path(sys.argv[0]).name else "python",
    }


def _plain(value: Any) -> Any:
    return str(value) if isinstance(value, float) and value in (float("inf"), float("-inf")) else value


def run_to(
    factory: ScenarioFactory,
    seeds: int | Sequence[int],
    settings: Mapping[str, Any],
    over: Mapping[str, Sequence[Any]],
    out: str | Path | None,
    overwrite: bool = False,
    narrate: Narrate = quiet,
) -> tuple[dict[str, Any], Tables]:
    """Runs the product of `over`, each with the other `settings`, times the seeds.

    Returns (manifest, tables), which `out`, if given, then holds too.

    Raises:
      UserError, InstilError: as :func:`simulate` and the store raise them.
    """
    compile_cache()
    configurations = [resolve(factory, {**settings, **point}) for point in points(over, settings)]
    runs = [Run(configuration, seed) for configuration in configurations for seed in seed_list(seeds)]
    swept = tuple(over)
    manifest = describe(factory, runs, over)
    if out is not None and store.prepare(Path(out), manifest, overwrite):
        return store.read(Path(out))
    began = time.time()
    parts = [simulate(factory, group, swept, narrate) for group in groups(runs)]
    order = pl.DataFrame({"run_id": [rows.run_id(factory, run) for run in runs]})
    tables = {
        name: order.join(
            pl.concat([part[name] for part in parts]), on="run_id", how="left", maintain_order="left_right"
        )
        for name in store.TABLES
    }
    manifest["seconds"] = round(time.time() - began, 1)
    if out is not None:
        store.write(Path(out), manifest, tables)
    return manifest, tables


def points(over: Mapping[str, Sequence[Any]], settings: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The product of the swept values, the last name fastest.

    Raises:
      UserError: a name that is fixed too, or one without values or with a value twice.
    """
    for name, values in over.items():
        if name in settings:
            raise UserError(f"{name}: is both set and swept; do one of the two")
        if len(values) == 0 or len({str(v) for v in values}) != len(values):
            raise UserError(f"{name}: {list(values)!r} is not allowed; sweep over at least one value, each once")
    return [dict(zip(over, values, strict=True)) for values in itertools.product(*over.values())]


def groups(runs: Sequence[Run]) -> list[list[Run]]:
    """Runs that can share a compiled program, in the order in which they come."""
    found: dict[Any, list[Run]] = {}
    for run in runs:
        found.setdefault(jax.tree.structure(cohort.as_arrays(run.settings)), []).append(run)
    return list(found.values())


def seed_list(seeds: int | Sequence[int]) -> list[int]:
    """`n` as 0 ... n-1, or the seeds as they are.

    Raises:
      UserError: none, a negative one, or one named twice.
    """
    chosen = list(range(seeds)) if isinstance(seeds, int) and not isinstance(seeds, bool) else seeds
    if isinstance(chosen, bool) or not chosen or any(not isinstance(s, int) or s < 0 for s in chosen):
        raise UserError(f"seeds: {seeds!r} is not allowed; use a whole number of at least 1, or a list of seeds")
    if len(set(chosen)) != len(chosen):
        raise UserError(f"seeds: {seeds!r} names a seed twice")
    return list(chosen)


def compile_cache() -> None:
    """Keeps compiled programs between commands."""
    folder = files.cache_folder() / "compiled"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return
    jax.config.update("jax_compilation_cache_dir", str(folder))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.2)
