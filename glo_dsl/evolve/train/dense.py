"""Chains of dense layers, stacked by hand: as matrix products over all networks at once they take half the time that
vmap takes, which turns every weight about."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

ELEMENTWISE = (
    nn.Tanh, nn.ReLU, nn.ReLU6, nn.LeakyReLU, nn.ELU, nn.SELU, nn.CELU, nn.GELU, nn.SiLU, nn.Mish, nn.Sigmoid,
    nn.Softplus, nn.Softsign, nn.Hardtanh, nn.Hardswish, nn.Identity, nn.Dropout,
)  # fmt: skip


def chain(network: nn.Module, axes: int) -> list[nn.Module]:
    """The layers of a chain of linear ones, with functions of single elements between them, for inputs of so many axes;
    nothing if a network is not such a chain."""
    if type(network) is not nn.Sequential:
        return []
    layers = list(network)
    flat = bool(layers) and type(layers[0]) is nn.Flatten and (layers[0].start_dim, layers[0].end_dim) == (1, -1)
    plain = all(type(layer) in (nn.Linear, *ELEMENTWISE) for layer in layers[flat:])
    own = len({id(layer) for layer in layers}) == len(layers)  # a layer that stands in two places is named once
    return layers if plain and own and (flat or axes == 2) else []


def turned(parameters: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The stacked parameters as `dense` takes them: weights [M, in, out], biases [M, 1, out]."""
    return {
        name: p.transpose(1, 2).contiguous() if name.endswith("weight") else p[:, None].clone()
        for name, p in parameters.items()
    }


def dense(layers: Sequence[nn.Module], parameters: Mapping[str, Tensor], inputs: Tensor) -> Tensor:
    """Outputs [M, batch, out] of a chain for inputs [M, batch, ...]."""
    values = inputs
    for place, layer in enumerate(layers):
        if not isinstance(layer, nn.Linear):
            values = values.flatten(2) if isinstance(layer, nn.Flatten) else layer(values)
        elif layer.bias is None:
            values = torch.bmm(values, parameters[f"{place}.weight"])
        else:
            values = torch.baddbmm(parameters[f"{place}.bias"], values, parameters[f"{place}.weight"])
    return values
