"""Reads MNIST and CIFAR-10 from the files that torchvision downloads. Reading needs no torchvision.

The files are taken for data only: the pickles of CIFAR-10 may hold lists, texts and arrays, and nothing else.
"""

from __future__ import annotations

import gzip
import importlib.util
import io
import os
import pickle
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from glo_dsl.errors import GloError

Images = tuple[Tensor, Tensor]
"""Pixels [samples, channels, height, width] uint8, and labels [samples] int64."""

_MNIST = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")
_CIFAR10 = (*(f"data_batch_{n}" for n in range(1, 6)), "test_batch")
_NUMPY = {
    (module, name): found
    for module in ("numpy.core.multiarray", "numpy._core.multiarray", "numpy")
    for name, found in (
        ("_reconstruct", np.ndarray.__new__), ("ndarray", np.ndarray), ("dtype", np.dtype),
    )
}  # fmt: skip


def data_folder(data: str | os.PathLike[str] | None) -> Path:
    """Where data sets lie: `data`, else `$GLO_DATA_DIR`, else `data` in the current folder."""
    return Path(data or os.environ.get("GLO_DATA_DIR") or "data").expanduser()


def mnist(data: str | os.PathLike[str] | None) -> tuple[Images, Images]:
    """The training and the test images of MNIST, 1 x 28 x 28.

    Raises:
        GloError: the files are not there, or damaged.
    """
    root = data_folder(data)
    paths = _found("MNIST", root, (root / "MNIST" / "raw", root), _MNIST)
    arrays = [_idx(path) for path in paths]
    return _mnist_part(arrays[:2], paths[:2]), _mnist_part(arrays[2:], paths[2:])


def cifar10(data: str | os.PathLike[str] | None) -> tuple[Images, Images]:
    """The training and the test images of CIFAR-10, 3 x 32 x 32.

    Raises:
        GloError: the files are not there, or damaged.
    """
    root = data_folder(data)
    paths = _found("CIFAR10", root, (root / "cifar-10-batches-py", root), _CIFAR10)
    batches = [_cifar_batch(path) for path in paths]
    train, labels = zip(*batches[:-1])
    return (torch.cat(train), torch.cat(labels)), batches[-1]


def _found(dataset: str, root: Path, folders: Sequence[Path], names: Sequence[str]) -> list[Path]:
    """The files of the first folder that has them all, plain or compressed."""
    for folder in folders:
        found = [next((p for p in (folder / n, folder / f"{n}.gz") if p.is_file()), None) for n in names]
        whole = [path for path in found if path is not None]
        if len(whole) == len(names):
            return whole
    looked = " and in ".join(str(folder.absolute()) for folder in folders)
    raise GloError(f"no {dataset} data: looked for {', '.join(names)} in {looked}", hint=_download(dataset, root))


def _download(dataset: str, root: Path) -> str:
    call = f"from torchvision.datasets import {dataset}; {dataset}({str(root)!r}, download=True)"
    install = "" if importlib.util.find_spec("torchvision") else "pip install 'glo-dsl[vision]'\n"
    return f'{install}python -c "{call}"\nor put the files there, or say where they are: data=, $GLO_DATA_DIR'


def _damaged(path: Path, why: str) -> GloError:
    return GloError(f"{path} is damaged: {why}", hint="remove it and download it again")


def _bytes(path: Path) -> bytes:
    try:
        raw = path.read_bytes()
        return gzip.decompress(raw) if path.suffix == ".gz" else raw
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise _damaged(path, str(error)) from None
    except OSError as error:
        raise GloError(f"cannot read {path}: {error.strerror}") from None


def _idx(path: Path) -> NDArray[np.uint8]:
    """An array of unsigned bytes: two zeros, 8, the number of axes, their lengths as big-endian integers, the bytes."""
    raw = _bytes(path)
    axes = raw[3] if len(raw) > 3 else 0
    head = 4 + 4 * axes
    if raw[:3] != b"\0\0\x08" or axes == 0 or len(raw) < head:
        raise _damaged(path, "it does not begin as an idx file of bytes")
    shape = np.frombuffer(raw, ">u4", axes, offset=4).astype(int).tolist()
    if len(raw) - head != int(np.prod(shape)):
        raise _damaged(path, f"{len(raw) - head} bytes where {' x '.join(map(str, shape))} are announced")
    return np.frombuffer(raw, np.uint8, offset=head).reshape(shape).copy()


def _mnist_part(arrays: Sequence[NDArray[np.uint8]], paths: Sequence[Path]) -> Images:
    images, labels = arrays
    if images.shape[1:] != (28, 28) or labels.shape != images.shape[:1]:
        raise _damaged(paths[0], f"images {images.shape} for labels {labels.shape}")
    return torch.from_numpy(images)[:, None], _labels(labels, paths[1])


class _Arrays(pickle.Unpickler):
    """Makes arrays, and calls nothing else that a pickle names."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _NUMPY:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}, which no data set needs")
        return _NUMPY[module, name]


def _cifar_batch(path: Path) -> Images:
    try:
        content = _Arrays(io.BytesIO(_bytes(path)), encoding="latin1").load()
        pixels, labels = np.asarray(content["data"]), np.asarray(content["labels"])
    except Exception as error:  # what a damaged pickle raises is anything
        raise _damaged(path, f"{type(error).__name__}: {error}") from None
    if pixels.dtype != np.uint8 or pixels.shape != (len(labels), 3072):
        raise _damaged(path, f"pixels {pixels.shape} {pixels.dtype} for {len(labels)} labels")
    return torch.from_numpy(pixels.reshape(-1, 3, 32, 32).copy()), _labels(labels, path)


def _labels(labels: NDArray[Any], path: Path) -> Tensor:
    if not np.issubdtype(labels.dtype, np.integer) or labels.size == 0 or labels.min() < 0 or labels.max() > 9:
        raise _damaged(path, "labels are not all from 0 to 9")
    return torch.from_numpy(labels.astype(np.int64))
