"""The decision tree of attribution: what gives which label, how sure it is, and what it asks for next."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from robustsim import levers
from robustsim.analysis import evidence, tree
from robustsim.analysis.tree import Node, Share

HAVING = (levers.ACTUAL, levers.REFERENCE, levers.GUARDED, *levers.IN_DEPLOYMENT, *levers.IN_TRAINING)
NODES = evidence.tree_of(HAVING)
ALWAYS, NEVER = Share(32, 32, 0.9), Share(0, 32, 0.9)
ALL = sorted({name for node in NODES for name in node.tests})


def case(*held: str) -> dict[str, Share]:
    """All tests made, those that are named with a yes."""
    return {name: ALWAYS if name in held else NEVER for name in ALL}


@pytest.mark.parametrize(
    ("held", "label"),
    [
        ((evidence.PRONE, evidence.LATE, evidence.MISBEHAVING), tree.INNER),
        ((evidence.PRONE, evidence.MISBEHAVING, levers.ACTUAL), tree.ONLINE),
        ((evidence.UNLEARNED, evidence.IDLE, evidence.NEITHER), tree.UNREACHABLE),
        ((evidence.UNLEARNED, evidence.NEITHER, levers.ACTUAL), tree.ONLINE),  # others do learn it
        ((tree.INCOMPETENT, tree.CONTAINED), tree.INCOMPETENT),
        ((tree.ALIGNED, tree.CONTAINED), tree.ALIGNED),
        ((tree.CONTAINED, levers.ACTUAL), tree.CONTAINED),
        ((tree.SELF_CORRECTING, levers.ACTUAL), tree.SELF_CORRECTING),
        ((levers.ACTUAL,), tree.ONLINE),
        ((evidence.MOVED, levers.GUARDED, levers.BEST), tree.TAMPERING),
        ((levers.GUARDED, levers.STRONG), tree.ONLINE),
        ((levers.REWARDS_LATE_BEST,), tree.OUTER),
        ((), tree.INNER),
    ],
)
def test_the_first_node_that_says_yes_gives_the_label(held: tuple[str, ...], label: str) -> None:
    found = tree.answer(NODES, case(*held))
    assert found.label == label
    assert found.confidence > 0.9
    assert tree.next_test(NODES, case(*held), frozenset(), 0.9) is None


def test_a_node_without_its_levers_is_left_out() -> None:
    names = [node.name for node in evidence.tree_of((levers.ACTUAL, levers.REFERENCE, levers.BEST))]
    assert "tampering" not in names
    assert "feedback in training" not in names


def test_many_levers_that_nearly_do_are_not_one_that_does() -> None:
    nearly = case() | {name: Share(15, 16, 0.9) for name in levers.IN_TRAINING}
    one = tree.probability(levers.REWARDS, nearly)
    assert tree.answer(NODES, nearly).shares[tree.OUTER] == pytest.approx(one, abs=0.03)


@pytest.mark.parametrize(("rate", "alike"), [(0.85, True), (0.85, False), (0.5, False)])
def test_a_search_seldom_names_levers_that_do_not_prevent_it(rate: float, alike: bool) -> None:
    """Seeds are added until the label is sure, at levels that look at the data every time."""
    rng, named, trials = np.random.default_rng(0), 0, 60
    for _ in range(trials):
        drawn = rng.random((1 if alike else len(levers.IN_TRAINING), 256)) < rate
        runs = dict.fromkeys(levers.IN_TRAINING, 8)
        tests = case()
        while True:
            for i, (name, n) in enumerate(runs.items()):
                tests[name] = Share(int(drawn[i % len(drawn), :n].sum()), n, 0.9)
            exhausted = frozenset(name for name, n in runs.items() if n >= 256)
            name = tree.next_test(NODES, tests, exhausted, 0.9)
            if name not in runs:
                break
            runs[name] *= 2
        found = tree.answer(NODES, tests)
        named += found.label == tree.OUTER and found.confidence >= 0.9
    assert named <= 0.1 * trials


def test_without_reference_agents_nobody_asks_about_them() -> None:
    names = [node.name for node in evidence.tree_of(HAVING, referred=False)]
    assert evidence.BY_PRIOR not in names
    assert "unreachable" not in names


def test_what_was_not_tried_is_open_and_asked_for() -> None:
    tests = {name: test for name, test in case().items() if name not in levers.IN_TRAINING}
    found = tree.answer(NODES, tests)
    assert found.label == tree.OPEN
    assert tree.next_test(NODES, tests, frozenset(), 0.9) == levers.REWARDS
    tests[levers.REWARDS] = Share(6, 8, 0.9)  # begun, and not decided
    assert tree.next_test(NODES, tests, frozenset(), 0.9) == levers.REWARDS
    tests[levers.REWARDS] = NEVER
    assert tree.next_test(NODES, tests, frozenset(), 0.9) == levers.REWARDS_LATE


def test_a_node_that_needs_all_is_closed_by_one() -> None:
    nodes = (Node("both", tree.TAMPERING, ("a", "b"), all=True),)
    assert tree.answer(nodes, {"a": NEVER}).label == tree.INNER
    assert tree.answer(nodes, {"a": ALWAYS}).label == tree.OPEN
    assert tree.answer(nodes, {"a": ALWAYS, "b": ALWAYS}).label == tree.TAMPERING


counts = st.tuples(st.integers(0, 40), st.integers(0, 40)).map(lambda pair: Share(min(pair), max(pair), 0.9))


@given(st.fixed_dictionaries({}, optional={name: counts for name in ALL}))
def test_it_ends_and_shares_add_up(tests: dict[str, Share]) -> None:
    found = tree.answer(NODES, tests)
    assert sum(found.shares.values()) == pytest.approx(1)
    assert found.confidence == max(found.shares.values())
    exhausted = set[str]()
    while (name := tree.next_test(NODES, tests, frozenset(exhausted), 0.99)) is not None:
        assert name not in exhausted
        exhausted.add(name)  # no more runs can be had
    assert len(exhausted) <= len(ALL)


@given(st.integers(0, 40), st.integers(0, 40))
def test_more_successes_make_a_label_more_probable(hits: int, more: int) -> None:
    few, many = sorted((hits, more))
    shares = [
        tree.answer(NODES, case() | {levers.ACTUAL: Share(n, 40, 0.9)}).shares.get(tree.ONLINE, 0) for n in (few, many)
    ]
    assert shares[0] <= shares[1] + 0.05  # two samples of draws
