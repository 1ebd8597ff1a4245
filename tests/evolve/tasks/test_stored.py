from __future__ import annotations

import os
import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

import glo_dsl as glo
from glo_dsl.evolve.tasks import stored
from tests.evolve.tasks.stored_images import idx, python2_pickle, write_cifar10, write_mnist


@pytest.mark.parametrize("compressed", [False, True])
def test_mnist_is_read_as_it_was_written(tmp_path: Path, compressed: bool) -> None:
    arrays = write_mnist(tmp_path, compressed=compressed)
    parts = stored.mnist(tmp_path)
    for (images, labels), name in zip(parts, ("train", "t10k")):
        assert images.shape[1:] == (1, 28, 28) and images.dtype == torch.uint8 and labels.dtype == torch.int64
        assert np.array_equal(images[:, 0].numpy(), arrays[f"{name}-images-idx3-ubyte"])
        assert np.array_equal(labels.numpy(), arrays[f"{name}-labels-idx1-ubyte"])


def test_cifar10_is_read_as_it_was_written(tmp_path: Path) -> None:
    arrays = write_cifar10(tmp_path)
    (images, labels), (test, test_labels) = stored.cifar10(tmp_path)
    assert images.shape == (100, 3, 32, 32) and test.shape == (20, 3, 32, 32)
    batch = arrays["data_batch_3"]
    # 1024 red numbers, then green, then blue, each row by row
    assert images[45, 2, 7, 9] == batch[5, 2 * 1024 + 7 * 32 + 9]
    assert np.array_equal(images[40:60].flatten(1).numpy(), batch)
    assert labels.tolist() == [n % 10 for n in range(20)] * 5 and test_labels.tolist() == [n % 10 for n in range(20)]


def test_python_3_writes_arrays_that_are_read_too(tmp_path: Path) -> None:
    write_cifar10(tmp_path)
    pixels = np.full((20, 3072), 7, dtype=np.uint8)
    path = tmp_path / "cifar-10-batches-py" / "test_batch"
    path.write_bytes(pickle.dumps({"data": pixels, "labels": [1] * 20}, protocol=4))
    assert (stored.cifar10(tmp_path)[1][0] == 7).all()


def test_the_folder_may_be_that_of_the_files_themselves(tmp_path: Path) -> None:
    write_mnist(tmp_path)
    write_cifar10(tmp_path)
    assert len(stored.mnist(tmp_path / "MNIST" / "raw")[0][1]) == 120
    assert len(stored.cifar10(tmp_path / "cifar-10-batches-py")[0][1]) == 100


def test_where_data_lie(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GLO_DATA_DIR", raising=False)
    assert stored.data_folder(None) == Path("data")
    monkeypatch.setenv("GLO_DATA_DIR", str(tmp_path))
    assert stored.data_folder(None) == tmp_path
    assert stored.data_folder("~/sets") == Path.home() / "sets"


@pytest.mark.parametrize(
    ("read", "dataset", "file", "folder"),
    [
        (stored.mnist, "MNIST", "t10k-labels-idx1-ubyte", "MNIST/raw"),
        (stored.cifar10, "CIFAR10", "data_batch_4", "cifar-10-batches-py"),
    ],
)
@pytest.mark.parametrize("torchvision", [False, True])
def test_missing_data_are_answered_with_the_place_and_the_command(
    read: Callable[[os.PathLike[str]], object], dataset: str, file: str, folder: str, torchvision: bool,
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    write_mnist(tmp_path)
    write_cifar10(tmp_path)
    (tmp_path / folder / file).unlink()  # one of them is enough
    monkeypatch.setattr("importlib.util.find_spec", lambda name: object() if torchvision else None)
    with pytest.raises(glo.GloError) as error:
        read(tmp_path)
    assert dataset in error.value.message and file in error.value.message
    assert str(tmp_path / folder) in error.value.message
    hint = error.value.hint or ""
    assert ("pip install 'glo-dsl[vision]'" in hint) == (not torchvision)
    assert f"from torchvision.datasets import {dataset}; {dataset}({str(tmp_path)!r}, download=True)" in hint
    assert "$GLO_DATA_DIR" in hint


def damaged(root: Path, name: str, content: bytes) -> str:
    """What is said of a file with this content."""
    write_mnist(root)
    write_cifar10(root)
    (path,) = root.rglob(name)
    path.write_bytes(content)
    with pytest.raises(glo.GloError) as error:
        (stored.mnist if "ubyte" in name else stored.cifar10)(root)
    assert error.value.message.startswith(f"{path} is damaged: ") and "download it again" in (error.value.hint or "")
    return error.value.message


IMAGES = np.zeros((120, 28, 28), dtype=np.uint8)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "does not begin as an idx file"),
        (b"\0\0\x08", "does not begin as an idx file"),
        (b"\0\0\x08\x03\0\0", "does not begin as an idx file"),
        (b"<html>not found</html>" * 99, "does not begin as an idx file"),
        (idx(IMAGES)[:-1], "94079 bytes where 120 x 28 x 28 are announced"),
        (idx(IMAGES) + b"\0", "94081 bytes"),
        (idx(IMAGES[:, :, :27]), r"images (120, 28, 27) for labels (120,)"),
        (idx(IMAGES[:119]), r"images (119, 28, 28) for labels (120,)"),
    ],
)
def test_damaged_idx_files(content: bytes, said: str, tmp_path: Path) -> None:
    assert said in damaged(tmp_path, "train-images-idx3-ubyte", content)


def test_labels_beyond_nine(tmp_path: Path) -> None:
    message = damaged(tmp_path, "t10k-labels-idx1-ubyte", idx(np.full(40, 10, dtype=np.uint8)))
    assert "labels are not all from 0 to 9" in message


def test_a_damaged_archive(tmp_path: Path) -> None:
    write_mnist(tmp_path, compressed=True)
    path = tmp_path / "MNIST" / "raw" / "train-images-idx3-ubyte.gz"
    for content in (b"no archive", path.read_bytes()[:-20], path.read_bytes()[:200] + b"x" * 500):
        path.write_bytes(content)
        with pytest.raises(glo.GloError, match="is damaged"):
            stored.mnist(tmp_path)


class Evil:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, ("evil",)


PIXELS = np.zeros((20, 3072), dtype=np.uint8)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "EOFError"),
        (b"<html>", "UnpicklingError"),
        (python2_pickle(PIXELS, [0] * 20)[:1000], "truncated"),
        (pickle.dumps({"labels": [1]}), "KeyError: 'data'"),
        (pickle.dumps([1, 2]), "TypeError"),
        (python2_pickle(PIXELS, [0] * 19), "pixels (20, 3072) uint8 for 19 labels"),
        (python2_pickle(PIXELS[:, :3000], [0] * 20), "pixels (20, 3000)"),
        (pickle.dumps({"data": PIXELS.astype(float), "labels": [0] * 20}), "float64"),
        (python2_pickle(PIXELS, [-1] * 20), "labels are not all from 0 to 9"),
        (pickle.dumps({"data": PIXELS, "labels": [0.5] * 20}), "labels are not all from 0 to 9"),
    ],
)
def test_damaged_batches(content: bytes, said: str, tmp_path: Path) -> None:
    assert said in damaged(tmp_path, "data_batch_2", content)


def test_nothing_in_a_pickle_is_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    message = damaged(tmp_path, "data_batch_1", pickle.dumps(Evil()))
    assert "asks for posix.mkdir" in message or "asks for nt.mkdir" in message
    assert not (tmp_path / "evil").exists()
