"""What a walk over chunks computes and holds, its backward pass, and its numbers; on top of `glo.linear`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.multiprocessing.reductions import StorageWeakRef
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

import glo_dsl as glo
from glo_dsl.runtime import chunk_rows, chunks
from glo_dsl.runtime.contract import CompiledLoss

Make = Callable[[str, str], CompiledLoss]


class Watched(TorchDispatchMode):
    """The operations that run, and the most bytes that what they make takes at any moment."""

    def __init__(self) -> None:
        super().__init__()
        self.names: list[str] = []
        self.made: dict[int, tuple[StorageWeakRef, int]] = {}
        self.peak = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        self.names.append(func.overloadpacket.__name__)
        given = {t.untyped_storage().data_ptr() for t in tree_leaves((args, kwargs)) if isinstance(t, Tensor)}
        for storage in (t.untyped_storage() for t in tree_leaves(out) if isinstance(t, Tensor)):
            if storage.data_ptr() not in given:  # no view of something older
                self.made[storage.data_ptr()] = (StorageWeakRef(storage), storage.nbytes())
        self.made = {place: made for place, made in self.made.items() if not made[0].expired()}
        self.peak = max(self.peak, sum(size for _, size in self.made.values()))
        return out

    @property
    def products(self) -> int:
        return sum(name in ("mm", "addmm", "addmm_") for name in self.names)


def layer(rows: int, width: int, classes: int, dtype: torch.dtype = torch.float32) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(rows)
    hidden = torch.randn(rows, width, generator=generator).to(dtype).requires_grad_()
    weight = (torch.randn(classes, width, generator=generator) / width).to(dtype).requires_grad_()
    return hidden, weight, torch.randint(0, classes, (rows,), generator=generator)


@pytest.mark.parametrize("reduction", ["mean", "none"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_memory_is_an_eighth_of_the_logits(reduction: str, dtype: torch.dtype, make: Make) -> None:
    rows, width, classes = 512, 64, 20000
    hidden, weight, t = layer(rows, width, classes, dtype)
    fn, eighth = make("cross_entropy", "c"), rows * classes * dtype.itemsize // 8
    gradients = hidden.nbytes + classes * width * max(dtype.itemsize, 4) + (weight.nbytes if dtype.itemsize < 4 else 0)

    def extra(step: Callable[[], Tensor]) -> int:
        with Watched() as watched:
            step().sum().backward()
        hidden.grad = weight.grad = None
        return watched.peak - gradients

    fused, small = glo.linear(fn), 100_000
    assert extra(lambda: fused(hidden, weight, t, reduction=reduction)) < eighth + small
    assert extra(lambda: fused(hidden, weight, t, reduction=reduction, chunk=rows // 4)) > eighth + small  # it can fail


@pytest.mark.parametrize(("frozen", "products"), [("", 3), ("hidden", 2), ("weight", 2), ("both", 1), ("grad", 1)])
def test_what_is_frozen_costs_no_product(frozen: str, products: int, make: Make) -> None:
    hidden, weight, t = layer(6, 3, 4)
    hidden.requires_grad_(frozen not in ("hidden", "both"))
    weight.requires_grad_(frozen not in ("weight", "both"))
    with Watched() as watched, torch.set_grad_enabled(frozen != "grad"):
        loss = glo.linear(make("focal", "torch"))(hidden, weight, t, chunk=2, gamma=torch.tensor(2.0))
    assert watched.products == 3 * products
    assert loss.requires_grad == (products > 1)


def test_a_parameter_learns_on_top_of_a_frozen_layer(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    hidden, weight, t = (a.detach() for a in layer(6, 3, 4))
    gamma = torch.tensor(2.0, requires_grad=True)
    kernel, asked = CompiledLoss.value_and_grad, set()

    def spy(self: CompiledLoss, *inputs: Tensor, wrt: list[str], **options: Any) -> tuple[Tensor, dict[str, Tensor]]:
        asked.update(wrt)
        return kernel(self, *inputs, wrt=wrt, **options)

    monkeypatch.setattr(CompiledLoss, "value_and_grad", spy)
    with Watched() as watched:
        glo.linear(make("focal", "torch"))(hidden, weight, t, chunk=2, gamma=gamma).backward()
    (want,) = torch.autograd.grad(make("focal", "torch")(F.linear(hidden, weight), t, gamma=gamma), [gamma])
    torch.testing.assert_close(gamma.grad, want)
    assert watched.products == 3 and asked == {"gamma"}


@pytest.fixture
def on_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """Chunks as on a GPU: one of all rows, where that takes no more memory than sums of the weight's gradient."""
    monkeypatch.setattr(chunk_rows, "one_product", lambda weight, dtype: weight.dtype == dtype == torch.bfloat16)
    monkeypatch.setattr(chunks, "one_product", chunk_rows.one_product)


