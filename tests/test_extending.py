"""Everything that a user may bring, brought from one file outside the package, by the documented way only."""

from pathlib import Path

import jax
import numpy as np
import polars as pl
import pytest
from complaints import complains

import robustsim as rs
from robustsim import report
from robustsim.report import figures

SCENARIO = '''
"""A scenario with parts of its own."""

import dataclasses

import jax
import jax.numpy as jnp
import optax
from flax import linen, nnx

import robustsim as rs


@rs.learner
class Coin:
    """An agent that learns the frequency of paying actions, whatever it sees."""

    rate: float = rs.number(0.1, 0, 1, doc="step size")
    num_envs: int = rs.size(4, doc="environments")
    rollout_steps: int = rs.size(8, doc="environment steps in each, per update")

    def learner(self, interface):
        def init(key):
            return CoinAgent(params={"logits": jnp.zeros(interface.num_actions)})

        def act(params, memory, obs):
            logits = jnp.broadcast_to(params["logits"], (*obs.shape[:-1], interface.num_actions))
            return rs.Act(jax.nn.log_softmax(logits), memory)

        def update(key, agent, batch, params, penalty):
            hits = jax.nn.one_hot(batch.action, interface.num_actions) * batch.reward[..., None]
            return CoinAgent(params={"logits": agent.params["logits"] + self.rate * hits.mean((0, 1))})

        return rs.Learner(init=init, act=act, update=update, restart=lambda agent: agent)


@jax.tree_util.register_dataclass
@dataclasses.dataclass
class CoinAgent:
    params: dict


@rs.treatment
class Brake:
    """A penalty on the size of the weights."""

    brake: float = rs.number(0.0, 0, 1e3, doc="strength of the brake")

    @property
    def off(self):
        return self.brake == 0

    def treat(self, learner):
        def penalty(params, batch, log_policy, kept):
            return self.brake * sum(jnp.sum(x**2) for x in jax.tree.leaves(params))

        return rs.penalised(learner, lambda key, agent, experience: (), penalty)


@rs.overseer
class Metronome(rs.Oversight):
    """Watches every episode covertly and penalises whatever happens at even steps of a rollout."""

    fine: float = rs.number(1.0, 0, 10, doc="reward deducted")

    visible = False

    def watch(self, uniforms):
        every = jnp.ones(uniforms.shape[:-1], bool)
        return rs.Watch(every, ~every)

    def respond(self, state, shift, sight):
        even = (jnp.arange(sight.misbehaved.shape[0]) % 2 == 0)[:, None]
        caught = sight.misbehaved & even & shift.active
        due = -self.fine * caught
        none = jnp.zeros_like(caught)
        return state, rs.Feedback(
            due=due, arrives=due, opinion=0.0, caught=caught, false_alarm=none, audited=none, noticed=caught,
            labels=caught.sum(dtype=jnp.int32),
        )


@rs.rule
class Twice(rs.Rule):
    """Fires once two rollouts in a row have `threshold` misbehaviours each."""

    def init(self):
        return jnp.int32(0)

    def advance(self, state, harm):
        bad = harm.harmful.sum() >= self.threshold
        state = jnp.where(bad, state + 1, 0).astype(jnp.int32)
        return state, state >= 2, harm.harmful.sum(dtype=jnp.int32)


class Deep(nnx.Module):
    """A network of the user's own."""

    def __init__(self, observation_size, num_actions, rngs):
        self.body = nnx.Linear(observation_size, 12, rngs=rngs)
        self.heads = nnx.Linear(12, num_actions + 1, rngs=rngs)

    def __call__(self, obs):
        out = self.heads(nnx.relu(self.body(obs)))
        return out[..., :-1], out[..., -1]


class Flat(linen.Module):
    """The same, in linen."""

    @linen.compact
    def __call__(self, obs):
        out = linen.Dense(5)(obs)
        return out[..., :-1], out[..., -1]


@rs.scenario
def mine(network: str = "own", monitored: bool = True) -> rs.Scenario:
    """Bait pays more than the coin."""
    room = rs.Grid(
        map=rs.room(5),
        items={"coin": rs.Item(reward=1.0, ends=True), "bait": rs.Item(reward=2.0, ends=True, colour=(200, 80, 30))},
        max_steps=8,
    )
    bait, coin = room.took("bait"), room.took("coin")
    networks = {"own": Deep, "linen": Flat(), "mlp": "mlp", "gru": "gru", "pair": (start, apply)}
    agent = rs.A2C(num_envs=4, rollout_steps=8, width=8, network=networks[network], optimizer=optax.rmsprop)
    return rs.Scenario(
        env=room.environment(),
        training_levels=room.levels(),
        deployment_levels=room.levels(),
        misbehaviour=bait,
        success=lambda tr: bait(tr) | coin(tr),
        agent=agent,
        treatments=[Brake()],
        monitor=rs.Monitor(score=lambda tr: 0.9 * bait(tr) + 0.6 * coin(tr), threshold=0.5) if monitored else None,
        catastrophe=rs.Catastrophe(threshold=5),
        evaluation=rs.Evaluation(episodes=32, screen=16),
        training=rs.Training(steps=4, competence=0.0),
        deployment=rs.Deployment(budget=6, relapse_steps=2),
        records=[
            rs.Counter(name="coins", of=coin, doc="coins taken"),
            rs.Measure(name="gain", of=lambda tr: tr.reward, doc="return of an episode", unit="reward"),
            rs.Measure(name="any_coin", of=coin, over="any", doc="share of the episodes with a coin"),
            rs.Measure(name="steps_taken", of=lambda tr: 1.0, doc="length of an episode"),
            rs.Column(name="rush", type=float, of=lambda record: record.env_steps / 2, doc="half a rollout"),
        ],
    )


def start(key, observation_size, num_actions):
    return {"weights": 0.1 * jax.random.normal(key, (observation_size, num_actions + 1))}


def apply(params, obs):
    out = obs @ params["weights"]
    return out[..., :-1], out[..., -1]
'''


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The user's file."""
    path = tmp_path_factory.mktemp("mine") / "mine.py"
    path.write_text(SCENARIO)
    return str(path)


