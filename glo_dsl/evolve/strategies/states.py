"""Parts of the states of strategies, as JSON has them and bit for bit."""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Collection
from typing import Any

import numpy as np
from numpy.typing import NDArray


def written_digests(digests: Collection[bytes]) -> dict[str, Any]:
    """Digests of one length, in an order that says nothing."""
    return {"count": len(digests), "bytes": b64encode(b"".join(sorted(digests))).decode()}


def read_digests(written: dict[str, Any]) -> set[bytes]:
    """The digests that were written so.

    Raises:
        LookupError, TypeError, ValueError: it is nothing of the kind.

    >>> read_digests(written_digests({b"two", b"one"})) == {b"one", b"two"}
    True
    """
    found, count = b64decode(written["bytes"], validate=True), int(written["count"])
    length = len(found) // count if count else 1
    if len(found) != count * length:
        raise ValueError(f"{len(found)} bytes are not {count} digests")
    return {found[n : n + length] for n in range(0, len(found), length)}


def written_vectors(vectors: Collection[NDArray[np.float64] | tuple[float, ...]]) -> str:
    """Vectors of one length."""
    return b64encode(np.array([*vectors], dtype="<f8").tobytes()).decode()


def read_vectors(text: str, count: int) -> list[NDArray[np.float64]]:
    """So many vectors that were written so.

    Raises:
        ValueError: it is no such text.

    >>> read_vectors(written_vectors([np.array([0.5, 1.0]), np.array([2.0, -0.0])]), 2)
    [array([0.5, 1. ]), array([ 2., -0.])]
    """
    found = np.frombuffer(b64decode(text, validate=True), dtype="<f8").astype(np.float64)
    return list(found.reshape(count, -1)) if count else []


def written_generator(generator: np.random.Generator) -> dict[str, Any]:
    """Where a generator stands."""
    return dict(generator.bit_generator.state)


def set_generator(generator: np.random.Generator, state: dict[str, Any]) -> None:
    """Puts a generator where another one of its kind stood.

    Raises:
        LookupError, TypeError, ValueError: it cannot stand there.
    """
    generator.bit_generator.state = state
