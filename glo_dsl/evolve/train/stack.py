"""Copies of a network, their parameters stacked: one call computes them all, whatever the network is made of."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext

import torch
from torch import Tensor, nn
from torch.func import functional_call, stack_module_state, vmap

from glo_dsl.evolve.tasks.task import GLOBAL_GENERATOR
from glo_dsl.evolve.train.dense import chain, dense, turned


def drawn(model: Callable[[], nn.Module], seeds: Sequence[int]) -> list[nn.Module]:
    """A network with fresh weights for every seed; PyTorch's global generator is left as it was."""
    with GLOBAL_GENERATOR, torch.random.fork_rng(devices=[]):
        networks = []
        for seed in seeds:
            torch.manual_seed(seed)
            networks.append(model())
    return networks


def draws(network: nn.Module) -> bool:
    """Whether a network is random while it trains."""
    random = (nn.modules.dropout._DropoutNd, nn.RReLU)
    return any(isinstance(module, random) for module in network.modules())


@contextmanager
def chance(network: nn.Module, seed: int) -> Iterator[None]:
    """Makes what a network draws while it trains follow from `seed`, if it draws at all.

    Then one network trains at a time in a process: its layers draw from the global generator.
    """
    if not draws(network):
        yield
        return
    with GLOBAL_GENERATOR, torch.random.fork_rng():
        torch.manual_seed(seed)
        yield


class Stack:
    """M networks of one architecture.

    Attributes:
        parameters: by name, [M, ...] each, leaves that have gradients.
        buffers: by name, [M, ...] each: what layers such as BatchNorm keep.
        why_single: empty if the networks are computed together; else why they are computed one by one.
    """

    def __init__(self, networks: Sequence[nn.Module], example: Tensor) -> None:
        """`networks` are copied, not kept; `example` [batch, ...] is what one of them takes."""
        parameters, buffers = stack_module_state(list(networks))
        self.network, self.buffers = networks[0], dict(buffers)
        self._chain = chain(self.network, example.dim())
        kept = turned(parameters) if self._chain else parameters
        self.parameters = {name: p.detach().requires_grad_() for name, p in kept.items()}
        self.why_single = self._obstacle(example)

    def __len__(self) -> int:
        return len(next(iter(self.parameters.values())))

    def __call__(self, inputs: Tensor, training: bool = True, differentiable: bool | None = None) -> Tensor:
        """Outputs [M, batch, ...] for inputs [M, batch, ...], or for [batch, ...] that all share; differentiable by the
        parameters if that is said, or else if `training`."""
        self.network.train(training)
        shared = inputs.dim() == self._axes
        with nullcontext() if (training if differentiable is None else differentiable) else torch.no_grad():
            if self._chain:
                return dense(
                    self._chain, self.parameters, inputs.expand(len(self), *inputs.shape) if shared else inputs
                )
            if self.why_single:
                return torch.stack([self._one(n, inputs if shared else inputs[n]) for n in range(len(self))])
            every = vmap(self._call, (0, 0, None if shared else 0), randomness="different")
            outputs: Tensor = every(self.parameters, self.buffers, inputs)
            return outputs

    def only(self, kept: Tensor) -> None:
        """Goes on with the networks of these places."""
        self.parameters = {name: p.detach()[kept].requires_grad_() for name, p in self.parameters.items()}
        self.buffers = {name: b[kept] for name, b in self.buffers.items()}

    def _call(self, parameters: Mapping[str, Tensor], buffers: Mapping[str, Tensor], inputs: Tensor) -> Tensor:
        outputs: Tensor = functional_call(self.network, (dict(parameters), dict(buffers)), (inputs,))
        return outputs

    def _one(self, place: int, inputs: Tensor) -> Tensor:
        parameters = {name: p[place] for name, p in self.parameters.items()}
        return self._call(parameters, {name: b[place] for name, b in self.buffers.items()}, inputs)

    def _obstacle(self, example: Tensor) -> str:
        """Why the networks cannot be computed together; empty if they can, which is tried, buffers and all."""
        self._axes, self.why_single = example.dim(), ""
        if self._chain:
            return ""
        kept = {name: b.clone() for name, b in self.buffers.items()}
        try:
            with torch.random.fork_rng(devices=[]) if draws(self.network) else nullcontext():
                self(example.expand(len(self), *example.shape)).sum().backward()  # type: ignore[no-untyped-call]
            self.buffers = kept  # as they were before that call
            together = self(example, training=False)
        except Exception as error:  # whatever a user's module does in there
            return f"{type(self.network).__name__} cannot be stacked: {str(error).strip().splitlines()[0][:200]}"
        finally:
            self.buffers = kept
            for parameter in self.parameters.values():
                parameter.grad = None
        self.why_single = "to compare"
        alone = self(example, training=False)
        close = torch.allclose(together, alone, rtol=1e-3, atol=1e-4 * float(alone.abs().max()) + 1e-6)
        return "" if close else f"{type(self.network).__name__} computes something else when stacked"
