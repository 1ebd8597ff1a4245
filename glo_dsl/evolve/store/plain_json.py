"""JSON that comes back as it was: nothing is turned into something else on the way, so what is replayed is what was."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

from glo_dsl.errors import GloError


def encode(value: object) -> str:
    """The JSON text of a value: None, bool, int, finite float, str, and lists, tuples and mappings of them.

    Raises:
        ValueError: a number is not finite. Whoever writes one means something by it, and has to say what.
        TypeError: something else is not JSON, such as a key that is not a str.

    >>> encode({"rate": 0.1, "at": (1, 2)})
    '{"at":[1,2],"rate":0.1}'
    >>> encode({"loss": [1.0, float("nan")]})
    Traceback (most recent call last):
    ValueError: nan at value.loss[1] is not JSON: leave it out, or write None and a reason
    """
    return json.dumps(_checked(value, "value"), allow_nan=False, sort_keys=True, separators=(",", ":"))


def decode(text: str) -> Any:
    """The value of a JSON text.

    Raises:
        GloError: a study holds something else; it was written by another hand.
    """
    try:
        return json.loads(text)
    except (ValueError, TypeError):
        raise GloError(f"the study holds {text!r:.60}, which is not JSON", hint="restore a copy of it") from None


def _checked(value: object, where: str) -> object:
    if value is None or isinstance(value, (bool, str, int)):
        return value
    if isinstance(value, float):
        if not math.isfinite(value):
            raise ValueError(f"{value} at {where} is not JSON: leave it out, or write None and a reason")
        return value
    if isinstance(value, (list, tuple)):
        return [_checked(item, f"{where}[{k}]") for k, item in enumerate(value)]
    if isinstance(value, Mapping):
        for key in value:
            if not isinstance(key, str):
                raise TypeError(f"the key {key!r} at {where} is not JSON: keys are str")
        return {key: _checked(item, f"{where}.{key}") for key, item in value.items()}
    raise TypeError(f"{type(value).__name__} at {where} is not JSON")
