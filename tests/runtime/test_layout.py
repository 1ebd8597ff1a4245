"""How tensors lie: classes that are not side by side in memory are read and written where they are."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

import glo_dsl as glo
from glo_dsl.runtime.compile import spec_of
from glo_dsl.runtime.layout import Layout, layout_of

CE = glo.zoo["cross_entropy"]
KL = glo.zoo["forward_kl"]


def images(n: int = 2, c: int = 5, h: int = 3, w: int = 4) -> Tensor:
    return torch.randn(n, c, h, w, generator=torch.Generator().manual_seed(0))


def labels(z: Tensor, dim: int = 1) -> Tensor:
    shape = [s for axis, s in enumerate(z.shape) if axis != dim]
    return torch.randint(0, z.shape[dim], shape, generator=torch.Generator().manual_seed(1))


LAYOUTS: dict[str, Callable[[], tuple[Tensor, int]]] = {
    "contiguous": lambda: (images(), 1),
    "channels last": lambda: (images().contiguous(memory_format=torch.channels_last), 1),
    "a part of a batch": lambda: (images(4)[1:3], 1),
    "every other class": lambda: (images(2, 10)[:, ::2], 1),
    "expanded": lambda: (images(1).expand(3, -1, -1, -1), 1),
    "one image": lambda: (images(1), 1),
    "one row": lambda: (images(3, 5, 1, 1), 1),
    "long": lambda: (images(2, 5).flatten(2), 1),
    "classes first": lambda: (images(5, 2), 0),
    "classes last": lambda: (images(), 3),
    "two axes": lambda: (images().flatten(2)[0].t(), 1),
}
COPIED: dict[str, Callable[[], tuple[Tensor, int]]] = {
    "every other line": lambda: (images(2, 5, 6)[:, :, ::2], 1),
    "classes between": lambda: (images().movedim(2, 0), 2),
}
"""Rows at more than two distances: no kernel walks them as they are."""


@pytest.mark.parametrize("name", LAYOUTS)
def test_no_layout_is_copied(name: str) -> None:
    z, dim = LAYOUTS[name]()
    layout = layout_of(spec_of(CE), [z, labels(z, dim)], dim)
    row, _ = layout.rows([z, labels(z, dim)])
    assert row.untyped_storage().data_ptr() == z.untyped_storage().data_ptr()
    assert tuple(row.shape[:-1]) == layout.batch and row.shape[-1] == z.shape[dim]


@pytest.mark.parametrize("target", ["c", "triton", "torch"])
@pytest.mark.parametrize("name", [*LAYOUTS, *COPIED])
def test_every_layout_gives_what_side_by_side_classes_give(name: str, target: str) -> None:
    z, dim = (LAYOUTS | COPIED)[name]()
    t, fn = labels(z, dim), glo.compile(CE, target)
    flat = z.movedim(dim, -1).reshape(-1, z.shape[dim]).contiguous()
    want, (slope,) = _call(fn, flat, t.reshape(-1))
    value, (gradient,) = _call(fn, z, t, dim=dim)
    torch.testing.assert_close(value, want)
    torch.testing.assert_close(gradient, slope.reshape(z.movedim(dim, -1).shape).movedim(-1, dim))


def _call(fn: glo.CompiledLoss, z: Tensor, t: Tensor, dim: int = 1) -> tuple[Tensor, tuple[Tensor, ...]]:
    value, gradients = fn.value_and_grad(z, t, dim=dim)
    return value, tuple(gradients.values())


@pytest.mark.parametrize("target", ["c", "triton"])
def test_the_gradient_lies_like_the_logits(target: str) -> None:
    """A later layer's backward would otherwise have to copy it."""
    fn = glo.compile(CE, target)
    for z in (images(), images().contiguous(memory_format=torch.channels_last)):
        assert _call(fn, z, labels(z))[1][0].stride() == z.stride()


@pytest.mark.parametrize("target", ["c", "triton", "torch"])
def test_inputs_may_lie_differently(target: str) -> None:
    teacher = images().contiguous(memory_format=torch.channels_last)
    student = images().flip(1)
    fn = glo.compile(KL, target)
    want = fn(*(t.movedim(1, -1).reshape(-1, 5).contiguous() for t in (teacher, student)))
    torch.testing.assert_close(fn(teacher, student), want)
    torch.testing.assert_close(fn(student, teacher), fn(student, teacher.contiguous()))


def test_weights_and_what_comes_from_above_follow_the_samples() -> None:
    z, fn = images().requires_grad_(), glo.compile(CE)
    t, weight = labels(z), torch.rand(2, 3, 4)
    upstream = torch.randn(2, 3, 4)
    each = fn(z, t, reduction="none", sample_weight=weight)
    want = torch.nn.functional.cross_entropy(z, t, reduction="none") * weight
    torch.testing.assert_close(each, want)
    mine, truth = (torch.autograd.grad(loss, z, upstream)[0] for loss in (each, want))
    torch.testing.assert_close(mine, truth)


def test_long_rows_that_lie_apart_are_summed_as_exactly_as_others() -> None:
    """One running total over 50,000 classes would lose two digits."""
    z = 0.1 * torch.randn(1, 50_000, 20, generator=torch.Generator().manual_seed(0)) + 1e-3
    t = labels(z)
    value, (gradient,) = _call(glo.compile(CE, "c"), z, t)
    double = z.double().requires_grad_()
    want = torch.nn.functional.cross_entropy(double, t)
    (slope,) = torch.autograd.grad(want, double)
    assert abs(float(value) - float(want.detach())) <= 2e-7 * float(want.detach())
    wrong = torch.ones_like(t[:, None]).expand(-1, 50_000, -1).bool().scatter(1, t[:, None], False)
    assert float(((gradient - slope) / slope)[wrong].abs().max()) < 1e-6


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_layout_of_symbolic_shapes_is_known_to_a_compiler() -> None:
    fn = glo.compile(CE)
    z, t = images().requires_grad_(), labels(images())
    compiled = torch.compile(lambda z, t: fn(z * 1.0, t), fullgraph=True, backend="aot_eager")
    loss = compiled(z, t)
    (mine,) = torch.autograd.grad(loss, z)
    (want,) = torch.autograd.grad(torch.nn.functional.cross_entropy(z, t), z)
    torch.testing.assert_close(mine, want)


def test_batch_says_how_a_kernel_sees_the_rows() -> None:
    spec = spec_of(CE)
    assert Layout(spec, (2, 3, 4), 1, planes=True).batch == (2, 12)
    assert Layout(spec, (2, 3, 4), 3).batch == (24,)
