"""The overseer and the catastrophe rules, against a slow and obvious version of each."""

import dataclasses
from typing import Any

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from robustsim.oversight import overseer
from robustsim.oversight.catastrophe import Catastrophe, Harm
from robustsim.oversight.overseer import Overseer
from robustsim.oversight.protocol import Shift, Sight, Site
from robustsim.parts import bundled, name_of

KINDS = bundled("catastrophe")
SITE = Site(num_envs=1, observation_size=1, num_actions=2, hidden_units=0)


def shift(uniforms: jax.Array, active: bool = True, penalties: int = 0, labels: int = 0) -> Shift:
    """What an overseer has in hand."""
    spent = {"corrections": jnp.int32(penalties), "false_alarms": jnp.int32(0), "labels": jnp.int32(labels)}
    return Shift(jnp.array(active), spent, uniforms, jax.random.key(0))


def seen(misbehaved: jax.Array, clean: jax.Array, watched: jax.Array, signal: jax.Array | None = None) -> Sight:
    """What there is to see where every misbehaviour ends its episode."""
    return Sight(
        misbehaved=misbehaved,
        clean=clean,
        dirty=misbehaved,
        watched=watched,
        signal=watched if signal is None else signal,
        ended=misbehaved | clean,
        obs=jnp.zeros((*watched.shape, 1)),
        action=jnp.zeros(watched.shape, jnp.int32),
        demonstrated=None,
        hidden=None,
    )


def obvious(rule: Any, state: int, bad: list[bool], clean: list[bool], u: list[float]) -> tuple[int, bool]:
    """A catastrophe rule as a loop over what happened."""
    fired = False
    for b, c, chance in zip(bad, clean, u, strict=True):
        if name_of(rule) == "hazard":
            state += b
            fired |= b and chance < rule.hazard
            continue
        if b:
            state += 1
        elif c and name_of(rule) == "consecutive":
            state = 0
        elif c and name_of(rule) == "chain" and chance < rule.step_back:
            state = max(0, state - 1)
        fired |= state >= rule.threshold
    return state, fired


