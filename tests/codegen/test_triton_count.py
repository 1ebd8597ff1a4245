"""Rows that count, counted by the kernel of the loss itself."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from glo_codegen.triton import emit_triton
from glo_codegen.triton_count import LANES
from glo_codegen.triton_switch import emit_switch
from glo_codegen.triton_tiles import Tile, tiles
from glo_dsl.passes.pipeline import whole_program
from glo_dsl.runtime.load_module import load_module
from tests.codegen.launching import IGNORED, loss_of

ONE = "loss one(z: real[C], t: class[C]) = -log_softmax(z)[t]"
TWO = "loss two(z: real[C], t: class[C], u: class[C]; k = 1) = -k * log_softmax(z)[t] - log_softmax(z)[u]"
LINE = "loss line(z: real, t: class[C], w: shared real[C]) = z * w[t]"


def ignoring(targets: Tensor, *places: int) -> Tensor:
    targets = targets.clone()
    targets.view(-1)[list(places)] = IGNORED
    return targets


@pytest.mark.parametrize("rows", [1, 5, 70, LANES, LANES + 3])
@pytest.mark.parametrize("text", [ONE, TWO])
def test_the_scale_is_found_and_stored(text: str, rows: int) -> None:
    module = load_module(emit_triton(whole_program(loss_of(text))))
    z, params = torch.randn(rows, 3), torch.tensor([2.0])
    targets = [ignoring(torch.randint(3, (rows,)), *places) for places in ((0,) if rows > 1 else (), range(1, rows, 2))]
    inputs = (z, *targets[: 1 if text == ONE else 2])
    count = sum(all(int(t[n]) != IGNORED for t in inputs[1:]) for n in range(rows))
    scale = torch.full((1,), torch.nan)
    value, grads = module.launch(inputs, params, ("z",), scale, IGNORED, counts=True)
    assert float(scale) == pytest.approx(1 / count, rel=1e-7)
    want, wanted = module.launch(inputs, params, ("z",), scale.clone(), IGNORED)
    assert torch.equal(value, want) and torch.equal(grads["z"], wanted["z"])


def test_each_plane_counts_for_itself() -> None:
    module = load_module(emit_triton(whole_program(loss_of(ONE))))
    z, t = torch.randn(3, 70, 4), torch.randint(4, (3, 70))
    t = ignoring(t, *range(10), *range(70, 75))
    scale = torch.zeros(3)
    _, grads = module.launch((z, t), torch.zeros(0), ("z",), scale, IGNORED, counts=True)
    torch.testing.assert_close(scale, torch.tensor([1 / 60, 1 / 65, 1 / 70]))
    for n in range(3):
        _, alone = module.launch((z[n], t[n]), torch.zeros(0), ("z",), scale[n : n + 1], IGNORED)
        assert torch.equal(grads["z"][n], alone["z"])


def test_different_losses_count_too() -> None:
    programs = [whole_program(loss_of(text)) for text in (ONE, ONE.replace("one", "two").replace("= -", "= -2 * "))]
    module = load_module(emit_switch(programs))
    z, t, scale = torch.randn(2, 9, 4), ignoring(torch.randint(4, (9,)), 1, 2), torch.zeros(2)
    which = torch.tensor([1, 0], dtype=torch.int32)
    _, grads = module.launch(which, (z, t), torch.zeros(2, 0), ("0",), scale, IGNORED, counts=True)
    torch.testing.assert_close(scale, torch.full((2,), 1 / 7))
    torch.testing.assert_close(grads["0"].sum((1, 2)), torch.zeros(2), atol=1e-6, rtol=0)
    assert grads["0"].abs().max() > 1e-3


def test_where_no_row_is_ignored_nothing_is_counted() -> None:
    module = load_module(emit_triton(whole_program(loss_of("loss mse(p: real, y: real) = (p - y) ^ 2"))))
    inputs = (torch.zeros(3), torch.ones(3))
    with pytest.raises(TypeError, match="counts"):
        module.launch(inputs, torch.zeros(0), ("p",), torch.ones(1), counts=True)


def test_another_way_to_start() -> None:
    module = load_module(emit_triton(whole_program(loss_of(ONE))))
    seen: list[tuple[object, ...]] = []
    inputs = torch.zeros(2, 3), torch.zeros(2).long()
    module.launch(inputs, torch.zeros(0), (), torch.ones(1), start=lambda *given: seen.append(given))
    ((kernel, programs, values, sizes),) = seen
    assert kernel is module.one_kernel and programs == 1 and sizes["COUNTS"] is False
    assert isinstance(values, tuple) and values[0] is inputs[0]


def test_a_cluster_does_not_count() -> None:
    program = whole_program(loss_of(ONE))
    cluster = (Tile(1024, 4, 2), Tile(1024, 4, streams=True))
    module = load_module(emit_triton(program, {"any": tiles(program), "cuda:90": cluster}))
    module._arch = lambda device: "cuda:90"
    seen: list[dict[str, int]] = []
    inputs = torch.zeros(2, 3), torch.zeros(2).long()
    for counts in (False, True):
        module.launch(
            inputs, torch.zeros(0), (), torch.ones(1), counts=counts, start=lambda *given: seen.append(given[3])
        )
    assert ["num_ctas" in sizes for sizes in seen] == [True, False]
