"""A compiled loss under torch.func and torch.compile, and as an operator of its own."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from torch import Tensor
from torch._dynamo.utils import counters
from torch.func import functional_call, grad, jacrev, stack_module_state, vmap

import glo_dsl as glo
from glo_dsl.runtime.compile import LIBRARY
from glo_dsl.runtime.contract import CompiledLoss

Make = Callable[[str, str], CompiledLoss]
TARGETS = ["c", "torch"]
REDUCTIONS = ["mean", "sum", "none"]
OWN = "ignore::DeprecationWarning"
"""torch.compile warns of what it does within itself."""


def compiling(test: Callable[..., None]) -> Callable[..., None]:
    marked: Callable[..., None] = pytest.mark.usefixtures("fresh")(pytest.mark.filterwarnings(OWN)(test))
    return marked


@pytest.fixture
def fresh() -> Iterator[None]:
    """A compiler that remembers nothing."""
    torch._dynamo.reset()
    counters.clear()
    yield
    torch._dynamo.reset()


def logits(*shape: int, dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(4), dtype=dtype)


@pytest.mark.parametrize("target", [*TARGETS, "triton"])
def test_a_gradient_by_a_transform(target: str, make: Make) -> None:
    z, t = logits(3, 4, dtype=torch.float32), torch.tensor([0, 3, 1])
    fn = make("focal", target)
    torch.testing.assert_close(grad(fn)(z, t), fn.value_and_grad(z, t)[1]["z"])
    by_gamma = grad(lambda gamma: fn(z, t, gamma=gamma))(torch.tensor(1.5))
    torch.testing.assert_close(by_gamma, fn.value_and_grad(z, t, wrt=["gamma"], gamma=1.5)[1]["gamma"])


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_mapped_it_is_a_loop(reduction: str, target: str, make: Make) -> None:
    fn = make("focal", target)
    z, t = logits(5, 3, 4), torch.randint(0, 4, (5, 3), generator=torch.Generator().manual_seed(0))
    weight, gamma = torch.rand(5, 3, dtype=torch.float64), torch.linspace(0, 2, 5, dtype=torch.float64)

    def call(z: Tensor, t: Tensor, weight: Tensor, gamma: Tensor) -> Tensor:
        return fn(z, t, sample_weight=weight, gamma=gamma, reduction=reduction)

    looped = torch.stack([call(*each) for each in zip(z, t, weight, gamma)])
    torch.testing.assert_close(vmap(call)(z, t, weight, gamma), looped)
    some = vmap(call, in_dims=(1, None, None, None))(z.movedim(0, 1), t[0], weight[0], gamma[0])
    torch.testing.assert_close(some, torch.stack([call(each, t[0], weight[0], gamma[0]) for each in z]))


@pytest.mark.parametrize("target", TARGETS)
def test_gradients_of_single_samples(target: str, make: Make) -> None:
    fn = make("cross_entropy", target)
    z, t = logits(6, 4), torch.tensor([0, 1, 2, 3, 0, 1])
    each = vmap(grad(fn))(z, t)
    torch.testing.assert_close(each, fn.value_and_grad(z, t, reduction="sum")[1]["z"])


def test_second_derivatives_by_transforms(make: Make) -> None:
    z, t = logits(2, 3), torch.tensor([0, 2])
    fn = make("cross_entropy", "c")
    hessian = jacrev(jacrev(lambda z: fn(z, t, reduction="sum")))(z)
    p = z.softmax(-1)
    for row in range(2):
        torch.testing.assert_close(hessian[row, :, row], p[row].diag() - p[row][:, None] * p[row])
    assert not hessian[0, :, 1].any()


def test_an_ensemble_of_models(make: Make) -> None:
    """The use that torch.func is made for: models stacked, and their losses mapped over."""
    torch.manual_seed(0)
    models: list[torch.nn.Module] = [torch.nn.Linear(4, 3) for _ in range(3)]
    params, buffers = stack_module_state(models)
    x, t, fn = torch.randn(8, 4), torch.randint(0, 3, (8,)), make("focal", "c")

    def loss(params: dict[str, Tensor], buffers: dict[str, Tensor]) -> Tensor:
        return fn(functional_call(models[0], (params, buffers), (x,)), t)

    found = vmap(grad(loss))(params, buffers)
    for n, model in enumerate(models):
        want = torch.autograd.grad(fn(model(x), t), list(model.parameters()))
        torch.testing.assert_close([found["weight"][n], found["bias"][n]], list(want))


@compiling
@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("name", ["focal", "per_weight", "kl", "huber"])
def test_one_graph(name: str, target: str, make: Make, cases: Any) -> None:
    """torch.compile sees no break; the gradient is that of the plain call, for all reductions and a weight."""
    fn, ignored = make(name, target), torch.tensor([1, -100, 3])
    made = [ignored if i.kind == "class" else logits(*(3,) * (not i.shared), *(4,) * i.rows) for i in fn.spec.inputs]
    params = {name: torch.tensor(1.25, dtype=torch.float64, requires_grad=True) for name, _ in fn.spec.params}
    inputs = [t.clone().requires_grad_() if t.is_floating_point() else t for t in made]
    free = [t for t in (*inputs, *params.values()) if t.requires_grad]

    for reduction, weight in (("mean", None), ("none", None), ("mean", torch.tensor([1.0, 2.0, 0.5]))):

        def step(*inputs: Tensor, r: str = reduction, w: Any = weight, **params: Tensor) -> Tensor:
            return 2 * fn(*(t * 1 for t in inputs), reduction=r, sample_weight=w, **params).sum()

        compiled = torch.compile(step, fullgraph=True, backend="aot_eager")
        mine, want = compiled(*inputs, **params), step(*inputs, **params)
        torch.testing.assert_close(mine, want)
        torch.testing.assert_close(torch.autograd.grad(mine, free), torch.autograd.grad(want, free))


@compiling
def test_inductor_compiles_a_training_step_once_for_all_constants(make: Make) -> None:
    fn, model = make("focal", "c"), torch.nn.Linear(5, 4)
    x, t = logits(6, 5, dtype=torch.float32), torch.tensor([0, 1, 2, 3, 0, 1])

    def step(x: Tensor, gamma: float) -> Tensor:
        return fn(model(x), t, gamma=gamma)

    compiled = torch.compile(step, fullgraph=True)
    for gamma in (2.0, 1.0, 0.5, 3.0, 1.5, 2.5):
        mine = torch.autograd.grad(compiled(x, gamma), list(model.parameters()))
        torch.testing.assert_close(mine, torch.autograd.grad(step(x, gamma), list(model.parameters())))
    assert counters["stats"]["unique_graphs"] == 2  # once for the first number, once for all others


@compiling
def test_batches_of_any_size_are_one_graph(make: Make) -> None:
    fn = make("cross_entropy", "c")
    compiled = torch.compile(lambda z, t: fn(z, t), fullgraph=True, backend="aot_eager", dynamic=True)
    for rows in (5, 7, 9, 300):
        z, t = logits(rows, 4, dtype=torch.float32), torch.zeros(rows, dtype=torch.int64)
        torch.testing.assert_close(compiled(z, t), fn(z, t))
    assert counters["stats"]["unique_graphs"] == 1


@pytest.mark.parametrize("target", [*TARGETS, "triton"])
@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("name", ["focal", "weighted", "kl", "huber"])
def test_the_operator_keeps_the_rules(name: str, reduction: str, target: str, make: Make) -> None:
    fn = make(name, target)
    dtypes = (torch.float32,) if target == "triton" else (torch.float64, torch.bfloat16)
    for dtype in dtypes:
        inputs = [torch.tensor([1, -100, 3]) if i.kind == "class"
                  else logits(*(3,) * (not i.shared), *(4,) * i.rows).to(dtype) for i in fn.spec.inputs]  # fmt: skip
        params = torch.tensor([value for _, value in fn.spec.params])
        arguments = (fn._backing.key, inputs, params, list(fn.spec.differentiable), reduction, -100, None, None)
        checks = ("test_schema", "test_faketensor")  # it has no derivative to test
        torch.library.opcheck(LIBRARY.operator, arguments, test_utils=checks)


def test_two_results_never_share_memory() -> None:
    """By PyTorch's rules for operators; here both gradients are the same number."""
    fn = glo.compile(glo.loads("loss f(a: real, b: real) = a + b")["f"], "torch")
    a = torch.ones(3)
    found = LIBRARY.operator(fn._backing.key, [a, a], torch.empty(0), ["a", "b"], "sum", -100, None, None)
    assert len({t.data_ptr() for t in found}) == 3