def test_one_chunk_of_all_rows_has_no_sums(on_gpu: None, make: Make) -> None:
    hidden, weight, t = layer(40, 16, 30, torch.bfloat16)
    for rows, dtype in ((40, torch.bfloat16), (39, torch.float32)):
        walk = chunks.Chunks(make("cross_entropy", "c"), 0, "sum", -100, rows, torch.bfloat16)
        _, gradients = walk.run((hidden, weight, None, t), (True, True, False, False))
        assert gradients[1] is not None and gradients[1].dtype == dtype


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("factor", [1.0, 3.0])
def test_one_chunk_of_all_rows_is_as_exact_as_the_whole_logits(
    factor: float, reduction: str, on_gpu: None, make: Make
) -> None:
    hidden, weight, t = layer(60, 200, 30, torch.bfloat16)
    fn = make("focal", "torch")

    def slopes(step: Callable[[Tensor, Tensor], Tensor], kind: torch.dtype) -> tuple[Tensor, ...]:
        h, w = (a.detach().to(kind).requires_grad_() for a in (hidden, weight))
        loss = step(h, w)
        return torch.autograd.grad(loss, [h, w], torch.full_like(loss, factor))

    def whole(h: Tensor, w: Tensor) -> Tensor:
        return fn(F.linear(h, w), t, reduction=reduction)

    with Watched() as watched:
        mine = slopes(lambda h, w: glo.linear(fn)(h, w, t, reduction=reduction), torch.bfloat16)
    assert watched.products == (4 if reduction == "none" else 3)
    for found, theirs, truth in zip(mine, slopes(whole, torch.bfloat16), slopes(whole, torch.float64)):
        rounded_twice = factor != 1 and reduction != "none"
        assert (found - truth).abs().max() <= (3 if rounded_twice else 1) * (theirs - truth).abs().max()


# Backward


def test_gradcheck(make: Make) -> None:
    hidden, weight, t = layer(5, 3, 4, torch.float64)
    bias = torch.randn(4, dtype=torch.float64, requires_grad=True)
    gamma = torch.tensor(1.7, dtype=torch.float64, requires_grad=True)
    fused = glo.linear(make("focal", "c"))
    for reduction in ("mean", "sum", "none"):

        def call(h: Tensor, w: Tensor, b: Tensor, g: Tensor, reduction: str = reduction) -> Tensor:
            return fused(h, w, t, linear_bias=b, gamma=g, reduction=reduction, chunk=2)

        assert torch.autograd.gradcheck(call, (hidden, weight, bias, gamma))


@pytest.mark.parametrize("reduction", ["mean", "none"])
def test_backward_as_often_as_wanted_through_a_kept_graph(reduction: str, make: Make) -> None:
    hidden, weight, t = layer(6, 3, 4)
    fn = make("cross_entropy", "c")
    loss = glo.linear(fn)(hidden, weight, t, reduction=reduction, chunk=4)
    want = fn(F.linear(hidden, weight), t, reduction=reduction)
    for factor in (3.0, -0.5, 1.0):
        above = torch.full_like(loss, factor)
        mine = torch.autograd.grad(loss, [hidden, weight], above, retain_graph=True)
        true = torch.autograd.grad(want, [hidden, weight], above, retain_graph=True)
        for a, b in zip(mine, true):
            torch.testing.assert_close(a, b)
            a.zero_()  # what is handed out is the caller's
    for _ in range(3):
        loss.sum().backward(retain_graph=True)
    loss.sum().backward()
    torch.testing.assert_close(weight.grad, 4 * torch.autograd.grad(want.sum(), [weight])[0])


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_a_second_derivative_is_refused_in_words(reduction: str, make: Make) -> None:
    hidden, weight, t = layer(6, 3, 4)
    loss = glo.linear(make("cross_entropy", "c"))(hidden, weight, t, reduction=reduction)
    slopes = torch.autograd.grad(loss.sum(), [hidden, weight], create_graph=True)
    for slope in slopes:
        with pytest.raises(RuntimeError, match="cannot be differentiated again"):
            (hidden.sum() + slope.square().sum()).backward(retain_graph=True)


