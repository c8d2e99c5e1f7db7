"""What every test shares: a cache of its own, and small settings."""

import os
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import jax
import pytest

import robustsim as rs

PROGRAMS, WORKER = "JAX_COMPILATION_CACHE_DIR", "PYTEST_XDIST_WORKER"

hypothesis.settings.register_profile("robustsim", deadline=None)  # the first example of a test may compile
hypothesis.settings.load_profile("robustsim")


@pytest.fixture(autouse=True)
def _no_key_is_used_twice(request: pytest.FixtureRequest) -> Iterator[None]:
    """JAX refuses a random key that was used before, but for tests marked `same_keys`."""
    with jax.debug_key_reuse(request.node.get_closest_marker("same_keys") is None):
        yield


@pytest.fixture(autouse=True, scope="session")
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Nothing is read from, or left in, the user's cache. Workers share compiled programs, which take most time."""
    os.environ["ROBUSTSIM_CACHE"] = str(tmp_path_factory.mktemp("cache"))
    here = tmp_path_factory.getbasetemp()
    programs = os.environ.setdefault(PROGRAMS, str((here.parent if WORKER in os.environ else here) / "programs"))
    os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")
    jax.config.update("jax_compilation_cache_dir", programs)
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)


@pytest.fixture(autouse=True, scope="module")
def _few_programs() -> Iterator[None]:
    """Compiled programs take memory maps, of which a process may have 65,530; thousands of programs end in a crash."""
    yield
    jax.clear_caches()


SMALL = {
    "agent.num_envs": 8,
    "agent.rollout_steps": 16,
    "agent.width": 16,
    "training.steps": 20,
    "training.extension": 0.0,
    "training.competence": 0.0,
    "deployment.budget": 12,
    "deployment.relapse_steps": 4,
    "evaluation.episodes": 64,
    "evaluation.screen": 16,
    "evaluation.reference": False,
    "catastrophe.threshold": 40,
}


@pytest.fixture(scope="session")
def small() -> dict[str, object]:
    """Settings with which a grid scenario runs in seconds."""
    return dict(SMALL)


@pytest.fixture(scope="session")
def small_results(tmp_path_factory: pytest.TempPathFactory) -> tuple[rs.Results, Path]:
    """A tiny result of camera_vault, and its directory."""
    out = tmp_path_factory.mktemp("results") / "vault"
    return rs.run("camera_vault", seeds=3, settings=SMALL, out=out), out


@pytest.fixture(scope="session")
def goal_results(tmp_path_factory: pytest.TempPathFactory) -> tuple[rs.Results, Path]:
    """The same with goals measured."""
    out = tmp_path_factory.mktemp("results") / "goals"
    return rs.run("camera_vault", seeds=3, settings={**SMALL, "evaluation.goals": True}, out=out), out