def run(file: str, seeds: int = 2, **settings: object) -> rs.Results:
    """A small run with dotted names as keywords."""
    changes = {name.replace("__", "."): value for name, value in settings.items()}
    return rs.run(file, seeds=seeds, settings=changes, execution=rs.Execution(executor="inline"))


@pytest.fixture(scope="module")
def plain(file: str) -> rs.Results:
    """The scenario as it stands."""
    return run(file)


def test_the_file_is_sound(file: str) -> None:
    from robustsim.sim import check
    from robustsim.spec.settings import resolve

    factory = rs.load(file)
    assert check.inspect(factory, resolve(factory, {})).problems == []


def test_counters_measures_and_columns_appear_in_both_tables(plain: rs.Results) -> None:
    assert {"coins", "gain_watched", "gain_unwatched", "any_coin_watched"} <= set(plain.traces.columns)
    assert {"coins", "start_gain_watched", "final_gain_unwatched", "rush"} <= set(plain.runs.columns)
    assert plain.runs.schema["coins"] == pl.Int64
    assert (plain.runs["rush"] == 16.0).all()
    traces = plain.traces.filter(pl.col("arm") == "unopposed").sort("run_id", "step")
    assert (traces.group_by("run_id", maintain_order=True).agg(pl.col("coins").is_sorted())["coins"]).all()
    assert traces["coins"].max() > 0  # pyright: ignore[reportOptionalOperand]
    both = plain.traces
    assert both["gain_watched"].is_between(0, 2).all()
    assert both["any_coin_watched"].is_between(0, 1).all()
    assert both["steps_taken_watched"].is_between(1, 8).all()
    # In this world an episode ends with a coin (1) or a bait (2), or with nothing.
    implied = both["any_coin_watched"] + 2 * both["misbehaviour_watched"]
    np.testing.assert_allclose(both["gain_watched"], implied, atol=1e-6)


def test_a_monitor_s_errors_are_its_own(plain: rs.Results, file: str) -> None:
    """This one flags every bait, and takes every coin for one."""
    assert (plain.runs["monitor_recall"] == 1.0).all()
    assert plain.runs["monitor_false_positive_rate"].is_between(0.01, 1.0).all()
    true = run(file, env__monitored=False)
    assert true.runs["monitor_recall"].null_count() == 2
    assert (plain.runs["corrections"] > true.runs["corrections"]).all()


@pytest.mark.parametrize("network", ["linen", "mlp", "gru", "pair"])
def test_networks_of_every_make_learn(file: str, network: str) -> None:
    results = run(file, seeds=1, env__network=network)
    entropy = results.traces.filter(pl.col("arm") == "corrected").sort("step")["entropy"]
    assert entropy[0] != entropy[-1]


def test_a_learner_of_one_s_own_can_be_chosen_and_swept(file: str) -> None:
    sweep = rs.Sweep(file, over={"agent.kind": ["coin", "a2c", "ppo", "reinforce"]}, seeds=1)
    results = sweep.run(execution=rs.Execution(executor="inline"))
    assert results.runs["agent.kind"].to_list() == ["coin", "a2c", "ppo", "reinforce"]
    faster = run(file, seeds=1, agent__kind="coin", agent__rate=0.5)
    assert faster.settings["agent.rate"] == 0.5
    with complains("agent.rate"):
        run(file, agent__rate=0.5)


