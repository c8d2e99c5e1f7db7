"""Low-rank adaptation: in deployment each weight matrix moves within a few directions only.

W = W0 + B A, where A is random and fixed and B is learned: LoRA (Hu et al. 2021, arXiv 2106.09685) with a frozen A
(Zhang et al. 2023, arXiv 2308.03303). Whatever a learner does to W is projected onto the rows of A after each update,
so every learner and optimizer can be adapted so. Biases and the heads learn as ever.
"""

from typing import Any, ClassVar

import jax
import jax.numpy as jnp

from robustsim.agents.learner import Batch, Experience, Learner, Penalty
from robustsim.errors import UserError
from robustsim.fields import size
from robustsim.parts import treatment
from robustsim.treatments.wrap import Treated, with_params
from robustsim.types import Array, Tree


@treatment
class LowRank:
    """The hidden layers move within a random subspace of this rank."""

    low_rank: int = size(0, 0, 4096, doc="rank of the changes to each hidden weight matrix (0: any)")
    injectable: ClassVar[bool] = False  # it changes the very weights that an injection freezes

    @property
    def off(self) -> bool:
        """Whether the matrices move freely."""
        return self.low_rank == 0

    def treat(self, learner: Learner) -> Learner:
        """The learner with adapters in place of its hidden weights.

        Raises:
          UserError: the parameters do not say which the hidden layers are, or none is so large.
        """

        def deploy(key: Array, agent: Any, experience: Experience) -> Treated:
            key_inner, key_rows = jax.random.split(key)
            inner = learner.deploy(key_inner, agent, experience)
            return Treated(inner=inner, kept=_adapters(key_rows, inner.params, self.low_rank))

        def update(key: Array, agent: Treated, batch: Batch, params: Tree, penalty: Penalty | None) -> Treated:
            after = learner.update(key, agent.inner, batch, params, penalty)
            return Treated(inner=with_params(after, _projected(after.params, agent.kept)), kept=agent.kept)

        def restart(agent: Treated) -> Treated:
            return Treated(inner=learner.restart(agent.inner), kept=agent.kept)

        return learner._replace(deploy=deploy, update=update, restart=restart)


def _adapters(key: Array, params: Tree, rank: int) -> Tree:
    """By path, each matrix float[..., O] as it was, and orthonormal columns float[I, rank] of its inputs I."""
    if not isinstance(params, dict) or "hidden" not in params:
        raise UserError(f"treatment.low_rank: {rank} is not allowed: the network does not list its hidden layers")
    found, widest = {}, 0
    for i, (path, kernel) in enumerate(_matrices(params).items()):
        inputs = kernel.size // kernel.shape[-1]
        widest = max(widest, inputs)
        if rank < inputs:  # a smaller matrix has no more directions than that
            rows = jax.random.normal(jax.random.fold_in(key, i), (inputs, rank), kernel.dtype)
            found[path] = {"before": kernel, "rows": jnp.linalg.qr(rows)[0]}
    if not found:
        raise UserError(f"treatment.low_rank: {rank} is not allowed: use less than {widest}, or 0")
    return found


def _matrices(params: Tree) -> dict[str, Array]:
    """The matrices of the hidden layers, a recurrent cell's and convolutions' included, by their paths."""
    named = {jax.tree_util.keystr(path, simple=True, separator="/"): x for path, x in jax.tree.leaves_with_path(params)}
    return {path: x for path, x in named.items() if path.startswith(("hidden", "cell")) and x.ndim > 1}


def _projected(params: Tree, kept: Tree) -> Tree:
    """The parameters, with what the hidden matrices have moved by projected onto their adapters."""

    def project(path: Any, kernel: Array) -> Array:
        adapter = kept.get(jax.tree_util.keystr(path, simple=True, separator="/"))
        if adapter is None:
            return kernel
        moved = (kernel - adapter["before"]).reshape(-1, kernel.shape[-1])
        within = adapter["rows"] @ (adapter["rows"].T @ moved)
        return adapter["before"] + within.reshape(kernel.shape)

    return jax.tree_util.tree_map_with_path(project, params)