@pytest.mark.parametrize("survivor", [0, 1])
def test_the_same_loss_compiled_twice_is_known_as_long_as_either_lives(survivor: int) -> None:
    loss = glo.loads("loss twice(z: real[C], t: class[C]) = -log_softmax(z)[t]")["twice"]
    both = [glo.compile(loss, "torch"), glo.compile(loss, "torch")]
    kept = both[survivor]
    del both
    gc.collect()
    z, t = logits(3, 4), torch.tensor([0, 3, 1])
    arguments = (kept._backing.key, [z, t], torch.empty(0), ["z"], "mean", -100, None, None)
    torch.testing.assert_close(LIBRARY.operator(*arguments)[0], kept(z, t))


def test_losses_that_differ_in_the_order_of_inputs_alone_are_not_the_same() -> None:
    one, other = (glo.loads(f"loss f({head}) = sum(z) * y") for head in ("z: real[C], y: real", "y: real, z: real[C]"))
    assert one["f"].expr.digest == other["f"].expr.digest
    assert glo.compile(one["f"], "torch")._backing.key != glo.compile(other["f"], "torch")._backing.key


def test_a_graph_that_outlives_its_loss() -> None:
    with pytest.raises(RuntimeError, match=r"the loss gone .* keep what glo.compile returned"):
        LIBRARY.operator("gone", [torch.ones(3)], torch.empty(0), [], "sum", -100, None, None)
