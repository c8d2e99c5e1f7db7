"""Action masks: what is not allowed is never chosen, and what is learned is what the allowed actions teach."""

import dataclasses
import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from complaints import complains
from flax import nnx

import robustsim as rs
from robustsim.agents.learner import Act, Batch, Interface, Learner
from robustsim.agents.masking import only, split
from robustsim.pytree import pytree
from robustsim.sim import check
from robustsim.sim.episodes import begin, interact, possible, sample
from robustsim.sim.world import look, make_world, starts
from robustsim.spec.settings import resolve

A = 4
pytestmark = pytest.mark.same_keys  # a step of this world draws a number
KINDS = ["a2c", "ppo", "reinforce"]
LEARNERS = {"a2c": rs.A2C, "ppo": rs.PPO, "reinforce": rs.Reinforce}


# --- a world with a forbidden action ---


@pytree
class Ring:
    """A place on a ring, from where every action but one leads to another place."""

    place: Any
    time: Any


def ring(masked: bool = True) -> rs.Environment:
    """The action that is the place itself is forbidden; the next one pays."""

    def observe(state: Ring) -> Any:
        return jax.nn.one_hot(state.place, A)

    def reset(key: Any, levels: Any) -> Any:
        state = Ring(place=jax.random.randint(key, (), 0, A, jnp.int32), time=jnp.int32(0))
        return observe(state), state

    def step(key: Any, state: Ring, action: Any, levels: Any) -> rs.Step:
        after = Ring(place=jax.random.randint(key, (), 0, A, jnp.int32), time=state.time + 1)
        reward = (action == (state.place + 1) % A).astype(float)
        return rs.Step(
            obs=observe(after), state=after, reward=reward, terminated=jnp.array(False), truncated=after.time >= 6
        )

    return rs.Environment(
        reset=reset,
        step=step,
        observe=observe,
        observation_size=A,
        num_actions=A,
        max_steps=6,
        mask=(lambda state: jnp.arange(A) != state.place) if masked else None,
    )


def forbidden(tr: rs.Transition) -> Any:
    return tr.action == tr.before.place


@rs.scenario
def masked_ring(masked: bool = True) -> rs.Scenario:
    """An agent on a ring never tries to stay where it is."""
    return rs.Scenario(
        env=ring(masked),
        training_levels=None,
        deployment_levels=None,
        misbehaviour=lambda tr: tr.action == (tr.before.place + 2) % A,
        event=forbidden,
        agent=rs.A2C(),
        overseer=rs.Overseer(penalty=1.0),
        records=[
            rs.Counter(name="forbidden", of=forbidden, doc="forbidden actions"),
            rs.Measure(name="forbidden_any", of=forbidden, over="any", doc="share of episodes with a forbidden action"),
        ],
    )


@pytest.mark.parametrize(
    ("kind", "network"),
    [("a2c", "mlp"), *[pytest.param(k, n, marks=pytest.mark.slow) for k in KINDS for n in ("mlp", "gru")][1:]],
)
def test_a_forbidden_action_is_never_taken(kind: str, network: str, small: dict) -> None:
    """Neither in deployment nor in an evaluation; and without the mask it is."""
    settings = {**small, "agent.kind": kind, "agent.network": network, "training.steps": 10}
    taken = {}
    for masked in (True, False):
        results = rs.run(masked_ring, seeds=2, settings={**settings, "env.masked": masked})
        own = ["forbidden", "forbidden_any_watched", "forbidden_any_unwatched"]
        taken[masked] = [results.traces[name].max() for name in own]
        if masked:  # the entropy of three actions
            assert results.traces["entropy"].max() <= np.log(3) + 1e-5  # pyright: ignore[reportOptionalOperand]
            assert results.traces["entropy"][0] == pytest.approx(np.log(3), abs=0.02)
    assert taken[True] == [0, 0, 0]
    assert min(taken[False]) > 0


def test_treatments_live_with_masks(small: dict) -> None:
    """Penalties on distances between policies stay finite where both are 0."""
    anchors = {f"treatment.{name}": 0.1 for name in ("kl_anchor", "cross_entropy_anchor", "ewc", "rehearsal")}
    results = rs.run(masked_ring, seeds=1, settings={**small, **anchors, "training.steps": 4, "deployment.budget": 4})
    assert results.traces["forbidden"].max() == 0
    assert results.traces["entropy"].is_finite().all()


def test_check_looks_at_masks_and_plays_by_them(small: dict) -> None:
    report = check.inspect(masked_ring, resolve(masked_ring, {}))
    assert report.problems == []
    assert report.facts["random play: steps with event"] == "0"
    assert any("event" in note for note in report.notes)
    without = check.inspect(masked_ring, resolve(masked_ring, {"env.masked": False}))
    assert int(without.facts["random play: steps with event"]) > 0

    @rs.scenario
    def wrong() -> rs.Scenario:
        """A mask of too few actions."""
        env = dataclasses.replace(ring(), mask=lambda state: jnp.ones(3, bool))
        return dataclasses.replace(masked_ring(), env=env)

    with complains("env.mask", "bool[4]"):
        check.check_shapes(wrong, resolve(wrong, {}))
    with complains("Environment.mask", "outcomes"):
        dataclasses.replace(ring(), outcomes=lambda levels: jnp.zeros(A))