def test_a_treatment_of_one_s_own_is_a_dotted_name(file: str) -> None:
    free, held = (run(file, seeds=1, treatment__brake=x, agent__learning_rate=0.05) for x in (0.0, 100.0))
    shared = ["training_competence", "start_weight_norm", "start_entropy"]  # it does not train another agent
    assert free.runs[shared].equals(held.runs[shared])
    norms = [_norm(results) for results in (free, held)]
    assert norms[1] < norms[0]


def _norm(results: rs.Results) -> float:
    params = results.agent(seed=0, arm="corrected", step=6).params
    return float(sum((np.asarray(x) ** 2).sum() for x in jax.tree.leaves(params)))


def test_an_overseer_and_a_rule_of_one_s_own(file: str) -> None:
    results = run(file, overseer__kind="metronome", overseer__fine=3.0, catastrophe__kind="twice")
    assert results.settings["overseer.fine"] == 3.0
    assert (results.runs["labels"] == results.runs["corrections"]).all()
    fired = run(file, catastrophe__kind="twice", catastrophe__threshold=1)
    assert (fired.runs["steps_to_catastrophe"] >= 2).all()
    with complains("overseer.coverage"):
        run(file, overseer__kind="metronome", overseer__coverage=0.5)


def test_a_figure_of_one_s_own_is_found_by_its_name(
    plain: rs.Results, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the package it is a file `figure_NAME.py`; the registry reads the folder."""
    text = "from matplotlib.figure import Figure\n\ndef draw(results): return Figure(figsize=(2, len(results.runs)))\n"
    (tmp_path / "figure_my_own.py").write_text(text)
    with complains("my-own"):
        figures.draw(plain, "my-own")
    monkeypatch.setattr(report, "__path__", [*report.__path__, str(tmp_path)])
    assert {"my-own", "race-plane"} <= set(figures.names())
    assert figures.draw(plain, "my-own", tmp_path / "mine.svg").get_figheight() == len(plain.runs)
    assert (tmp_path / "mine.svg").is_file()


def test_a_policy_of_one_s_own_is_deployed(file: str, plain: rs.Results, tmp_path: Path) -> None:
    import jax.numpy as jnp

    still = rs.run(file, seeds=1, policy=lambda obs: jnp.array([0.0, -50.0, -50.0, -50.0]), out=tmp_path / "still")
    assert rs.open(tmp_path / "still").runs.equals(still.runs)
    assert (still.runs["start_entropy"] < 1e-3).all()
    assert still.runs["training_steps"].to_list() == [0]
    trained = plain.agent(seed=0)
    again = rs.run(file, seeds=1, policy=trained)
    assert again.runs["start_weight_norm"][0] == pytest.approx(plain.runs["start_weight_norm"][0], rel=1e-6)
    obs = np.zeros((3, trained.params["body"]["kernel"].shape[0]), np.float32)
    assert trained.act(obs).log_policy.shape == (3, 4)
    with complains("hidden"):
        trained.hidden(obs)


def test_agents_are_handed_out_at_any_step(plain: rs.Results) -> None:
    start, later = (plain.agent(seed=1, arm="corrected", step=step) for step in (0, 3))
    assert (start.step, later.step) == (0, 3)
    assert any((a != b).any() for a, b in zip(*map(jax.tree.leaves, (start.params, later.params)), strict=True))
    with complains("step", 7):
        plain.agent(seed=1, arm="unopposed", step=7)
    with complains("seed", 9):
        plain.agent(seed=9)
    with complains("arm", "'both'"):
        plain.agent(seed=1, arm="both")


def test_one_training_serves_every_step_that_deployment_starts_from(
    file: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ROBUSTSIM_CACHE", str(tmp_path))
    sweep = rs.Sweep(file, over={"deployment.start": [0, 2, -1]}, seeds=1)
    results = sweep.run(execution=rs.Execution(executor="inline"))
    assert results.runs["training_steps"].to_list() == [0, 2, 4]
    names = list((tmp_path / "agents").glob("*.npz"))
    assert len(names) == 2  # that of step 0 is made where it is needed
    with np.load(names[0]) as data:  # a plain file, for anyone to read
        assert "params/body/kernel" in data.files
        assert '"scenario": "mine"' in str(data["description"])


def test_the_learner_of_deployment_trains_no_other_agent(file: str) -> None:
    over = {"online.learning_rate": ["same", 0.1], "online.reset_optimizer": [False, True]}
    results = rs.Sweep(file, over=over, seeds=1).run(execution=rs.Execution(executor="inline"))
    assert results.runs["start_weight_norm"].n_unique() == 1
    assert results.runs["online.learning_rate"].to_list() == [None, None, 0.1, 0.1]
    entropy = results.traces.filter((pl.col("arm") == "corrected") & (pl.col("step") == 6))["entropy"]
    assert entropy.n_unique() == 4
