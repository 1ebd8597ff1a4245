"""`glo.linear` against the same loss on the whole logits: any loss, any chunks, anything frozen, any dtype."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import hypothesis.strategies as st
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from torch import Tensor

import glo_dsl as glo
from glo_dsl.runtime.contract import CompiledLoss
from glo_dsl.runtime.spec import InputSpec

Make = Callable[[str, str], CompiledLoss]
NAMES = ["cross_entropy", "focal", "weighted", "per_weight", "kl", "masked"]
ZOO = sorted(
    n
    for n in glo.zoo
    if any(v.type.per_class and v.type.per_sample and v.type.kind == "real" for v in glo.zoo[n].inputs)
)


@cache
def of_zoo(name: str) -> CompiledLoss:
    return glo.compile(glo.zoo[name], "torch")


def laid_out(tensor: Tensor, memory: str) -> Tensor:
    """The same numbers with other strides."""
    if memory == "stepped":
        return torch.stack([tensor, tensor], -1)[..., 0]
    if memory == "transposed" and tensor.dim() > 1:
        return tensor.transpose(0, -1).contiguous().transpose(0, -1)
    return tensor


@dataclass
class Call:
    """A call of a loss on top of a linear layer; the tensors by name, bias among them if there is one."""

    fn: CompiledLoss
    logits: str
    tensors: dict[str, Tensor]
    params: dict[str, Any]
    options: dict[str, Any]
    frozen: frozenset[str]
    upstream: Tensor

    def leaves(self, dtype: torch.dtype | None = None) -> dict[str, Any]:
        """The arguments as new leaves; `dtype` converts them."""
        found: dict[str, Any] = {}
        for name, value in {**self.tensors, **self.params}.items():
            if isinstance(value, Tensor) and value.is_floating_point():
                leaf = value.detach() if dtype is None else value.detach().to(dtype)
                found[name] = leaf.requires_grad_(name not in self.frozen)
            else:
                found[name] = value
        return found

    def fused(self, chunk: int | None) -> tuple[Tensor, dict[str, Tensor | None]]:
        given = self.leaves()
        loss = glo.linear(self.fn, self.logits)(
            given["layer hidden"], given["layer weight"], *self.others(given),
            linear_bias=given.get("layer bias"), chunk=chunk, sample_weight=given.get("sample_weight"), **self.options,
            **{name: given[name] for name in self.params},
        )  # fmt: skip
        return self.outcome(loss, given)

    def unfused(self, fn: CompiledLoss) -> tuple[Tensor, dict[str, Tensor | None]]:
        """In float64, on the whole logits, by `fn`."""
        given = self.leaves(torch.float64)
        inputs = self.others(given)
        place = next(n for n, e in enumerate(fn.spec.inputs) if e.name == self.logits)
        inputs.insert(place, F.linear(given["layer hidden"], given["layer weight"], given.get("layer bias")))
        params = {name: given[name] for name in self.params}
        loss = fn(*inputs, dim=-1, sample_weight=given.get("sample_weight"), **self.options, **params)
        return self.outcome(loss, given)

    def others(self, given: dict[str, Any]) -> list[Tensor]:
        return [given[e.name] for e in self.fn.spec.inputs if e.name != self.logits]

    def outcome(self, loss: Tensor, given: dict[str, Any]) -> tuple[Tensor, dict[str, Tensor | None]]:
        leaves = {n: v for n, v in given.items() if isinstance(v, Tensor) and v.requires_grad}
        if not leaves:
            assert not loss.requires_grad
            return loss, {}
        found = torch.autograd.grad(loss, list(leaves.values()), self.upstream.to(loss.dtype), allow_unused=True)
        assert all(g is None or (g.dtype, g.shape) == (v.dtype, v.shape) for g, v in zip(found, leaves.values()))
        return loss.detach(), dict(zip(leaves, found))


@st.composite
def calls(draw: st.DrawFn, fn: CompiledLoss, dtype: torch.dtype) -> Call:
    """Any call of a small size."""
    generator = torch.Generator().manual_seed(draw(st.integers(0, 999)))
    batch = draw(st.sampled_from([(9,), (40,), (2, 3), (1,), (), (0,)]))
    width, classes = draw(st.integers(1, 4)), draw(st.sampled_from([1, 2, 5, 19]))
    memory = st.sampled_from(["contiguous", "transposed", "stepped"])

    def real(*shape: int, positive: bool = False) -> Tensor:
        made = torch.randn(shape, generator=generator, dtype=torch.float64)
        return laid_out((made.abs() + 0.1 if positive else made).to(dtype), draw(memory))

    def given_input(entry: InputSpec) -> Tensor:
        shape = (classes,) if entry.shared else (*batch, classes) if entry.rows else batch
        if entry.kind == "real":
            return real(*shape, positive=entry.shared)
        if entry.kind == "bool":
            return torch.rand(shape, generator=generator) < 0.5
        made = torch.randint(0, classes, shape, generator=generator)
        ignored = torch.rand(shape, generator=generator) < draw(st.sampled_from([0.0, 0.4, 1.0]))
        return laid_out(torch.where(ignored, -7, made), draw(memory))

    able = [e.name for e in fn.spec.inputs if e.kind == "real" and e.rows and not e.shared]
    logits = draw(st.sampled_from(able))
    tensors = {"layer hidden": real(*batch, width), "layer weight": real(classes, width)}
    if draw(st.booleans()):
        tensors["layer bias"] = real(classes)
    tensors |= {e.name: given_input(e) for e in fn.spec.inputs if e.name != logits}
    if draw(st.booleans()):
        tensors["sample_weight"] = real(*draw(st.sampled_from([batch, ()])), positive=True)
    params = {name: draw(st.sampled_from([1.5, torch.tensor(0.75), torch.tensor([3.0])])) for name, _ in fn.spec.params}
    params = {name: value for name, value in params.items() if draw(st.booleans())}
    reduction = draw(st.sampled_from(["mean", "sum", "none"]))
    upstream = torch.randn(batch if reduction == "none" else (), generator=generator, dtype=torch.float64)
    frozen = draw(st.sets(st.sampled_from(["layer hidden", "layer weight", "layer bias"])))
    if draw(st.booleans()):  # together: every other set of gradients is another kernel to build
        frozen |= {name for name in (*tensors, *params) if not name.startswith("layer ")}
    options = {"reduction": reduction, "ignore_index": -7}
    return Call(fn, logits, tensors, params, options, frozenset(frozen), upstream)


def agree(call: Call, chunk: int | None, truth: CompiledLoss) -> None:
    """Value and every gradient, and no gradient where none was asked for."""
    want, wanted = call.unfused(truth)
    value, gradients = call.fused(chunk)
    assert gradients.keys() == wanted.keys()
    for mine, true in [(value, want), *((gradients[name], wanted[name]) for name in wanted)]:
        if true is None or mine is None:  # autograd has none where the value does not depend on it
            assert mine is None or not mine.any()
            continue
        largest = float(true.nan_to_num().abs().max()) if true.numel() else 0.0
        tolerance = 1e-9 if mine.dtype == torch.float64 else 3e-5
        torch.testing.assert_close(
            mine.double(), true.double(), rtol=tolerance, atol=tolerance * max(largest, 1.0), equal_nan=True
        )


CHUNKS = st.sampled_from([None, 1, 4, 7, 100])


@settings(max_examples=40)
@pytest.mark.parametrize("name", NAMES)
@given(data=st.data(), chunk=CHUNKS)
def test_any_call_is_that_on_the_whole_logits(name: str, make: Make, data: st.DataObject, chunk: int | None) -> None:
    fn = make(name, "torch")
    agree(data.draw(calls(fn, torch.float64)), chunk, fn)


@settings(max_examples=12)
@pytest.mark.parametrize("target", ["c", "triton"])
@given(data=st.data(), chunk=CHUNKS, name=st.sampled_from(NAMES))
def test_any_call_of_a_kernel_is_that_on_the_whole_logits(
    target: str, name: str, make: Make, data: st.DataObject, chunk: int | None
) -> None:
    agree(data.draw(calls(make(name, target), torch.float32)), chunk, make(name, "torch"))


@settings(max_examples=60)
@given(data=st.data(), chunk=CHUNKS, name=st.sampled_from(ZOO))
def test_any_loss_of_the_library(name: str, data: st.DataObject, chunk: int | None) -> None:
    agree(data.draw(calls(of_zoo(name), torch.float64)), chunk, of_zoo(name))


def test_the_divisor_of_a_mean_where_the_logits_come_last() -> None:
    text = "loss late(w: shared real[C], t: class[C], z: real[C]) = -w[t] * log_softmax(z)[t] per w[t]"
    fn = glo.compile(glo.loads(text)["late"], "torch")
    hidden, weight, t = torch.randn(6, 3), torch.randn(4, 3), torch.tensor([0, 1, 2, 3, 0, 1])
    w = torch.tensor([1.0, 2.0, 0.5, 4.0])
    torch.testing.assert_close(
        glo.linear(fn)(hidden, weight, w, t, chunk=4), F.cross_entropy(F.linear(hidden, weight), t, weight=w)
    )


# Calls that cannot be


Z, H, W, T = torch.zeros(4, 3), torch.zeros(4, 2), torch.zeros(3, 2), torch.zeros(4, dtype=torch.int64)


@pytest.mark.parametrize(
    ("name", "arguments", "options", "kind", "message"),
    [
        ("focal", (H, W), {}, TypeError, r"focal takes hidden, weight, t; got 0 inputs after weight"),
        ("focal", (H, W, T, T), {}, TypeError, r"focal takes hidden, weight, t; got 2 inputs"),
        ("focal", (H, W.T, T), {}, ValueError, r"hidden must be \(..., H\) and weight \(C, H\), got \(4, 2\) and \(2,"),
        ("focal", (H, W, T[:3]), {}, ValueError, r"t must have shape \(4,\) to go with hidden and weight, got \(3,\)"),
        ("focal", (H, W, [0] * 4), {}, TypeError, r"t must be a tensor, got list"),
        ("focal", (H, W, T.to("meta")), {}, ValueError, r"t is on meta, hidden on cpu"),
        ("focal", (H, W.to("meta"), T), {}, ValueError, r"weight is on meta, hidden on cpu"),
        ("focal", (H, W, T.float()), {}, ValueError, r"t holds class indices and must be an integer tensor"),
        ("focal", (H.long(), W, T), {}, ValueError, r"hidden must be a floating point tensor, got torch.int64"),
        ("focal", (H, [[0.0]], T), {}, TypeError, r"weight must be a tensor, got list"),
        ("focal", (H, W.double(), T), {}, ValueError, r"one dtype, got hidden torch.float32, weight torch.float64"),
        ("focal", (H, W, T), {"linear_bias": Z}, ValueError, r"linear_bias must have shape \(3,\), got \(4, 3\)"),
        ("focal", (H, W, T), {"reduction": "avg"}, ValueError, r"one of mean, sum, none, got 'avg'"),
        ("focal", (H, W, T), {"chunk": 0}, ValueError, r"chunk must be a positive number of rows, got 0"),
        ("focal", (H, W, T), {"gama": 1.0}, TypeError, r"focal has no parameter gama; its parameters are gamma"),
        ("weighted", (H, W, T, W), {}, ValueError, r"w must have shape \(3,\) to go with hidden and weight"),
        ("kl", (H, W, H), {}, ValueError, r"student must have shape \(4, 3\) to go with hidden and weight"),
    ],
)  # fmt: skip
def test_a_wrong_call(
    name: str, arguments: tuple[Any, ...], options: dict[str, Any], kind: type[Exception], message: str, make: Make
) -> None:
    with pytest.raises(kind, match=message):
        glo.linear(make(name, "torch"))(*arguments, **options)


@pytest.mark.parametrize("target", ["c", "torch"])
def test_a_class_out_of_range_is_named_with_its_row_in_the_call(target: str, make: Make) -> None:
    t = T.clone()
    t[3] = 9
    with pytest.raises(IndexError, match=r"class index 9 in row 3 is outside \[0, 3\)"):
        glo.linear(make("focal", target))(H, W, t, chunk=1)


def test_a_loss_without_logits(make: Make) -> None:
    with pytest.raises(glo.GloError, match="huber has no logits") as caught:
        glo.linear(make("huber", "torch"))
    assert "z: real[C]" in str(caught.value)
    with pytest.raises(glo.GloError, match=r"kl has no real input studnt") as caught:
        glo.linear(make("kl", "torch"), "studnt")
    assert "did you mean student?" in str(caught.value)
    with pytest.raises(TypeError, match="a loss or a compiled loss, got str"):
        glo.linear("kl")  # type: ignore[arg-type]


def test_a_mean_over_something_of_the_logits_is_refused() -> None:
    fn = glo.compile(glo.loads("loss own(z: real[C], t: class[C]) = z[t] per exp(z[t])")["own"], "torch")
    with pytest.raises(ValueError, match=r'divides by a sum over z.*use reduction="sum"'):
        glo.linear(fn)(H, W, T)
    hidden, weight = torch.randn(4, 2), torch.randn(3, 2)
    torch.testing.assert_close(
        glo.linear(fn)(hidden, weight, T, reduction="sum"), fn(F.linear(hidden, weight), T, reduction="sum")
    )
