"""JSON that comes back as it was."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from glo_dsl.errors import GloError
from glo_dsl.evolve.store.plain_json import decode, encode

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4),
    max_leaves=12,
)


@given(VALUES)
def test_values_come_back(value: Any) -> None:
    text = encode(value)
    assert decode(text) == value and text.isascii()
    assert json.dumps(decode(text)) == json.dumps(json.loads(text))


@given(st.dictionaries(st.text(max_size=4), VALUES, max_size=6), st.randoms())
def test_the_order_of_keys_is_not_written(value: dict[str, Any], random: Any) -> None:
    keys = list(value)
    random.shuffle(keys)
    assert encode({key: value[key] for key in keys}) == encode(value)


@given(VALUES, st.sampled_from([math.nan, math.inf, -math.inf]))
def test_what_is_not_finite_is_refused_with_its_place(value: Any, number: float) -> None:
    with pytest.raises(ValueError, match=rf"^{number} at value\.deep\[2\]\[0\] is not JSON"):
        encode({"a": 0.5, "deep": [value, None, (number,)]})


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ({"a": {2: 3}}, "the key 2 at value.a"), ({None: 3}, "the key None at value"), ([{1, 2}], r"set at value\[0\]"),
        ({"b": b"x"}, "bytes at value.b"), (np.float32(1), "float32 at value"), (np.zeros(2), "ndarray at value"),
    ],
)  # fmt: skip
def test_what_would_change_on_the_way_is_refused(value: object, said: str) -> None:
    with pytest.raises(TypeError, match=said):
        encode(value)


@pytest.mark.parametrize("text", ["", "{", "nul", "[1,]"])
def test_other_texts_are_said(text: str) -> None:
    with pytest.raises(GloError, match="is not JSON"):
        decode(text)