# Numbers


def test_small_parts_of_a_gradient_are_not_lost() -> None:
    """Each chunk adds 1; added up in bfloat16, 256 + 1 is 256."""
    total = glo.compile(glo.loads("loss total(z: real[C]) = sum(z)")["total"], "torch")
    weight, bias = torch.zeros(2, 3, dtype=torch.bfloat16), torch.zeros(2, dtype=torch.bfloat16)
    weight.requires_grad_(), bias.requires_grad_()
    hidden = torch.ones(1024, 3, dtype=torch.bfloat16)
    glo.linear(total)(hidden, weight, linear_bias=bias, reduction="sum", chunk=1).backward()
    assert weight.grad is not None and weight.grad.dtype == torch.bfloat16 and bool((weight.grad == 1024).all())
    assert bias.grad is not None and bias.grad.dtype == torch.bfloat16 and bool((bias.grad == 1024).all())


def test_a_mean_in_float16_is_divided_where_it_has_the_exponents() -> None:
    """A slope of 1e-4 over 4096 rows is nothing in float16; added up first it is 1e-4."""
    small = glo.compile(glo.loads("loss small(z: real[C]) = 0.0001 * sum(z)")["small"], "torch")
    hidden, weight = torch.ones(4096, 3, dtype=torch.float16), torch.zeros(2, 3, dtype=torch.float16)
    glo.linear(small)(hidden, weight.requires_grad_()).backward()
    torch.testing.assert_close(weight.grad, torch.full_like(weight, 1e-4), rtol=2e-3, atol=0)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("reduction", ["mean", "none"])
def test_low_precision_is_no_worse_than_on_the_whole_logits(reduction: str, dtype: torch.dtype, make: Make) -> None:
    hidden, weight, t = layer(64, 16, 40, dtype)
    fn = make("focal", "c")
    above = torch.linspace(1, 2, 64) if reduction == "none" else torch.tensor(3.0)

    def slopes(h: Tensor, w: Tensor, fused: bool) -> tuple[Tensor, ...]:
        loss = (
            glo.linear(fn)(h, w, t, reduction=reduction, chunk=5)
            if fused
            else fn(F.linear(h, w), t, reduction=reduction)
        )
        return torch.autograd.grad(loss, [h, w], above.to(loss.dtype))

    true = slopes(*(a.detach().double().requires_grad_() for a in (hidden, weight)), fused=False)
    for mine, theirs, truth in zip(slopes(hidden, weight, True), slopes(hidden, weight, False), true):
        assert mine.dtype == dtype
        assert (mine - truth).abs().max() <= 1.5 * (theirs - truth).abs().max()


@pytest.mark.parametrize("half", [False, True])
@pytest.mark.parametrize("reduction", ["mean", "none"])
def test_under_autocast_the_products_are_in_its_dtype(reduction: str, half: bool, make: Make) -> None:
    hidden, weight, t = layer(20, 8, 6)
    hidden = hidden.detach().to(torch.bfloat16 if half else torch.float32).requires_grad_()
    fn = make("cross_entropy", "torch")
    with torch.autocast("cpu", torch.bfloat16):
        loss = glo.linear(fn)(hidden, weight, t, reduction=reduction, chunk=7)
        want = fn(F.linear(hidden, weight), t, reduction=reduction)
    assert loss.dtype == torch.float32
    torch.testing.assert_close(loss, want)
    mine = torch.autograd.grad(loss.sum(), [hidden, weight])
    for a, b, leaf in zip(mine, torch.autograd.grad(want.sum(), [hidden, weight]), (hidden, weight)):
        assert a.dtype == leaf.dtype
        torch.testing.assert_close(a, b, rtol=0.02, atol=0.01 * float(b.abs().max()))


def test_autocast_leaves_float64_alone(make: Make) -> None:
    hidden, weight, t = layer(6, 3, 4, torch.float64)
    with torch.autocast("cpu", torch.bfloat16):
        loss = glo.linear(make("cross_entropy", "torch"))(hidden, weight, t)
    assert loss.dtype == torch.float64
    torch.testing.assert_close(loss, F.cross_entropy(F.linear(hidden, weight), t))
