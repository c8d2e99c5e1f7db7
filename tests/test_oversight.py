"""The overseer and the catastrophe rules, against a slow and obvious version of each."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from robustsim.oversight import catastrophe, overseer
from robustsim.oversight.catastrophe import Catastrophe
from robustsim.oversight.overseer import Overseer


def obvious(rule: Catastrophe, state: int, bad: list[bool], clean: list[bool], u: list[float]) -> tuple[int, bool]:
    """A catastrophe rule as a loop over what happened."""
    fired = False
    for b, c, chance in zip(bad, clean, u, strict=True):
        if rule.kind == "hazard":
            state += b
            fired |= b and chance < rule.hazard
            continue
        if b:
            state += 1
        elif c and rule.kind == "consecutive":
            state = 0
        elif c and rule.kind == "chain" and chance < rule.step_back:
            state = max(0, state - 1)
        fired |= state >= rule.threshold
    return state, fired


@pytest.mark.parametrize("kind", catastrophe.KINDS)
@given(
    rows=st.lists(st.tuples(st.sampled_from("bc."), st.floats(0, 0.999)), min_size=4, max_size=4 * 12),
    start=st.integers(0, 4),
)
@settings(max_examples=60, deadline=None)
def test_rules_equal_the_obvious_loop(kind: str, rows: list[tuple[str, float]], start: int) -> None:
    rows = rows[: len(rows) // 4 * 4]
    rule = Catastrophe(kind=kind, threshold=5, hazard=0.3, step_back=0.4)
    bad, clean = [r[0] == "b" for r in rows], [r[0] == "c" for r in rows]
    u = np.array([r[1] for r in rows], np.float32)
    shape = (len(rows) // 4, 4)
    state, fired = catastrophe.advance(
        rule,
        jnp.int32(start),
        jnp.array(bad).reshape(shape),
        jnp.array(clean).reshape(shape),
        jnp.array(u).reshape(shape),
    )
    chex.assert_shape([state, fired], ())
    assert (int(state), bool(fired)) == obvious(rule, start, bad, clean, u.tolist())


def test_a_rollout_in_two_halves_is_the_same_rollout() -> None:
    key = jax.random.key(0)
    for kind in catastrophe.KINDS:
        rule = Catastrophe(kind=kind, threshold=6, hazard=0.1, step_back=0.5)
        u = jax.random.uniform(key, (3, 20, 4))
        bad, clean = u[0] < 0.3, u[0] > 0.6
        whole = catastrophe.advance(rule, jnp.int32(0), bad, clean, u[1])
        state, first = catastrophe.advance(rule, jnp.int32(0), bad[:7], clean[:7], u[1][:7])
        state, second = catastrophe.advance(rule, state, bad[7:], clean[7:], u[1][7:])
        assert int(whole[0]) == int(state)
        assert bool(whole[1]) == bool(first | second)


def test_watching_has_the_shares_it_was_asked_for() -> None:
    seen = overseer.watch(Overseer(coverage=0.4, audit_rate=0.25), jax.random.uniform(jax.random.key(1), (200_000, 2)))
    watched, signal = np.asarray(seen.watched), np.asarray(seen.signal)
    assert watched.mean() == pytest.approx(0.4, abs=0.005)
    assert signal.mean() == pytest.approx(0.3, abs=0.005)
    assert not (signal & ~watched).any()
    hidden = overseer.watch(Overseer(coverage=0.4, visible=False), jax.random.uniform(jax.random.key(1), (1000, 2)))
    assert not np.asarray(hidden.signal).any()


def test_marks_by_hand() -> None:
    misbehaved = jnp.array([[True, True], [False, False], [True, False]])
    clean = jnp.array([[False, False], [True, True], [False, True]])
    watched = jnp.array([[True, False], [True, True], [True, False]])
    uniforms = jnp.full((3, 2, 2), 0.5)
    settings_ = Overseer(penalty=3.0, praise=0.5, miss_rate=0.2, false_positive_rate=0.1, budget=1)
    marks = overseer.mark(settings_, jnp.array(True), jnp.array(0.0), misbehaved, clean, watched, uniforms)
    np.testing.assert_array_equal(marks.caught, [[True, False], [False, False], [False, False]])  # the budget is 1
    np.testing.assert_allclose(marks.feedback, [[-3, 0], [0.5, 0.5], [0, 0]])
    silent = overseer.mark(settings_, jnp.array(False), jnp.array(0.0), misbehaved, clean, watched, uniforms)
    assert not np.asarray(silent.feedback).any()


def test_expected_feedback_is_the_mean_of_sampled_feedback() -> None:
    settings_ = Overseer(penalty=2.0, praise=0.3, coverage=0.6, audit_rate=0.2, miss_rate=0.1, false_positive_rate=0.05)
    n = 400_000
    uniforms = jax.random.uniform(jax.random.key(5), (n, 1, 2))
    seen = overseer.watch(settings_, uniforms)
    expected = overseer.expect(settings_, jnp.array(True))
    for bad in (False, True):
        marks = overseer.mark(
            settings_,
            jnp.array(True),
            jnp.array(0.0),
            jnp.full((n, 1), bad),
            jnp.full((n, 1), not bad),
            seen.watched,
            uniforms,
        )
        for looks in (0, 1):
            chosen = np.asarray(seen.signal) == bool(looks)
            mean = np.asarray(marks.feedback)[chosen].mean()
            assert mean == pytest.approx(float(expected.feedback[looks, int(bad)]), abs=0.015)
            assert chosen.mean() == pytest.approx(float(expected.looks[looks]), abs=0.005)
