"""Value and gradient of every target against PyTorch in float64: layouts, reductions, dtypes, upstream gradients."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
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

NAMES = ["cross_entropy", "focal", "weighted", "per_weight", "kl", "masked", "huber"]
MEMORY = ["contiguous", "transposed", "stepped", "reversed axes", "expanded"]
Make = Callable[[str, str], CompiledLoss]


def laid_out(tensor: Tensor, memory: str) -> Tensor:
    """The tensor with other strides; expanded, all of it repeats its first part."""
    if tensor.dim() == 0 or memory == "contiguous":
        return tensor
    if memory == "transposed":
        return tensor.movedim(0, -1).contiguous().movedim(-1, 0)
    if memory == "stepped":
        return torch.stack([tensor, tensor], -1)[..., 0]
    if memory == "reversed axes":
        backwards = tuple(reversed(range(tensor.dim())))
        return tensor.permute(backwards).contiguous().permute(backwards)
    return tensor[:1].expand(tensor.shape) if tensor.shape[0] else tensor


@dataclass
class Call:
    """One call of a loss: its arguments, and the gradient that comes from above."""

    inputs: list[Tensor]
    options: dict[str, Any]
    params: dict[str, Any]
    upstream: Tensor | None

    def all_ignored(self, fn: CompiledLoss) -> bool:
        """Whether there is nothing that a mean could be of."""
        if self.inputs[0].numel() == 0:
            return True
        targets = [t for i, t in zip(fn.spec.inputs, self.inputs) if i.kind == "class"]
        return bool(targets) and bool((targets[0] == self.options["ignore_index"]).all())

    def run(self, fn: Callable[..., Tensor], dtype: torch.dtype | None = None) -> tuple[Tensor, list[Tensor | None]]:
        """The loss and the gradients of all real inputs and parameters; `dtype` converts them first."""
        inputs = [_leaf(t, dtype) for t in self.inputs]
        params = {name: _leaf(p, dtype) if isinstance(p, Tensor) else p for name, p in self.params.items()}
        loss = fn(*inputs, **self.options, **params)
        leaves = [t for t in (*inputs, *params.values()) if isinstance(t, Tensor) and t.requires_grad]
        above = torch.ones_like(loss) if self.upstream is None else self.upstream.to(loss.dtype)
        return loss.detach(), list(torch.autograd.grad(loss, leaves, above, allow_unused=True))


def _leaf(tensor: Tensor, dtype: torch.dtype | None) -> Tensor:
    leaf = tensor.detach()
    if leaf.is_floating_point():
        return (leaf if dtype is None else leaf.to(dtype)).requires_grad_()
    return leaf


@st.composite
def calls(draw: st.DrawFn, fn: CompiledLoss, dtypes: tuple[torch.dtype, ...]) -> Call:
    """Any call of `fn` that the contract allows, of small size."""
    generator = torch.Generator().manual_seed(draw(st.integers(0, 999)))
    batch = draw(st.sampled_from([(3,), (), (1,), (0,), (40,), (5,), (2, 3), (2, 3, 2), (2, 0)]))
    classes = draw(st.sampled_from([4, 1, 2, 5, 19]))
    dim = draw(st.integers(-1, len(batch))) if batch else draw(st.sampled_from([1, 0, -1]))
    ignore_index = draw(st.sampled_from([-100, 0, 255]))
    dtype = draw(st.sampled_from(dtypes))
    row = list(batch)
    row.insert(dim % (len(batch) + 1), classes)
    shapes = {False: batch, True: tuple(row)}
    index_dtype = draw(st.sampled_from([torch.int64, torch.int32]))

    def tensor(entry: InputSpec) -> Tensor:
        shape = (classes,) if entry.shared else shapes[entry.rows]
        if entry.kind == "class":
            made = torch.randint(0, classes, shape, generator=generator).to(index_dtype)
            ignored = torch.rand(shape, generator=generator) < draw(st.sampled_from([0.0, 0.4, 1.0]))
            made = torch.where(ignored, ignore_index, made).to(index_dtype)
        elif entry.kind == "bool":
            made = torch.rand(shape, generator=generator) < 0.5
        else:
            made = (torch.randn(shape, generator=generator, dtype=torch.float64) * 2).to(dtype)
        return laid_out(made, draw(st.sampled_from(MEMORY)))

    inputs = [tensor(entry) for entry in fn.spec.inputs]
    reduction = draw(st.sampled_from(["mean", "sum", "none"]))
    shape = batch if reduction == "none" else ()
    upstream = torch.randn(shape, generator=generator, dtype=torch.float64)
    above = draw(st.sampled_from([None, upstream, laid_out(upstream, "stepped"), torch.tensor(-2.5).expand(shape)]))
    params = {name: draw(st.sampled_from([1.5, torch.tensor(0.75), torch.tensor([3.0])])) for name, _ in fn.spec.params}
    params = {name: value for name, value in params.items() if draw(st.booleans())}
    return Call(inputs, {"reduction": reduction, "ignore_index": ignore_index, "dim": dim}, params, above)


def agree(mine: Tensor | None, truth: Tensor | None, zero: bool = False) -> None:
    """`zero`: no row counts, where the quotient 0 / 0 of the truth has no gradient but ours is 0."""
    if truth is None:
        assert mine is None or not mine.any()
        return
    assert mine is not None and mine.shape == truth.shape
    truth = torch.zeros_like(truth) if zero else truth
    tolerance = 1e-9 if mine.dtype == torch.float64 else 2e-5
    largest = float(truth.detach().nan_to_num().abs().max()) if truth.numel() else 0.0
    torch.testing.assert_close(
        mine.double(), truth.detach(), rtol=tolerance, atol=tolerance * max(largest, 1.0), equal_nan=True
    )


def compare(call: Call, fn: CompiledLoss, truth: Callable[..., Tensor]) -> None:
    """Everything a call gives, by autograd and without it."""
    want, wanted = call.run(truth, torch.float64)
    value, gradients = call.run(fn)
    assert value.dtype == call.inputs[0].dtype
    nothing = call.all_ignored(fn)
    agree(value, want)
    for mine, truth_gradient in zip(gradients, wanted, strict=True):
        agree(mine, truth_gradient, nothing)


@settings(max_examples=40)
@pytest.mark.parametrize("target", ["c", "torch"])
@pytest.mark.parametrize("name", NAMES)
@given(data=st.data())
def test_any_call_is_that_of_torch(name: str, target: str, make: Make, cases: Any, data: st.DataObject) -> None:
    fn = make(name, target)
    call = data.draw(calls(fn, (torch.float32, torch.float64)))
    compare(call, fn, truth_of(cases[name]))


@settings(max_examples=6)
@pytest.mark.parametrize("name", NAMES)
@given(data=st.data())
def test_any_call_of_triton_is_that_of_torch(name: str, make: Make, cases: Any, data: st.DataObject) -> None:
    fn = make(name, "triton")
    call = data.draw(calls(fn, (torch.float32,)))
    compare(call, fn, truth_of(cases[name]))


def truth_of(case: Any) -> Callable[..., Tensor]:
    """The truth, with parameters of one element brought to a scalar."""

    def truth(*inputs: Tensor, **options: Any) -> Tensor:
        scalars = {k: v.reshape(()) if isinstance(v, Tensor) else v for k, v in options.items()}
        found: Tensor = case.truth(*inputs, **scalars)
        return found

    return truth


@settings(max_examples=12)
@pytest.mark.parametrize("target", ["c", "torch"])
@pytest.mark.parametrize("name", NAMES)
@given(data=st.data())
def test_value_and_grad_is_autograd(name: str, target: str, make: Make, data: st.DataObject) -> None:
    fn = make(name, target)
    call = data.draw(calls(fn, (torch.float32,)))
    call.upstream = None
    call.params = {name: torch.tensor(default) for name, default in fn.spec.params}
    loss, gradients = call.run(fn)
    value, found = fn.value_and_grad(*call.inputs, wrt=fn.spec.differentiable, **call.options, **call.params)
    assert value.shape == loss.shape and list(found) == list(fn.spec.differentiable)
    torch.testing.assert_close(value, loss, rtol=0, atol=0, equal_nan=True)
    for mine, want in zip(found.values(), gradients, strict=True):
        assert want is not None and mine.shape == want.shape
        torch.testing.assert_close(mine, want, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("target", ["c", "torch", "triton"])
@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_cross_entropy_is_that_of_torch(target: str, reduction: str, make: Make) -> None:
    z = torch.randn(2, 5, 3, generator=torch.Generator().manual_seed(1))
    t = torch.tensor([[0, 4, -100], [1, -100, 3]])
    want = F.cross_entropy(z, t, reduction=reduction)
    torch.testing.assert_close(make("cross_entropy", target)(z, t, reduction=reduction), want)


@pytest.mark.parametrize("target", ["c", "torch"])
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_half_precision_is_rounded_once(
    target: str, dtype: torch.dtype, reduction: str, make: Make, cases: Any
) -> None:
    """The loss comes in float32; the gradient is the float32 one rounded, after all factors."""
    generator = torch.Generator().manual_seed(3)
    z = torch.randn(300, 7, generator=generator).to(dtype)
    t = torch.randint(0, 7, (300,), generator=generator)
    above = torch.rand(300, generator=generator) if reduction == "none" else torch.tensor(0.3)
    call = Call([z, t], {"reduction": reduction}, {}, above)
    want, (wanted,) = call.run(cases["cross_entropy"].truth, torch.float64)
    value, (gradient,) = call.run(make("cross_entropy", target))
    assert value.dtype == torch.float32 and gradient is not None and gradient.dtype == dtype and wanted is not None
    torch.testing.assert_close(value.double(), want, rtol=1e-6, atol=1e-6)
    one_ulp = torch.finfo(dtype).eps * wanted.abs() + float(torch.finfo(dtype).smallest_normal) * torch.finfo(dtype).eps
    assert ((gradient.double() - wanted).abs() <= 0.502 * one_ulp.clamp(min=1e-12) + 1e-9).all()


@pytest.mark.parametrize("target", ["c", "torch"])
def test_loss_scaling_neither_overflows_nor_loses_small_gradients_in_float16(target: str, make: Make) -> None:
    """A gradient scaler multiplies the loss by 65536, which float16 cannot hold, to save what it would round to 0."""
    z = torch.zeros(4096, 4, dtype=torch.float16)
    z[:, 0] = 9
    z.requires_grad_()
    t = torch.zeros(4096, dtype=torch.int64)
    (make("cross_entropy", target)(z, t) * 65536.0).backward()
    want = torch.softmax(z.detach().double(), -1)[:, 1:] * 65536 / 4096
    assert z.grad is not None
    torch.testing.assert_close(z.grad[:, 1:].double(), want, rtol=1e-3, atol=0)


@pytest.mark.parametrize("target", ["c", "torch"])
def test_square_logits_with_the_class_axis_first(target: str, make: Make) -> None:
    """Gradients of [C, N] have the shape of [N, C] when the two are equal, and are still not the same."""
    z = torch.randn(5, 5, generator=torch.Generator().manual_seed(0), requires_grad=True)
    t = torch.arange(5)
    fn = make("cross_entropy", target)
    (gradient,) = torch.autograd.grad(fn(z, t, dim=0), [z])
    (want,) = torch.autograd.grad(F.cross_entropy(z.T, t), [z])
    torch.testing.assert_close(gradient, want)
    torch.testing.assert_close(fn.value_and_grad(z, t, dim=0)[1]["z"], want)


@pytest.mark.parametrize("target", ["c", "torch", "triton"])
def test_elementwise_inputs_broadcast(target: str, make: Make) -> None:
    p = torch.randn(3, 1, requires_grad=True)
    y = torch.randn(4, requires_grad=True)
    fn = make("huber", target)
    for reduction in ("mean", "sum", "none"):
        mine, want = fn(p, y, reduction=reduction), F.huber_loss(p.expand(3, 4), y.expand(3, 4), reduction=reduction)
        torch.testing.assert_close(mine, want)
        got = torch.autograd.grad(mine.sum(), [p, y])
        torch.testing.assert_close(got, torch.autograd.grad(want.sum(), [p, y]))


@pytest.mark.parametrize("target", ["c", "torch", "triton"])
def test_a_parameter_changes_the_value_without_being_a_tensor(target: str, make: Make) -> None:
    p, y = torch.tensor([0.0, 3.0]), torch.tensor([0.5, 0.0])
    for delta in (0.5, 1.0, 4.0):
        torch.testing.assert_close(make("huber", target)(p, y, delta=delta), F.huber_loss(p, y, delta=delta))


def test_mixed_dtypes_take_the_widest(make: Make) -> None:
    teacher, student = torch.randn(3, 4, dtype=torch.float64), torch.randn(3, 4, requires_grad=True)
    for target in ("c", "torch"):
        loss = make("kl", target)(teacher, student)
        (gradient,) = torch.autograd.grad(loss, [student])
        assert loss.dtype == torch.float64 and gradient.dtype == torch.float32


def test_a_loss_without_gradient_by_an_input_gives_zeros() -> None:
    fn = glo.compile(glo.loads("loss f(p: real, y: real) = stop(y) + 0 * p")["f"], "c")
    p, y = torch.ones(3, requires_grad=True), torch.ones(3, requires_grad=True)
    for gradient in torch.autograd.grad(fn(p, y), [p, y]):
        assert not gradient.any()


@pytest.mark.parametrize("target", ["c", "torch", "triton"])
def test_rows_more_than_two_to_the_31_elements_away(target: str, make: Make) -> None:
    """The mask lies in 2 GiB of memory of which three pages are ever touched."""
    z, y, keep = torch.randn(3, 5), torch.randn(3), torch.tensor([True, True, False])
    near = torch.rand(3, 5, generator=torch.Generator().manual_seed(1)) < 0.5
    far = torch.empty(2**31 + 64, dtype=torch.bool).as_strided((3, 5), (2**30, 1))
    far.copy_(near)
    fn = make("masked", target)
    torch.testing.assert_close(fn.value_and_grad(z, far, y, keep), fn.value_and_grad(z, near, y, keep), rtol=0, atol=0)


@pytest.mark.parametrize("target", ["c", "torch"])
def test_under_autocast_the_loss_keeps_float32(target: str, make: Make) -> None:
    layer, x, t = torch.nn.Linear(6, 4), torch.randn(8, 6), torch.randint(0, 4, (8,))
    with torch.autocast("cpu", torch.bfloat16):
        logits = layer(x)
        loss = make("cross_entropy", target)(logits, t)
    assert logits.dtype == torch.bfloat16 and loss.dtype == torch.float32
    (gradient,) = torch.autograd.grad(loss, [layer.weight])
    (want,) = torch.autograd.grad(F.cross_entropy(layer(x), t), [layer.weight])
    assert gradient.dtype == torch.float32
    torch.testing.assert_close(gradient, want, rtol=0.05, atol=0.01)
