"""Wrong calls are refused in words that say what is wrong."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import pytest
import torch

import glo_dsl as glo
from glo_dsl.passes.pipeline import ARGUMENTS
from glo_dsl.runtime.contract import CompiledLoss

Make = Callable[[str, str], CompiledLoss]
Z, T, W = torch.zeros(4, 3), torch.zeros(4, dtype=torch.int64), torch.ones(3)


@pytest.mark.parametrize(
    ("name", "inputs", "options", "kind", "message"),
    [
        ("focal", (Z,), {}, TypeError, r"focal takes 2 inputs \(z, t\), got 1"),
        ("focal", (Z, T, T), {}, TypeError, r"focal takes 2 inputs \(z, t\), got 3"),
        ("focal", (Z, T), {"gama": 1.0}, TypeError, r"focal has no parameter gama; its parameters are gamma"),
        ("cross_entropy", (Z, T), {"gamma": 1.0}, TypeError, r"no parameter gamma; it has no parameters"),
        ("focal", (Z, T), {"gamma": torch.ones(2)}, ValueError, r"gamma must have one element, got shape \(2,\)"),
        ("focal", (Z, T), {"gamma": "two"}, TypeError, r"gamma must be a number or a tensor, got str"),
        ("focal", (Z, T), {"gamma": None}, TypeError, r"gamma must be a number or a tensor, got NoneType"),
        ("focal", (Z, T), {"reduction": "avg"}, ValueError, r"one of mean, sum, none, got 'avg'"),
        ("focal", (Z, T), {"dim": 2}, ValueError, r"dim=2 is no axis of z with shape \(4, 3\)"),
        ("focal", (Z, T), {"dim": -3}, ValueError, r"dim=-3 is no axis of z"),
        ("focal", (Z, T[:3]), {}, ValueError, r"t must have shape \(4,\) to go with z, got \(3,\)"),
        ("focal", (Z, Z), {}, ValueError, r"t holds class indices and must be an integer tensor, got torch.float32"),
        ("focal", (Z, T > 0), {}, ValueError, r"t holds class indices and must be an integer tensor, got torch.bool"),
        ("focal", (T, T), {}, ValueError, r"z must be a floating point tensor, got torch.int64"),
        ("focal", (Z, [0, 1]), {}, TypeError, r"t must be a tensor, got list"),
        ("focal", (torch.tensor(1.0), T), {}, ValueError, r"z needs a class axis, got a scalar"),
        ("focal", (Z, T.to("meta")), {}, ValueError, r"the inputs of focal are on different devices"),
        ("weighted", (Z, T, W[:2]), {}, ValueError, r"w must have shape \(3,\) to go with z, got \(2,\)"),
        ("kl", (Z, Z[:, :2]), {}, ValueError, r"student must have shape \(4, 3\) to go with teacher, got \(4, 2\)"),
        ("huber", (Z, W[:2]), {}, ValueError, r"inputs of huber have shapes \(4, 3\) and \(2,\), which do not fit"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("target", ["c", "torch"])
@pytest.mark.parametrize("method", ["__call__", "value_and_grad"])
def test_a_wrong_call(
    name: str, inputs: tuple[Any, ...], options: dict[str, Any], kind: type[Exception], message: str, target: str,
    method: str, make: Make,
) -> None:  # fmt: skip
    with pytest.raises(kind, match=message):
        getattr(make(name, target), method)(*inputs, **options)


def test_a_loss_that_cannot_be_called() -> None:
    with pytest.raises(glo.GloError, match="unknown target cuda") as caught:
        glo.compile(glo.loads("loss f(x: real) = x")["f"], "cuda")
    assert "triton" in str(caught.value)
    with pytest.raises(glo.GloError, match="hole"):
        glo.compile(glo.loads("loss f(z: real[C], t: class[C]) = sum(?f(z))")["f"])
    with pytest.raises(glo.GloError, match="parameter dim of f has the name of an argument that every call takes"):
        glo.compile(glo.loads("loss f(x: real; dim = 1) = dim * x")["f"])
    with pytest.raises(glo.GloError, match="number of classes"):
        glo.compile(glo.loads("loss f(x: real, w: shared real[C]) = x * sum(w)")["f"])


def test_no_parameter_hides_behind_an_argument() -> None:
    signatures = [inspect.signature(f).parameters for f in (CompiledLoss.__call__, CompiledLoss.value_and_grad)]
    taken = {p.name for signature in signatures for p in signature.values() if p.kind == p.KEYWORD_ONLY}
    assert taken == set(ARGUMENTS)


def test_the_c_target_is_for_the_cpu(make: Make) -> None:
    with pytest.raises(ValueError, match="target c runs on the CPU, not on meta"):
        make("focal", "c")(Z.to("meta"), T.to("meta"))


def test_what_it_shows_of_itself(make: Make) -> None:
    assert repr(make("focal", "c")) == "<compiled loss focal(z, t, gamma=2)>"
    assert make("focal", "c").__name__ == "focal"
