from __future__ import annotations

import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Generator, Tensor

from glo_dsl.evolve.tasks.augment import Jitter, Shift, central, crop_and_flip, standardised


def generator(seed: int = 0) -> Generator:
    return Generator().manual_seed(seed)


def images(count: int, side: int = 8, seed: int = 0) -> Tensor:
    return torch.rand(count, 3, side, side, generator=generator(seed))


@given(st.integers(1, 8), st.integers(8, 11), st.integers(0, 1000))
def test_a_crop_is_a_window_or_its_mirror(size: int, side: int, seed: int) -> None:
    whole = images(3, side)
    found = crop_and_flip(whole, size, generator(seed))
    for image, crop in zip(whole, found):
        windows = image.unfold(1, size, 1).unfold(2, size, 1).flatten(1, 2).transpose(0, 1)  # [places, 3, size, size]
        assert any(torch.equal(crop, w) or torch.equal(crop, w.flip(-1)) for w in windows)


def test_every_place_and_both_sides_come_equally_often() -> None:
    side, size, count = 4, 2, 18_000
    whole = torch.arange(16.0).view(1, 1, side, side).expand(count, 1, side, side)
    corners = crop_and_flip(whole, size, generator())[:, 0, 0]  # the upper two pixels say which place and side it is
    kinds, counts = corners.unique(dim=0, return_counts=True)
    assert len(kinds) == 3 * 3 * 2
    assert (counts - 1000).abs().max() < 200


def test_the_middle() -> None:
    assert torch.equal(central(torch.arange(36.0).view(6, 6), 2), torch.tensor([[14.0, 15.0], [20.0, 21.0]]))


def test_standardised_images_have_mean_0_and_deviation_1() -> None:
    found = standardised(images(5) * 0.3 + 0.2)
    torch.testing.assert_close(found.mean((1, 2, 3)), torch.zeros(5), atol=1e-5, rtol=0)
    torch.testing.assert_close(found.flatten(1).std(1, unbiased=False), torch.ones(5))
    assert torch.equal(standardised(torch.ones(1, 3, 4, 4)), torch.zeros(1, 3, 4, 4))


def test_jitter_without_chance_is_a_standardised_crop() -> None:
    whole = images(2)
    found = Jitter(size=8, brightness=0.0, contrast=(1.0, 1.0))(whole, generator(3))
    for image, same in zip(standardised(whole), found):
        near = [torch.allclose(same, side, atol=1e-5) for side in (image, image.flip(-1))]
        assert any(near)


def test_brightness_is_undone_by_standardising_and_contrast_is_by_channel() -> None:
    whole = images(4)
    still = Jitter(8, brightness=0.0, contrast=(1.0, 1.0))(whole, generator(1))
    torch.testing.assert_close(Jitter(8, brightness=0.5, contrast=(1.0, 1.0))(whole, generator(1)), still)
    flat = Jitter(8, brightness=0.0, contrast=(0.5, 0.5))(whole, generator(1))
    ratio = flat.std((2, 3)) / still.std((2, 3))  # all channels of an image shrink, or grow, alike
    torch.testing.assert_close(ratio, ratio[:, :1].expand(-1, 3))
    apart = (flat.mean((2, 3)).amax(1) - flat.mean((2, 3)).amin(1)) / ratio[:, 0]
    assert (apart > 1.5 * (still.mean((2, 3)).amax(1) - still.mean((2, 3)).amin(1))).all()  # means stay


def test_contrast_and_brightness_are_drawn_for_each_image() -> None:
    colours = torch.tensor([0.0, 0.3, 0.6])[:, None, None]
    whole = (images(1, side=24) * 0.2 + colours).expand(6, 3, 24, 24)
    found = Jitter(24)(whole, generator())
    assert len({round(v, 4) for v in found.std((2, 3))[:, 0].tolist()}) == 6


def test_a_shift_moves_by_at_most_its_padding_over_black() -> None:
    white = torch.ones(400, 1, 8, 8)
    shift = Shift((0.0,), (1.0,), padding=2)
    found = shift(white, generator())
    assert found.shape == white.shape
    rows = found.amax(-1).sum((1, 2)).int().tolist()  # rows with something white
    assert set(rows) == {6, 7, 8} and set(found.unique().tolist()) == {0.0, 1.0}


def test_a_shift_goes_every_way_equally_far() -> None:
    dot = torch.zeros(400, 1, 9, 9)
    dot[:, 0, 4, 4] = 1.0
    found = Shift((0.0,), (1.0,), padding=2)(dot, generator())
    _, _, rows, columns = found.nonzero(as_tuple=True)
    assert set(rows.tolist()) == set(columns.tolist()) == {2, 3, 4, 5, 6}


def test_normalising_takes_each_channel_to_mean_0_and_deviation_1() -> None:
    whole = images(50) * torch.tensor([0.5, 1.0, 2.0])[:, None, None]
    mean, deviation = whole.mean((0, 2, 3)), whole.std((0, 2, 3), unbiased=False)
    found = Shift(tuple(mean.tolist()), tuple(deviation.tolist())).normalised(whole)
    torch.testing.assert_close(found.mean((0, 2, 3)), torch.zeros(3), atol=1e-5, rtol=0)
    torch.testing.assert_close(found.std((0, 2, 3), unbiased=False), torch.ones(3))


@given(st.integers(0, 100))
def test_all_chance_comes_from_the_generator(seed: int) -> None:
    whole = images(3, side=10)
    for augment in (Jitter(8), Shift((0.5,) * 3, (0.2,) * 3)):
        torch.manual_seed(seed)
        first = augment(whole, generator(seed))
        state = torch.get_rng_state()
        again = augment(whole, generator(seed))
        assert torch.equal(first, again) and torch.equal(state, torch.get_rng_state())
