"""Losses in pickles: here again, in another process, in a saved model, they compute the same bits."""

from __future__ import annotations

import copy
import importlib
import multiprocessing
import pickle
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

import glo_dsl as glo
from glo_dsl.runtime.compile import LIBRARY, spec_of
from glo_dsl.runtime.contract import Backing, CompiledLoss
from glo_dsl.runtime.standalone import standalone

ROWS, CLASSES, WIDTH = 6, 4, 3
ODD = "loss odd(z: real[C], t: class[C]; k = 0.1) = -log(softmax(z)[t]) * (k + 0.30000000000000004) per exp(k)"

KINDS: dict[str, Callable[[], Any]] = {
    "compiled": lambda: glo.compile(glo.zoo["focal"], "c"),
    "torch": lambda: glo.compile(glo.loads(ODD)["odd"], "torch"),
    "module": lambda: glo.compile(glo.zoo["focal"], "c").module(["gamma"], reduction="sum", gamma=1.7),
    "bundle": lambda: glo.bundle([glo.zoo["focal"], glo.zoo["brier"], glo.zoo["focal"]], "c"),
    "linear": lambda: glo.linear(glo.zoo["focal"]),
}


def outcome(loss: Any) -> list[Tensor]:
    """Value and gradients of one call."""
    g = torch.Generator().manual_seed(0)
    t = torch.randint(0, CLASSES, (ROWS,), generator=g)
    if "linear" in type(loss).__name__.lower():
        leaves = [torch.randn(n, WIDTH, generator=g, requires_grad=True) for n in (ROWS, CLASSES)]
    else:
        leaves = [torch.randn(ROWS, CLASSES, generator=g, requires_grad=True)]
    value = loss(*leaves, t)
    if isinstance(loss, torch.nn.Module):
        leaves += loss.parameters()
    return [value.detach(), *torch.autograd.grad(value.sum(), leaves)]


def outcome_of(data: bytes) -> bytes:
    return pickle.dumps([t.tolist() for t in outcome(pickle.loads(data))])


def same(found: list[Tensor], truth: list[Tensor]) -> bool:
    return len(found) == len(truth) and all(map(torch.equal, found, truth))


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[ProcessPoolExecutor, Path]]:
    """A process that was not forked, and a folder that it imports from."""
    folder = tmp_path_factory.mktemp("modules")
    with pytest.MonkeyPatch.context() as patch, ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        patch.syspath_prepend(folder)
        pool.submit(int).result()  # started with the folder in its path
        yield pool, folder


@pytest.mark.parametrize("kind", KINDS)
def test_it_computes_the_same_here_and_elsewhere(kind: str, elsewhere: tuple[ProcessPoolExecutor, Path]) -> None:
    loss = KINDS[kind]()
    data, truth = pickle.dumps(loss), outcome(loss)
    again = pickle.loads(data)
    assert type(again) is type(loss) and again is not loss and repr(again) == repr(loss)
    assert same(outcome(again), truth)
    assert pickle.loads(elsewhere[0].submit(outcome_of, data).result()) == [t.tolist() for t in truth]


@pytest.mark.parametrize("kind", KINDS)
def test_a_call_leaves_nothing_in_it(kind: str) -> None:
    loss = KINDS[kind]()
    before = pickle.dumps(loss)
    outcome(loss)
    assert pickle.dumps(loss) == before and len(before) < 50_000


@settings(max_examples=25)
@given(st.sampled_from(sorted(glo.zoo)), st.sampled_from(["auto", "c", "torch"]))
def test_the_losses_of_the_library(name: str, target: str) -> None:
    loss = glo.zoo[name]
    again = pickle.loads(pickle.dumps(loss))
    assert again == loss and again is not loss
    assert again.expr is loss.expr and again.laws == loss.laws and again.defaults == loss.defaults
    fn = glo.compile(loss, target)
    assert pickle.loads(pickle.dumps(fn)).spec == fn.spec


@pytest.mark.parametrize("kind", ["compiled", "bundle"])
def test_the_target_is_kept(kind: str) -> None:
    fn = pickle.loads(pickle.dumps(KINDS[kind]()))
    with pytest.raises(ValueError, match="target c runs on the CPU"):
        fn(torch.zeros(2, 3, device="meta"), torch.zeros(2, dtype=torch.int64, device="meta"))


def test_a_bundle_compiles_each_loss_once() -> None:
    many = pickle.loads(pickle.dumps(glo.bundle([glo.zoo["focal"], glo.zoo["brier"]] * 3, "c")))
    assert len(many) == 6 and repr(many) == "<bundle of 6 losses: focal, brier>"


def test_a_model_is_saved_with_what_its_loss_has_learned(tmp_path: Path) -> None:
    class_loss = glo.compile(glo.zoo["focal"], "c").module(["gamma"], reduction="none", ignore_index=2, dim=-1)
    model = torch.nn.ModuleDict({"layer": torch.nn.Linear(3, 4), "loss": class_loss})
    with torch.no_grad():
        class_loss.param_gamma.fill_(0.125)
    torch.save(model, tmp_path / "model.pt")
    again = torch.load(tmp_path / "model.pt", weights_only=False)
    assert again["loss"].param_gamma.item() == 0.125 and isinstance(again["loss"].param_gamma, torch.nn.Parameter)
    assert again["loss"].extra_repr() == class_loss.extra_repr() and (
        again["loss"].ignore_index,
        again["loss"].dim,
    ) == (2, -1)
    x, t = torch.randn(5, 3), torch.tensor([0, 1, 2, 3, 0])
    assert torch.equal(again["loss"](again["layer"](x), t), class_loss(model["layer"](x), t))


@pytest.mark.parametrize("kind", ["compiled", "bundle"])
def test_a_deep_copy_shares_it_as_before(kind: str) -> None:
    loss = KINDS[kind]()
    outcome(loss)
    assert copy.deepcopy({"loss": loss})["loss"] is loss


def test_a_loss_of_unknown_making_says_so() -> None:
    loss = glo.zoo["brier"]

    def refuse(*_: object) -> Any:
        raise AssertionError

    fn = CompiledLoss(spec_of(loss), Backing(refuse, refuse, LIBRARY, "of unknown making"))
    with pytest.raises(TypeError, match=r"brier.* cannot be pickled: nothing is known of how it was made"):
        pickle.dumps(fn)


@pytest.mark.parametrize("name", ["focal", "weighted_cross_entropy"])
def test_a_standalone_module_is_pickled_by_name(name: str, elsewhere: tuple[ProcessPoolExecutor, Path]) -> None:
    pool, folder = elsewhere
    (folder / f"only_{name}.py").write_text(standalone(glo.zoo[name], "0"))
    importlib.invalidate_caches()
    fn = getattr(importlib.import_module(f"only_{name}"), name)
    data = pickle.dumps(fn)
    assert pickle.loads(data) is fn and b"glo_dsl" not in data
    if name == "focal":
        module = fn.module(["gamma"], gamma=1.5)
        found = pool.submit(outcome_of, pickle.dumps(module)).result()
        assert pickle.loads(found) == [t.tolist() for t in outcome(module)]