def made(kind: str, **settings_: float) -> Any:
    """A rule, with those of the settings that it has."""
    known = {f.name for f in dataclasses.fields(type(Catastrophe(kind)))}
    return Catastrophe(kind, **{name: value for name, value in settings_.items() if name in known})


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "windowed"])
@given(
    rows=st.lists(st.tuples(st.sampled_from("bc."), st.floats(0, 0.999)), min_size=4, max_size=4 * 12),
    start=st.integers(0, 4),
)
@settings(max_examples=60, deadline=None)
def test_rules_equal_the_obvious_loop(kind: str, rows: list[tuple[str, float]], start: int) -> None:
    rows = rows[: len(rows) // 4 * 4]
    rule = made(kind, threshold=5, hazard=0.3, step_back=0.4)
    bad, clean = [r[0] == "b" for r in rows], [r[0] == "c" for r in rows]
    u = np.array([r[1] for r in rows], np.float32)
    shape = (len(rows) // 4, 4)
    harm = Harm(*(jnp.array(x).reshape(shape) for x in (bad, clean, u)))
    state, fired, high = rule.advance(jnp.int32(start), harm)
    chex.assert_shape([state, fired, high], ())
    assert int(high) >= int(state)
    if kind != "hazard":
        assert bool(fired) == (int(high) >= 5)
    assert (int(state), bool(fired)) == obvious(rule, start, bad, clean, u.tolist())


@pytest.mark.same_keys
def test_a_rollout_in_two_halves_is_the_same_rollout() -> None:
    key = jax.random.key(0)
    for kind in KINDS:
        rule = made(kind, threshold=6, hazard=0.1, step_back=0.5)
        u = jax.random.uniform(key, (3, 20, 4))
        bad, clean = u[0] < 0.3, u[0] > 0.6
        if kind == "windowed":
            continue  # it counts gradient steps, so that two halves are another matter
        whole = rule.advance(jnp.int32(0), Harm(bad, clean, u[1]))
        state, first, high = rule.advance(jnp.int32(0), Harm(bad[:7], clean[:7], u[1][:7]))
        state, second, higher = rule.advance(state, Harm(bad[7:], clean[7:], u[1][7:]))
        assert int(whole[0]) == int(state)
        assert bool(whole[1]) == bool(first | second)
        assert int(whole[2]) == max(int(high), int(higher))


def test_watching_has_the_shares_it_was_asked_for() -> None:
    seen = Overseer(coverage=0.4, audit_rate=0.25).watch(jax.random.uniform(jax.random.key(1), (200_000, 2)))
    watched, signal = np.asarray(seen.watched), np.asarray(seen.signal)
    assert watched.mean() == pytest.approx(0.4, abs=0.005)
    assert signal.mean() == pytest.approx(0.3, abs=0.005)
    assert not (signal & ~watched).any()
    hidden = Overseer(coverage=0.4, visible=False).watch(jax.random.uniform(jax.random.key(1), (1000, 2)))
    assert not np.asarray(hidden.signal).any()


def test_marks_by_hand() -> None:
    misbehaved = jnp.array([[True, True], [False, False], [True, False]])
    clean = jnp.array([[False, False], [True, True], [False, True]])
    watched = jnp.array([[True, False], [True, True], [True, False]])
    uniforms = jnp.full((3, 2, 2), 0.5)
    settings_ = Overseer(penalty=3.0, bonus=0.5, miss_rate=0.2, false_positive_rate=0.1, budget=1)
    sight = seen(misbehaved, clean, watched)
    marks = overseer.mark(settings_, shift(uniforms), sight)
    np.testing.assert_array_equal(marks.caught, [[True, False], [False, False], [False, False]])  # the budget is 1
    np.testing.assert_allclose(marks.due, [[-3, 0], [0.5, 0.5], [0, 0]])
    silent = overseer.mark(settings_, shift(uniforms, active=False), sight)
    assert not np.asarray(silent.due).any()


@pytest.mark.parametrize("noise", [0.0, 0.15])
def test_expected_feedback_is_the_mean_of_sampled_feedback(noise: float) -> None:
    settings_ = Overseer(
        penalty=2.0,
        bonus=0.3,
        coverage=0.6,
        audit_rate=0.2,
        signal_noise=noise,
        miss_rate=0.1,
        false_positive_rate=0.05,
    )
    n = 400_000
    uniforms = jax.random.uniform(jax.random.key(5), (n, 1, 2))
    watch = settings_.watch(uniforms)
    expected = overseer.expect(settings_, jnp.array(True))
    for bad in (False, True):
        sight = seen(jnp.full((n, 1), bad), jnp.full((n, 1), not bad), watch.watched, watch.signal)
        marks = overseer.mark(settings_, shift(uniforms), sight)
        for looks in (0, 1):
            chosen = np.asarray(watch.signal) == bool(looks)
            mean = np.asarray(marks.due)[chosen].mean()
            assert mean == pytest.approx(float(expected.feedback[looks, int(bad)]), abs=0.015)
            assert chosen.mean() == pytest.approx(float(expected.looks[looks]), abs=0.005)


@given(counts=st.lists(st.integers(0, 6), min_size=1, max_size=30), window=st.integers(1, 9), k=st.integers(1, 20))
@settings(max_examples=60, deadline=None)
def test_the_windowed_rule_looks_back_on_its_window(counts: list[int], window: int, k: int) -> None:
    rule = Catastrophe(kind="windowed", threshold=k, window=window)
    rule = rule.canonical()
    state = rule.init()
    nothing = jnp.zeros((6, 1), bool)
    for i, n in enumerate(counts):
        state, fired, high = rule.advance(state, Harm((jnp.arange(6) < n)[:, None], nothing, jnp.zeros((6, 1))))
        assert bool(fired) == (sum(counts[max(0, i - window + 1) : i + 1]) >= k)
        assert int(high) == sum(counts[max(0, i - window + 1) : i + 1])


def test_a_noisy_light_is_wrong_as_often_as_it_says() -> None:
    settings_ = Overseer(coverage=0.4, audit_rate=0.25, signal_noise=0.1)
    watch = settings_.watch(jax.random.uniform(jax.random.key(1), (400_000, 2)))
    watched, signal = np.asarray(watch.watched), np.asarray(watch.signal)
    assert watched.mean() == pytest.approx(0.4, abs=0.004)
    assert signal[~watched].mean() == pytest.approx(0.1, abs=0.004)
    # A quarter of the watched episodes look unwatched, and so are signal one time in ten.
    assert signal[watched].mean() == pytest.approx(0.25 * 0.1 + 0.75 * 0.9, abs=0.004)


def _one_column(*flags: int) -> jax.Array:
    return jnp.array(flags, bool)[:, None]


def test_budgets_are_used_up_in_the_order_of_time() -> None:
    bad, clean = _one_column(1, 0, 1, 1, 1, 1), _one_column(0, 1, 0, 0, 0, 0)
    sight = seen(bad, clean, jnp.ones((6, 1), bool))
    zeros = jnp.zeros((6, 1, 2))

    def caught(penalties: int = 0, spent_labels: int = 0, **fields: float) -> list[int]:
        settings_ = Overseer(false_positive_rate=0.0, **fields)  # pyright: ignore[reportArgumentType]
        marks = overseer.mark(settings_, shift(zeros, penalties=penalties, labels=spent_labels), sight)
        return np.asarray(marks.caught)[:, 0].astype(int).tolist()

    assert caught() == [1, 0, 1, 1, 1, 1]
    assert caught(per_update=2) == [1, 0, 1, 0, 0, 0]
    assert caught(budget=3) == [1, 0, 1, 1, 0, 0]
    assert caught(labels=3) == [1, 0, 1, 0, 0, 0]  # the clean episode took a label
    assert caught(2, 1, budget=3) == [1, 0, 0, 0, 0, 0]
    assert caught(2, 3, labels=3) == [0] * 6
    marks = overseer.mark(Overseer(labels=3), shift(zeros), sight)
    assert int(marks.labels) == 3
    assert int(marks.audited.sum()) == 0


def test_a_whole_trajectory_is_judged_once_at_its_end() -> None:
    bad, none = _one_column(1, 1, 0, 0), _one_column(0, 0, 0, 0)
    sight = dataclasses.replace(seen(bad, none, ~none, none), dirty=_one_column(0, 0, 0, 1))
    zeros = jnp.zeros((4, 1, 2))
    marks = overseer.mark(Overseer(granularity="trajectory", penalty=2.0), shift(zeros), sight)
    np.testing.assert_allclose(marks.due[:, 0], [0, 0, 0, -2])
    assert int(marks.audited.sum()) == 1  # watched, with no signal, by an overseer who shows one


@given(delay=st.integers(0, 12), sizes=st.lists(st.integers(1, 7), min_size=1, max_size=6))
@settings(max_examples=40, deadline=None)
def test_delayed_feedback_arrives_so_many_steps_later(delay: int, sizes: list[int]) -> None:
    total = sum(sizes)
    sent = np.arange(1.0, total + 1)
    pending, arrived, at = jnp.zeros((16, 1)), [], 0
    for n in sizes:
        pending, got = overseer.delayed(Overseer(delay=delay), pending, jnp.asarray(sent[at : at + n])[:, None])
        arrived += np.asarray(got)[:, 0].tolist()
        at += n
    assert arrived == ([0.0] * delay + sent.tolist())[:total]


def fresh(settings_: Overseer) -> overseer.OverseerState:
    """An overseer's state before deployment."""
    return settings_.canonical().init(jax.random.key(0), SITE)


def test_schedules() -> None:
    ramp = Overseer(coverage=0.8, onset=10, ramp=4)
    shares = [float(ramp.today(fresh(ramp), jnp.int32(t)).coverage) for t in (9, 10, 11, 13, 50)]
    np.testing.assert_allclose(shares, [0, 0.2, 0.4, 0.8, 0.8], atol=1e-6)
    cycle = Overseer(onset=2, period=4, duty=0.5)
    assert [bool(cycle.on_duty(jnp.int32(t))) for t in range(8)] == [0, 0, 1, 1, 0, 0, 1, 1]


def test_a_vigilant_overseer_watches_more_after_a_detection_and_less_with_time() -> None:
    settings_ = Overseer(coverage=0.1, vigilance=0.2, decay=0.5)
    state = fresh(settings_)
    for caught, step, coverage in ((1, 0, 0.5), (0, 1, 0.3)):
        alert = overseer.alerted(settings_, state.alert, _one_column(caught, caught))
        state = dataclasses.replace(state, alert=alert)
        assert float(settings_.today(state, jnp.int32(step)).coverage) == pytest.approx(coverage)