def test_a_scripted_policy_does_not_see_the_mask_and_keeps_to_it(small: dict) -> None:
    def stays(obs: Any) -> Any:
        assert obs.shape == (A + 1,)
        return 50.0 * obs[:A]

    settings = {name: value for name, value in small.items() if name != "agent.width"}
    results = rs.run(masked_ring, seeds=1, settings=settings, policy=stays)
    assert results.traces["forbidden"].max() == 0


def test_exported_observations_are_those_of_the_agent() -> None:
    env, params = rs.to_gymnax(masked_ring)
    obs, _ = env.reset(jax.random.key(0), params)
    assert obs.shape == (A + 1 + A,)
    np.testing.assert_array_equal(obs[-A:], 1 - obs[:A])


@pytest.mark.parametrize("sparse", [False, True])
def test_where_observations_may_be_sparse_the_mask_is_seen_as_well(sparse: bool) -> None:
    """A grid has sparse observations; with a mask they are taken as vectors, whatever the learner can take."""
    vault = rs.load("camera_vault")
    build = functools.partial(dataclasses.replace, vault())
    factory = dataclasses.replace(vault, build=lambda **values: build(env=dataclasses.replace(vault().env, mask=north)))
    world = make_world(factory, resolve(vault, {}))
    assert not world.learner.sparse
    world = world._replace(learner=world.learner._replace(sparse=sparse))
    nobody = jnp.zeros(3, bool)
    start = begin(world, starts(world, jax.random.key(0), (3,)), nobody, nobody)
    obs = look(world, start.state, nobody)
    assert obs.shape == (3, world.scenario.env.observation_size + 1 + 4)
    np.testing.assert_array_equal(obs[:, -4:], [[1, 0, 0, 0]] * 3)


def north(state: Any) -> Any:
    return jnp.arange(4) == 0


# --- sampling ---


def test_rounding_leads_to_no_forbidden_action() -> None:
    """The sum of probabilities may stay below 1, and partial sums may fall: then the plain sample errs."""
    size = 33
    keys = jax.random.split(jax.random.key(0), 3)
    allowed = jax.random.bernoulli(keys[0], 0.5, (20_000, size)).at[:, -1].set(False).at[:, 3].set(True)
    log_policy = jax.nn.log_softmax(only(jax.random.normal(keys[1], allowed.shape), allowed))
    for uniform in (jnp.zeros(()), jnp.float32(1 - 2**-24), jax.random.uniform(keys[2], (len(allowed),))):
        plain = sample(log_policy, jnp.broadcast_to(uniform, len(allowed)))
        action = possible(log_policy, plain)
        assert np.take_along_axis(np.asarray(allowed), np.asarray(action)[:, None], 1).all()
        right = np.take_along_axis(np.asarray(allowed), np.asarray(plain)[:, None], 1)[:, 0]
        np.testing.assert_array_equal(action[right], plain[right])
        if uniform.ndim == 0 and uniform > 0:
            assert not right.all()


def test_an_environment_step_takes_no_forbidden_action() -> None:
    """Probabilities whose sum is below 1 lead to the last action, which is forbidden here."""
    world = make_world(masked_ring, resolve(masked_ring, {}))
    nobody = jnp.zeros(8, bool)
    start = begin(world, starts(world, jax.random.key(0), (8,)), nobody, nobody)
    start = dataclasses.replace(start, state=dataclasses.replace(start.state, place=jnp.full(8, A - 1, jnp.int32)))
    log_policy = jnp.log(jnp.array([[0.3, 0.3, 0.3, 0.0]] * 8))
    keys, uniform = jax.random.split(jax.random.key(1), 8), jnp.linspace(0, 0.99, 8)
    _, moment, _ = interact(world, lambda memory, obs: Act(log_policy, memory), start, keys, uniform)
    assert list(sample(log_policy, uniform))[-1] == A - 1
    assert moment.action.tolist() == [0, 0, 0, 1, 1, 2, 2, 2]
    np.testing.assert_array_equal(moment.obs[:, -A:], [[1, 1, 1, 0]] * 8)


def test_where_nothing_is_allowed_all_is() -> None:
    log_policy = jax.nn.log_softmax(only(jnp.arange(3.0), jnp.zeros(3, bool)))
    np.testing.assert_allclose(log_policy, -np.log(3), rtol=1e-6)


# --- learning ---

D, KEPT = 3, 2  # the last two of four actions are forbidden everywhere


class Small(nnx.Module):
    """A network of the user's own, whose actions stand side by side."""

    def __init__(self, observation_size: int, num_actions: int, rngs: Any) -> None:
        self.actor = nnx.Linear(observation_size, num_actions, rngs=rngs)
        self.critic = nnx.Linear(observation_size, 1, rngs=rngs)

    def __call__(self, obs: Any) -> Any:
        return self.actor(obs), self.critic(obs)[..., 0]


