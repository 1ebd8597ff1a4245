"""Which brackets and commas the canonical form does without."""

from __future__ import annotations

import pytest

from glo_dsl.lang.format import format_text

LOSS = "loss f(x: real) = "


@pytest.mark.parametrize(
    ("text", "formatted"),
    [
        ("((x))", "x"), ("(a+b)", "a + b"), ("((a+b))*c", "(a + b) * c"), ("(a*b)+c", "(a * b) + c"),
        ("a/(b*c)", "a / (b * c)"), ("(a)+(2)", "a + 2"), ("(f(a))^(?h(a))", "f(a) ^ ?h(a)"), ("(true)", "true"),
        ("-(2)", "-(2)"), ("-((2))", "-(2)"), ("- 2", "-2"), ("-(inf)", "-(inf)"), ("-(x)", "-x"), ("-(-2)", "-(-2)"),
        ("-(2)^x", "-2 ^ x"), ("(-2)^x", "(-2) ^ x"), ("2*(-1)", "2 * (-1)"), ("a--b", "a - -b"), ("a+-1", "a + -1"),
        ("(z)[(t)]", "z[t]"), ("(a+b)[(t+1)]", "(a + b)[t + 1]"), ("(z[t])[u]", "z[t][u]"),
        ("f((a),(b+c),)", "f(a, b + c)"), ("f(;k=(1),)", "f(; k = 1)"), ("f(a,;k=1,)", "f(a; k = 1)"), ("f()", "f()"),
        ("?h((x),)", "?h(x)"), ("[(1),(-2),]", "[1, -2]"), ("f((if a then b else c))", "f(if a then b else c)"),
        ("(if a then b else c)", "if a then b else c"), ("if (a) then (b) else (c)", "if a then b else c"),
        ("if (a<b) then (a+b) else (a-b)", "if a < b then a + b else a - b"),
        ("if (if a then b else c) then (if a then b else c) else (if a then b else c)",
         "if (if a then b else c) then (if a then b else c) else if a then b else c"),
        ("1+(if a then b else c)", "1 + (if a then b else c)"), ("1+((let b=x in b))", "1 + (let b = x in b)"),
        ("f((let b=(let c=x in c) in (b+1)))", "f(let b = (let c = x in c) in b + 1)"),
        ("1e-3+.5+1.+2E+7", "1e-3 + .5 + 1. + 2E+7"), ("not(a)and(not b)", "not a and (not b)"),
        ("(a<b)==(c<d)", "(a < b) == (c < d)"), ("a^-b^c", "a ^ -b ^ c"), ("(a^b)^c", "(a ^ b) ^ c"),
    ],
)  # fmt: skip
def test_brackets(text: str, formatted: str) -> None:
    assert format_text(LOSS + text) == f"{LOSS}{formatted}\n"


@pytest.mark.parametrize(
    ("text", "formatted"),
    [
        ("def f(a,b,)=a", "def f(a, b) = a"), ("def f()=1", "def f() = 1"),
        ("loss f(x:real,;k=(1) in((0),(1)],)=x per(x)", "loss f(x: real; k = 1 in (0, 1]) = x per x"),
        ("loss f(x:real)=(if x then 1 else 2)per x", "loss f(x: real) = (if x then 1 else 2) per x"),
        ("law a.b:(x)for k:real", "law a.b: x for k: real"), ("example(a)+- (b)", "example a +- b"),
        ("loss f(x:real;k=(if a then 1 else 2)in[0,1])=x", "loss f(x: real; k = (if a then 1 else 2) in [0, 1]) = x"),
    ],
)  # fmt: skip
def test_definitions(text: str, formatted: str) -> None:
    assert format_text(text) == f"{formatted}\n"
