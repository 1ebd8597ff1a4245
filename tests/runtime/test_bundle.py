"""Many losses in one call against as many calls."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import hypothesis.strategies as st
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from torch import Tensor

import glo_dsl as glo
from glo_dsl.runtime import build_c, planes
from glo_dsl.runtime.bundle import Bundle
from glo_dsl.runtime.contract import CompiledLoss
from tests.runtime.conftest import example

CLASSES = ["cross_entropy", "focal", "gce", "poly1", "baikal"]
SHARED = ["weighted_cross_entropy", "weighted_smoothed_cross_entropy"]
PAIRS = ["distillation", "jensen_shannon", "total_variation"]
ELEMENTS = ["huber", "mse", "l1"]
FAMILIES = (CLASSES, SHARED, PAIRS, ELEMENTS)


def one(name: str, target: str = "c") -> CompiledLoss:
    return glo.compile(glo.zoo[name], target)


def singly(
    names: list[str], inputs: list[Tensor], own: set[int], params: list[dict[str, float]], target: str, **options: Any
) -> tuple[Tensor, list[dict[str, Tensor]]]:
    values, gradients = [], []
    for member, (name, constants) in enumerate(zip(names, params)):
        part = [t[member] if n in own else t for n, t in enumerate(inputs)]
        fn = one(name, target)
        value, found = fn.value_and_grad(*part, wrt=fn.spec.differentiable, **options, **constants)
        values.append(value)
        gradients.append(found)
    return torch.stack(values), gradients


by_family = pytest.mark.parametrize("family", FAMILIES, ids=["classes", "shared", "pairs", "elements"])


@settings(max_examples=18)
@by_family
@given(data=st.data())
def test_each_member_is_as_if_alone(family: list[str], data: st.DataObject) -> None:
    each_is_as_if_alone("c", family, data)


@settings(max_examples=6)
@by_family
@given(data=st.data())
def test_each_plane_is_as_if_alone(family: list[str], data: st.DataObject) -> None:
    each_is_as_if_alone("triton", family, data)


def each_is_as_if_alone(target: str, family: list[str], data: st.DataObject) -> None:
    """For any mixture of losses, own and common inputs, reductions, constants and strides."""
    mixtures = [[family[0]], [family[1], family[0], family[1]], [*family, *family[1:]]]  # each is built once
    names = data.draw(st.sampled_from(mixtures))
    many = glo.bundle([glo.zoo[name] for name in names], target)
    spec = one(names[0]).spec
    own = data.draw(st.sets(st.sampled_from(range(len(spec.inputs)))))
    rows, classes = data.draw(st.sampled_from([(4, 3), (1, 1), (40, 70), (0, 4)]))
    inputs = example(one(names[0]), rows, classes, data.draw(st.integers(0, 99)), dict.fromkeys(own, len(names)))
    ignored = data.draw(st.booleans()) and rows > 1
    for n, entry in enumerate(spec.inputs):
        if entry.kind == "class" and ignored:
            inputs[n][..., 0] = 7
        elif entry.kind == "real" and data.draw(st.booleans()):
            inputs[n] = torch.stack([inputs[n], inputs[n]], -1)[..., 0]
    options = {"reduction": data.draw(st.sampled_from(["mean", "sum", "none"])), "ignore_index": 7}
    known = list(dict.fromkeys(p for name in names for p, _ in one(name).spec.params))
    constants = {p: data.draw(st.lists(st.sampled_from([0.5, 0.25, 1.5]), min_size=len(names), max_size=len(names)))
                 for p in known if data.draw(st.booleans())}  # fmt: skip
    params = [{p: v[m] for p, v in constants.items() if p in dict(one(name).spec.params)}
              for m, name in enumerate(names)]  # fmt: skip
    want, wanted = singly(names, inputs, own, params, "c", **options)
    reals = [i.name for i in spec.inputs if i.kind == "real"]
    with np.errstate(all="ignore"):  # Triton's interpreter computes lanes beyond the row
        value, gradients = many.value_and_grad(*inputs, wrt=[*reals, *known], **options, **constants)
    near: dict[str, Any] = {"rtol": 0, "atol": 0} if target == "c" else {"rtol": 1e-5, "atol": 1e-5}
    torch.testing.assert_close(value, want, equal_nan=True, **near)
    assert list(gradients) == [*reals, *known]
    for name, gradient in gradients.items():
        place = reals.index(name) if name in reals else None
        for member, found in enumerate(wanted):
            alone = list(found)[place] if place is not None else name
            mine = gradient[member]
            if alone not in found:
                assert not mine.any()
            else:
                near = {"rtol": 1e-6, "atol": 1e-7} if target == "c" else near
                torch.testing.assert_close(mine, found[alone], equal_nan=True, **near)


def test_a_population_of_256(monkeypatch: pytest.MonkeyPatch) -> None:
    """One loss, 256 vectors of constants, nothing compiled for any of them; against 256 calls."""
    loss = glo.zoo["taylor3"]
    many, fn, g = glo.bundle([loss] * 256), glo.compile(loss, "c"), torch.Generator().manual_seed(1)
    z, t = torch.randn(256, 128, 10, generator=g), torch.randint(0, 10, (128,), generator=g)
    many.value_and_grad(z, t)
    fn.value_and_grad(z[0], t)
    monkeypatch.setattr(build_c.subprocess, "run", lambda *_, **__: pytest.fail("compiled again"))
    for _ in range(40):  # 256 x 40 vectors
        theta = torch.randn(256, len(fn.spec.params), generator=g)
        params = {name: theta[:, n] for n, (name, _) in enumerate(fn.spec.params)}
        value, gradients = many.value_and_grad(z, t, **params)
    for member in range(256):
        alone = {name: float(column[member]) for name, column in params.items()}
        want, wanted = fn.value_and_grad(z[member], t, **alone)
        assert torch.equal(value[member], want) and torch.equal(gradients["z"][member], wanted["z"])


@pytest.mark.parametrize("target", ["c", "torch", "triton"])
@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_autograd(target: str, reduction: str) -> None:
    """A common input gets what all members send it; weights of classes, shared by the rows, too."""
    names = ["weighted_cross_entropy", "weighted_smoothed_cross_entropy"]
    many = glo.bundle([glo.zoo[name] for name in names], target)
    z, t, w = example(one(names[0]), 5, 4, lead={0: 2})
    for own in (True, False):
        leaves = [(z if own else z[0]).clone().requires_grad_(), w.clone().requires_grad_()]
        value = many(leaves[0], t, leaves[1], reduction=reduction)
        above = torch.linspace(-1, 2, value.numel()).reshape(value.shape)
        mine = torch.autograd.grad(value, leaves, above, retain_graph=True)
        again = torch.autograd.grad(value, leaves, above)
        parts = [one(name, "torch")(leaves[0][n] if own else leaves[0], t, leaves[1], reduction=reduction)
                 for n, name in enumerate(names)]  # fmt: skip
        want = torch.autograd.grad(torch.stack(parts), leaves, above)
        torch.testing.assert_close(value.detach(), torch.stack(parts).detach())
        torch.testing.assert_close(mine, want)
        torch.testing.assert_close(again, want)


@pytest.mark.parametrize(("together", "count"), [(16, 1), (2, 2), (1, 3)])
def test_different_losses_by_triton_are_one_launch(monkeypatch: pytest.MonkeyPatch, together: int, count: int) -> None:
    """However many constants each has; more losses than one kernel holds are the least number of launches."""
    monkeypatch.setattr(planes, "TOGETHER", together)
    names = ("focal", "gce", "focal", "poly1", "focal")
    many = glo.bundle([glo.zoo[name] for name in names], "triton")
    z, t = example(one("focal"), 5, 4)
    launches = []
    for group in many._members.groups([z]) or []:
        launch = group.launch
        monkeypatch.setitem(group.__dict__, "launch", lambda *a, f=launch, **k: launches.append(1) or f(*a, **k))
    gamma = [0.5, 1.0, 2.0, 3.0, 4.0]
    with np.errstate(all="ignore"):
        value, found = many.value_and_grad(z, t, wrt=["z", "gamma"], gamma=gamma)
    assert len(launches) == count
    want, wanted = glo.bundle([glo.zoo[name] for name in names], "c").value_and_grad(
        z, t, wrt=["z", "gamma"], gamma=gamma
    )
    torch.testing.assert_close(value, want)
    torch.testing.assert_close(found, wanted)


def test_other_targets_agree() -> None:
    names = ["focal", "gce"]
    z, t = example(one("focal"), 5, 4, lead={0: 2})
    want, wanted = glo.bundle([glo.zoo[n] for n in names], "c").value_and_grad(z, t, wrt=["z", "gamma"])
    for target in ("torch", "triton"):
        with np.errstate(all="ignore"):
            value, found = glo.bundle([glo.zoo[n] for n in names], target).value_and_grad(z, t, wrt=["z", "gamma"])
        torch.testing.assert_close(value, want)
        torch.testing.assert_close(found, wanted)


def test_dtypes() -> None:
    many = glo.bundle([glo.zoo["focal"]] * 2, "c")
    z, t = example(one("focal"), 5, 4, lead={0: 2})
    value, found = many.value_and_grad(z.double(), t.int())
    assert value.dtype == found["z"].dtype == torch.float64
    value, found = many.value_and_grad(z.bfloat16(), t.to(torch.uint8))
    assert value.dtype == torch.float32 and found["z"].dtype == torch.bfloat16


def test_many_threads_at_once() -> None:
    many, fn = glo.bundle([glo.zoo["focal"]] * 3, "c"), one("focal")
    batches = [example(fn, 50, 10, seed, {0: 3}) for seed in range(24)]
    with ThreadPoolExecutor(8) as pool:
        for (z, t), (value, found) in zip(batches, pool.map(lambda b: many.value_and_grad(*b), batches)):
            assert torch.equal(value, torch.stack([fn.value_and_grad(part, t)[0] for part in z]))
            assert torch.equal(found["z"][1], fn.value_and_grad(z[1], t)[1]["z"])
        for (z, t), (value, found) in zip(batches, pool.map(lambda b: fn.value_and_grad(b[0][0], b[1]), batches)):
            want, wanted = fn.value_and_grad(z[0], t)
            assert torch.equal(value, want) and torch.equal(found["z"], wanted["z"])


Z, T = torch.zeros(2, 4, 3), torch.zeros(4, dtype=torch.int64)


@pytest.mark.parametrize(
    ("inputs", "options", "kind", "message"),
    [
        ((Z,), {}, TypeError, r"focal takes 2 inputs \(z, t\), got 1"),
        ((Z, [0]), {}, TypeError, "t must be a tensor, got list"),
        ((torch.zeros(3, 4, 3), T), {}, ValueError, r"z must have shape \(N, C\) or \(2, N, C\), got \(3, 4, 3\)"),
        ((Z, T[:3]), {}, ValueError, r"t must have shape \(4,\) to go with z, got \(3,\)"),
        ((Z, T.float()), {}, ValueError, "t holds class indices"),
        ((Z, T), {"alpha": 1.0}, TypeError, "no loss of the bundle has a parameter alpha; its parameters are gamma"),
        ((Z, T), {"gamma": [1.0, 2.0, 3.0]}, ValueError, r"gamma must be one number or 2, got shape \(3,\)"),
        ((Z, T), {"reduction": "avg"}, ValueError, "one of mean, sum, none"),
        ((Z, T + 3), {}, IndexError, r"class index 3 in row 0 of member 0 is outside \[0, 3\)"),
    ],
)
def test_a_wrong_call(inputs: Any, options: dict[str, Any], kind: type[Exception], message: str) -> None:
    many = glo.bundle([glo.zoo["focal"]] * 2, "c")
    for method in (many, many.value_and_grad):
        with pytest.raises(kind, match=message):
            method(*inputs, **options)


def test_what_cannot_be_bundled() -> None:
    with pytest.raises(glo.GloError, match="a bundle of no losses"):
        glo.bundle([])
    with pytest.raises(glo.GloError, match="mse takes other inputs than focal"):
        glo.bundle([glo.zoo["focal"], glo.zoo["mse"]])
    with pytest.raises(ValueError, match="the bundle has no gradient for t; it has: z, gamma"):
        glo.bundle([glo.zoo["focal"]], "c").value_and_grad(Z[:1], T, wrt=["t"])
    many = glo.bundle([glo.zoo["focal"], glo.zoo["gce"], glo.zoo["focal"]], "c")
    assert isinstance(many, Bundle) and len(many) == 3 and repr(many) == "<bundle of 3 losses: focal, gce>"