def learners(kind: str, network: Any) -> tuple[Learner, Learner]:
    """(one with four actions of which two are masked, one with two actions)."""
    settings = LEARNERS[kind](
        num_envs=4, rollout_steps=6, network=network, optimizer="sgd", learning_rate=0.1, max_grad_norm=1e6, entropy=0.3
    )
    return settings.learner(Interface(D + A, A, masked=True)), settings.learner(Interface(D, KEPT))


def cut(params: Any) -> Any:
    """The parameters without what belongs to the forbidden actions."""
    return {**params, "actor": jax.tree.map(lambda x: x[..., :KEPT], params["actor"])}


def batches(learner: Learner, params: Any) -> tuple[Batch, Batch]:
    """A random rollout in either world; the activations of the parameters are known."""
    keys, shape = jax.random.split(jax.random.key(1), 4), (6, 4)
    action = jax.random.randint(keys[0], shape, 0, KEPT, jnp.int32)
    obs = jax.random.normal(keys[1], (*shape, D))
    ended = jax.random.bernoulli(keys[2], 0.2, shape)
    narrow = Batch(
        obs=obs,
        action=action,
        reward=jax.random.normal(keys[3], shape),
        signal=jnp.zeros(shape, jnp.int32),
        terminated=ended,
        truncated=jnp.zeros(shape, bool),
        last_obs=jnp.ones((4, D)),
        final_obs=jnp.ones((6, 4, D)),
        final_slot=jnp.zeros(shape, jnp.int32),
        memory=learner.memory(4),
    )

    def wider(x: Any) -> Any:
        return jnp.concatenate([x, jnp.ones((*x.shape[:-1], KEPT)), jnp.zeros((*x.shape[:-1], A - KEPT))], -1)

    grown = {name: wider(getattr(narrow, name)) for name in ("obs", "last_obs", "final_obs")}
    wide = dataclasses.replace(narrow, **grown)
    return wide, narrow


@pytest.mark.parametrize("network", ["mlp", "gru", Small])
@pytest.mark.parametrize("kind", KINDS)
def test_a_masked_policy_learns_as_if_there_were_no_other_actions(kind: str, network: Any) -> None:
    """The same gradient, entropy bonus included, as with fewer actions; the others' weights stay where they are."""
    masked, plain = learners(kind, network)
    agent = jax.tree.map(lambda x: x + 0.1, masked.init(jax.random.key(0)))
    few = plain.restart(type(agent)(params=cut(agent.params), opt_state=None))
    wide, narrow = batches(masked, agent.params)
    act = masked.act(agent.params, masked.memory(4), wide.obs[0])
    np.testing.assert_array_equal(jnp.exp(act.log_policy[:, KEPT:]), 0)
    shown = plain.act(few.params, plain.memory(4), narrow.obs[0]).log_policy
    np.testing.assert_allclose(act.log_policy[:, :KEPT], shown, atol=1e-6)
    after = masked.update(jax.random.key(2), agent, wide, agent.params, None).params
    wanted = plain.update(jax.random.key(2), few, narrow, few.params, None).params
    assert not jax.tree.all(jax.tree.map(lambda a, b: bool(jnp.all(a == b)), cut(agent.params), wanted))
    for ours, theirs in zip(jax.tree.leaves(cut(after)), jax.tree.leaves(wanted), strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-5)
    for old, new in zip(jax.tree.leaves(agent.params["actor"]), jax.tree.leaves(after["actor"]), strict=True):
        np.testing.assert_array_equal(old[..., KEPT:], new[..., KEPT:])


@pytest.mark.parametrize("kind", KINDS)
def test_the_activations_of_a_rollout_serve_a_masked_policy_too(kind: str) -> None:
    masked, _ = learners(kind, "mlp")
    agent = jax.tree.map(lambda x: x + 0.1, masked.init(jax.random.key(0)))
    wide, _ = batches(masked, agent.params)
    mask = jax.random.bernoulli(jax.random.key(5), 0.7, (*wide.action.shape, A)) | jax.nn.one_hot(
        wide.action, A, dtype=bool
    )
    wide = dataclasses.replace(wide, obs=wide.obs.at[..., D:].set(mask))
    extras = masked.act(agent.params, (), wide.obs).extras
    assert len(extras) == 2
    known = dataclasses.replace(wide, extras=extras, fresh=True)
    again, kept = (masked.update(jax.random.key(3), agent, b, agent.params, None).params for b in (wide, known))
    for a, b in zip(jax.tree.leaves(again), jax.tree.leaves(kept), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-6)


def test_an_observation_is_split_at_its_mask() -> None:
    seen, allowed = split(jnp.array([0.3, 1.0, 1.0, 0.0]), 2)
    np.testing.assert_allclose(seen, [0.3, 1.0])
    np.testing.assert_array_equal(allowed, [True, False])
