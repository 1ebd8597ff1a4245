"""Tiny data sets, written as the real ones are: idx files for MNIST, pickles of Python 2 for CIFAR-10."""

from __future__ import annotations

import gzip
import struct
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

Bytes = NDArray[np.uint8]


def idx(array: Bytes) -> bytes:
    return b"\0\0\x08" + bytes([array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()


def write_mnist(root: Path, train: int = 120, test: int = 40, compressed: bool = False) -> dict[str, Bytes]:
    """Labels go 0 to 9 over and over; pixels are noise. Gives the arrays by the names of their files."""
    generator = np.random.default_rng(0)
    arrays: dict[str, Bytes] = {}
    for part, count in (("train", train), ("t10k", test)):
        arrays[f"{part}-images-idx3-ubyte"] = generator.integers(0, 256, (count, 28, 28), dtype=np.uint8)
        arrays[f"{part}-labels-idx1-ubyte"] = (np.arange(count) % 10).astype(np.uint8)
    folder = root / "MNIST" / "raw"
    folder.mkdir(parents=True)
    for name, array in arrays.items():
        raw = idx(array)
        (folder / f"{name}.gz" if compressed else folder / name).write_bytes(gzip.compress(raw) if compressed else raw)
    return arrays


def python2_pickle(pixels: Bytes, labels: list[int]) -> bytes:
    """Opcode by opcode what Python 2 wrote for {"batch_label": ..., "labels": [...], "data": array}: byte strings."""

    def text(value: bytes) -> bytes:
        return b"U" + bytes([len(value)]) + value if len(value) < 256 else b"T" + struct.pack("<i", len(value)) + value

    def integer(value: int) -> bytes:
        return b"J" + struct.pack("<i", value)

    kind = b"cnumpy\ndtype\n(" + text(b"u1") + integer(0) + integer(1) + b"tR"
    kind += b"(" + integer(3) + text(b"|") + b"NNN" + integer(-1) + integer(-1) + integer(0) + b"tb"
    array = b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(" + integer(0) + b"t" + text(b"b") + b"tR"
    shape = b"(" + integer(pixels.shape[0]) + integer(pixels.shape[1]) + b"t"
    array += b"(" + integer(1) + shape + kind + b"\x89" + text(pixels.tobytes()) + b"tb"
    numbers = b"](" + b"".join(integer(label) for label in labels) + b"e"
    items = text(b"batch_label") + text(b"training batch") + text(b"labels") + numbers + text(b"data") + array
    return b"\x80\x02}(" + items + b"u."


def write_cifar10(root: Path, each: int = 20) -> dict[str, Bytes]:
    """Six batches of `each` images. Gives the pixels by the names of their files."""
    generator = np.random.default_rng(1)
    folder = root / "cifar-10-batches-py"
    folder.mkdir(parents=True)
    arrays = {}
    for name in (*(f"data_batch_{n}" for n in range(1, 6)), "test_batch"):
        arrays[name] = generator.integers(0, 256, (each, 3072), dtype=np.uint8)
        (folder / name).write_bytes(python2_pickle(arrays[name], [n % 10 for n in range(each)]))
    return arrays
