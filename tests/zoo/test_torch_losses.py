"""The losses of torch.nn in the zoo: value and gradients are PyTorch's own, on the inputs on which it tests them."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping
from functools import cache

import numpy as np
import pytest
import torch
from torch import Tensor

import glo_dsl as glo
from glo_dsl.runtime.contract import CompiledLoss
from tests.zoo import torch_calls
from tests.zoo.torch_calls import Call, NotInZooError
from tests.zoo.torch_samples import FUNCTIONS, Sample, samples

FAMILIES = ("regression", "binary", "cross_entropy", "margin", "distribution", "embedding")
LOSSES = {name: glo.zoo[name] for name in glo.zoo if glo.zoo.family(name) in FAMILIES}

COMPARED: dict[str, dict[str, int]] = {
    "l1_loss": {"l1": 11, "weighted_l1": 3},
    "mse_loss": {"mse": 14, "weighted_mse": 3},
    "huber_loss": {"huber": 13, "weighted_huber": 3},
    "smooth_l1_loss": {"smooth_l1": 15, "l1": 1},
    "binary_cross_entropy": {"bce": 12, "weighted_bce": 5},
    "binary_cross_entropy_with_logits": {
        "bce_with_logits": 15,
        "weighted_bce_with_logits": 14,
        "bce_with_logits_pos_weight": 3,
        "weighted_bce_with_logits_pos_weight": 3,
    },
    "soft_margin_loss": {"soft_margin": 10},
    "multilabel_soft_margin_loss": {"multilabel_soft_margin": 6, "weighted_multilabel_soft_margin": 5},
    "cross_entropy": {
        "cross_entropy": 38,
        "soft_cross_entropy": 31,
        "weighted_cross_entropy": 18,
        "weighted_soft_cross_entropy": 18,
        "smoothed_cross_entropy": 27,
        "weighted_smoothed_cross_entropy": 3,
    },
    "linear_cross_entropy": {
        "cross_entropy": 112,
        "soft_cross_entropy": 84,
        "weighted_cross_entropy": 70,
        "weighted_soft_cross_entropy": 63,
    },
    "nll_loss": {"nll": 41, "weighted_nll": 48},
    "kl_div": {"kl_div": 14, "kl_div_batchmean": 2, "kl_div_log_target": 9, "kl_div_log_target_batchmean": 1},
    "poisson_nll_loss": {
        "poisson_nll": 22,
        "poisson_nll_full": 22,
        "poisson_nll_rate": 19,
        "poisson_nll_rate_full": 22,
    },
    "gaussian_nll_loss": {"gaussian_nll": 170, "gaussian_nll_full": 162},
    "hinge_embedding_loss": {"hinge_embedding": 23},
    "margin_ranking_loss": {"margin_ranking": 32},
    "multi_margin_loss": {
        "multi_margin": 16,
        "squared_multi_margin": 5,
        "weighted_multi_margin": 5,
        "weighted_squared_multi_margin": 3,
    },
    "cosine_embedding_loss": {"cosine_embedding": 14},
    "triplet_margin_loss": {"triplet_margin": 6, "swapped_triplet_margin": 4},
    "triplet_margin_with_distance_loss": {"triplet_margin": 6, "swapped_triplet_margin": 1},
}
"""How many samples of a function are compared, at least, by the loss of the zoo that they are compared with."""

LEFT_OUT = {
    "multilabel_soft_margin_loss": {"a weight per sample and class, where torch documents one per class": 1},
}
"""Samples that are not compared."""

NOT_IN_ZOO = {
    "ctc_loss": "a recurrence over the frames of a sequence",
    "multilabel_margin_loss": "compares each class with each other: two class axes",
    "AdaptiveLogSoftmaxWithLoss": "has linear layers of its own",
    "CTCLoss": "a recurrence over the frames of a sequence",
    "LinearCrossEntropyLoss": "has a linear layer of its own; cross_entropy of its output is compared",
    "MultiLabelMarginLoss": "compares each class with each other: two class axes",
    "NLLLoss2d": "a deprecated name of NLLLoss",
}

pytestmark = [
    pytest.mark.filterwarnings("ignore:reduction. 'mean' divides the total loss:UserWarning"),
    pytest.mark.filterwarnings("ignore:linear_cross_entropy. ``options`` ignored:UserWarning"),
]


@cache
def compiled(name: str, target: str) -> CompiledLoss:
    return glo.compile(LOSSES[name], target)


def in_torch(function: str, sample: Sample) -> Callable[..., Tensor]:
    return lambda *tensors: getattr(torch.nn.functional, function)(*tensors, **sample.settings)


def call_of(function: str, sample: Sample, tensors: tuple[Tensor, ...]) -> Call:
    call: Call = getattr(torch_calls, function)(*tensors, **sample.settings)
    return call


def in_zoo(function: str, sample: Sample, target: str) -> Callable[..., Tensor]:
    def loss(*tensors: Tensor) -> Tensor:
        call = call_of(function, sample, tensors)
        return call.by(compiled(call.loss, target))

    return loss


def outcome(loss: Callable[..., Tensor], leaves: tuple[Tensor, ...]) -> list[Tensor]:
    """The value and the gradients of a weighted sum of it by the inputs that want one."""
    value = loss(*leaves)
    upstream = torch.linspace(0.5, 1.5, value.numel(), dtype=value.dtype).reshape(value.shape)
    wanted = [leaf for leaf in leaves if leaf.requires_grad]
    return [value.detach(), *torch.autograd.grad(value, wanted, upstream, materialize_grads=True)]


def assert_same(got: list[Tensor], want: list[Tensor], rtol: float, atol: float, label: str) -> None:
    assert len(got) == len(want) >= 2, label
    for place, (mine, theirs) in enumerate(zip(got, want)):
        what = f"gradient {place - 1}" if place else "value"
        torch.testing.assert_close(mine, theirs, rtol=rtol, atol=atol, equal_nan=True, check_dtype=False,
                                   msg=lambda m, what=what: f"{what} of {label}: {m}")  # fmt: skip


@pytest.mark.parametrize("target", ["c", "torch"])
@pytest.mark.parametrize("function", FUNCTIONS)
def test_value_and_gradients_in_float64(function: str, target: str) -> None:
    compared, left_out = Counter[str](), Counter[str]()
    for place, sample in enumerate(samples(function)):
        try:
            name = call_of(function, sample, sample.tensors).loss
        except NotInZooError as reason:
            left_out[str(reason)] += 1
            continue
        got, want = (
            outcome(by, sample.leaves()) for by in (in_zoo(function, sample, target), in_torch(function, sample))
        )
        assert_same(got, want, 1e-9, 1e-14, f"{function}, sample {place}, by {name}")
        compared[name] += 1
    assert left_out == LEFT_OUT.get(function, {})
    assert compared.keys() == COMPARED[function].keys()
    assert all(compared[loss] >= least for loss, least in COMPARED[function].items()), compared


@cache
def by_loss() -> Mapping[str, list[tuple[str, Sample]]]:
    """For each loss of the zoo one sample per reduction, with the function of torch that it is for."""
    found: dict[str, dict[str, tuple[str, Sample]]] = defaultdict(dict)
    for function in FUNCTIONS:
        for sample in samples(function):
            try:
                call = call_of(function, sample, sample.tensors)
            except NotInZooError:
                continue
            found[call.loss].setdefault(call.settings.get("reduction", "mean"), (function, sample))
    return {loss: list(chosen.values()) for loss, chosen in found.items()}


@pytest.mark.parametrize("name", LOSSES)
def test_value_and_gradients_in_float32_by_triton(name: str) -> None:
    chosen = by_loss()[name]
    for function, sample in chosen:
        single = sample.to(torch.float32)
        double = single.to(torch.float64)
        want = outcome(in_torch(function, double), double.leaves())
        with np.errstate(all="ignore"):  # the interpreter computes lanes beyond the row, and throws them away
            got = outcome(in_zoo(function, single, "triton"), single.leaves())
        assert_same([t.double() for t in got], want, 2e-5, 2e-5, f"{function} by {name}")
    assert chosen


@pytest.mark.parametrize(
    ("target", "dtype"), [("c", torch.float64), ("torch", torch.float64), ("triton", torch.float32)]
)
def test_bce_where_logarithms_are_cut(target: str, dtype: torch.dtype) -> None:
    edges = torch.tensor([0.0, 1e-44, 1e-30, 1e-8, 0.5, 1 - 2.0**-24, 1 - 2.0**-53, 1.0], dtype=dtype)
    p, y = (t.reshape(-1) for t in torch.meshgrid(edges, torch.tensor([0.0, 0.3, 1.0], dtype=dtype), indexing="ij"))
    p.requires_grad_()
    with np.errstate(all="ignore"):
        value, slope = outcome(lambda *inputs: compiled("bce", target)(*inputs, reduction="none"), (p, y))
    want, theirs = outcome(lambda *inputs: torch.nn.functional.binary_cross_entropy(*inputs, reduction="none"), (p, y))
    torch.testing.assert_close(value, want)
    inside = p * (1 - p) >= 1e-12
    torch.testing.assert_close(slope[inside], theirs[inside])
    assert inside.sum() >= 6 and slope.isfinite().all()


@pytest.mark.parametrize(("target", "dtype", "rtol"), [("c", torch.float64, 1e-14), ("triton", torch.float32, 1e-6)])
def test_bce_with_logits_keeps_its_digits_where_torch_does_not(target: str, dtype: torch.dtype, rtol: float) -> None:
    z = torch.tensor([-40.0, -17.0, 17.0, 40.0], dtype=dtype)
    y = (z > 0).to(dtype)
    with np.errstate(all="ignore"):
        value, slopes = compiled("bce_with_logits", target).value_and_grad(z, y, reduction="none")
    odds = torch.exp(-z.double().abs())  # of the wrong answer
    torch.testing.assert_close(value.double(), torch.log1p(odds), rtol=rtol, atol=0)
    torch.testing.assert_close(slopes["z"].double(), -z.sign().double() * odds / (1 + odds), rtol=rtol, atol=0)


def test_every_loss_of_torch_is_in_the_zoo_or_has_a_reason() -> None:
    modules = {name for name in dir(torch.nn) if "Loss" in name}
    functions = {name for name in dir(torch.nn.functional) if name.endswith(("_loss", "cross_entropy", "logits"))}
    known = {module.__name__ for module in FUNCTIONS.values() if module} | FUNCTIONS.keys()
    assert modules | functions | {"kl_div"} == known | NOT_IN_ZOO.keys()


def test_every_loss_of_these_files_is_compared() -> None:
    assert {loss for losses in COMPARED.values() for loss in losses} == LOSSES.keys()
