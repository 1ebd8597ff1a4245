"""Whole `.glo` files, drawn: every construct of the grammar, with brackets, blanks and comments where they may be."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st
from lark import Token, Tree

from glo_dsl.errors import Source
from glo_dsl.ir.table import OPS
from glo_dsl.lang.concrete import concrete
from glo_dsl.lang.syntax import Node
from glo_dsl.verify.strategies import losses

Draw = Any
Tokens = list[str]

NAMES = ("x", "t", "inf", "eps", "softmax", "a_rather_long_name_for_a_value", "Z1", "_")
NUMBERS = ("0", "2", "1.50", ".5", "3.", "1e-3", "2E+7")
BINARY = {op.notation[0]: op.notation[1] for op in OPS.values() if op.notation and op.arity == 2}
POSTFIX, UNARY, NEGATION = 9, 7, 3
BRACKETS = ("(", ")", "[", "]", ",", ";")
SEPARATORS = (
    (" ",) * 12 + ("",) * 6 + ("\n",) * 2 + ("\t \f", "\n\n\n", " # {}\n", "\n# {}\n", "\n\n  #{}  \n\n", " # {} \r\n")
)


def tokens_of(text: str) -> Tokens:
    """The tokens of a file, without comments."""
    found: Tokens = []
    stack: list[Node | Token] = [concrete(Source(text))]
    while stack:
        node = stack.pop()
        if isinstance(node, Tree):
            stack.extend(reversed(node.children))
        else:
            found.append(str(node))
    return found


@st.composite
def bracketed_losses(draw: Draw) -> Tokens:
    """The tokens of a drawn loss that type-checks, with brackets around some numbers and names of its body."""
    tokens = tokens_of(draw(losses()).text)
    body = tokens.index("=", _closing(tokens)) + 1
    found = tokens[:body]
    for place in range(body, len(tokens)):
        after = tokens[place + 1] if place + 1 < len(tokens) else ""
        value = (tokens[place].isidentifier() and tokens[place] not in RESERVED) or tokens[place][0].isdigit()
        if value and after not in ("(", "=") and tokens[place - 1] != "?":
            depth = draw(st.sampled_from((0, 0, 0, 1, 2)))
            found += ["("] * depth + [tokens[place]] + [")"] * depth
        else:
            found.append(tokens[place])
    return found


RESERVED = ("let", "in", "if", "then", "else", "and", "or", "not", "true", "false")


def _closing(tokens: Tokens) -> int:
    depth = 0
    for place, token in enumerate(tokens):
        depth += (token == "(") - (token == ")")
        if depth == 0 and token == ")":
            return place
    raise AssertionError(tokens)


@st.composite
def expressions(draw: Draw, depth: int = 3, power: int = 0) -> Tokens:
    """The tokens of an expression that need not mean anything, bracketed where it binds looser than `power`."""
    inner = expressions(depth - 1) if depth else leaves()

    def at(wanted: int) -> Tokens:
        found: Tokens = draw(expressions(depth - 1, wanted) if depth else leaves())
        return found

    form = draw(
        st.sampled_from(("leaf", "binary", "binary", "neg", "not", "gather", "call", "row", "group", "let", "if"))
    )
    own, tokens = 10, Tokens()
    match form:
        case "leaf":
            tokens = draw(leaves())
        case "binary":
            sign = draw(st.sampled_from(sorted(BINARY)))
            own = BINARY[sign]
            left, right = (POSTFIX, UNARY) if sign == "^" else (own + (own == 4), own + 1)
            tokens = [*at(left), sign, *at(right)]
            for _ in range(draw(st.sampled_from((0, 0, 0, 2, 6))) if own in (1, 2, 5, 6) else 0):
                tokens += [sign, *at(right)]
        case "neg":
            own, tokens = UNARY, ["-", *at(UNARY)]
        case "not":
            own, tokens = NEGATION, ["not", *at(NEGATION)]
        case "gather":
            own, tokens = POSTFIX, [*at(POSTFIX), "[", *draw(inner), "]"]
        case "call":
            tokens = draw(_calls(inner))
        case "row":
            tokens = ["[", *draw(_listed(inner, 1, 9)), "]"]
        case "group":
            tokens = ["(", *draw(inner), ")"]
        case "let":
            bound = _listed(inner.map(lambda value: ["b", "=", *value]), 1, 3, trailing=False)
            own, tokens = 0, ["let", *draw(bound), "in", *draw(inner)]
        case "if":
            own, tokens = 0, ["if", *draw(inner), "then", *draw(inner), "else", *draw(inner)]
    return tokens if own >= power else ["(", *tokens, ")"]


def leaves() -> st.SearchStrategy[Tokens]:
    return st.sampled_from((*NAMES, *NUMBERS, "true", "false")).map(lambda token: [token])


@st.composite
def _listed(draw: Draw, part: st.SearchStrategy[Tokens], least: int, most: int, trailing: bool = True) -> Tokens:
    parts = draw(st.lists(part, min_size=least, max_size=most))
    tokens = [token for one in parts for token in (*one, ",")][:-1]
    return [*tokens, ","] if tokens and trailing and draw(st.booleans()) else tokens


@st.composite
def _calls(draw: Draw, inner: st.SearchStrategy[Tokens]) -> Tokens:
    name = draw(st.sampled_from(NAMES))
    if draw(st.integers(0, 3)) == 0:
        return ["?", name, "(", *draw(_listed(inner, 1, 3)), ")"]
    settings = _listed(inner.map(lambda value: ["k", "=", *value]), 1, 3)
    return [name, "(", *draw(_listed(inner, 0, 4)), *([";", *draw(settings)] if draw(st.booleans()) else []), ")"]


@st.composite
def _domains(draw: Draw) -> Tokens:
    if draw(st.booleans()):
        return []
    bound = expressions(1)
    opened, closed = draw(st.sampled_from("[(")), draw(st.sampled_from("])"))
    return ["in", opened, *draw(bound), ",", *draw(bound), closed]


@st.composite
def _inputs(draw: Draw) -> Tokens:
    kind = draw(st.sampled_from(("real", "real [ C ]", "shared real [ C ]", "class [ C ]"))).split()
    return [draw(st.sampled_from(NAMES)), ":", *kind, *draw(_domains())]


@st.composite
def _params(draw: Draw) -> Tokens:
    return [draw(st.sampled_from(NAMES)), "=", *draw(expressions(1)), *draw(_domains())]


@st.composite
def definitions(draw: Draw) -> Tokens:
    """The tokens of one definition."""
    name, body = draw(st.sampled_from(NAMES)), expressions()
    match draw(st.sampled_from(("import", "def", "loss", "loss", "law", "example", "real loss"))):
        case "import":
            return ["import", draw(st.sampled_from(('"a # b.glo"', "torch")))]
        case "def":
            names = draw(_listed(st.sampled_from(NAMES).map(lambda n: [n]), 0, 5))
            return ["def", name, "(", *names, ")", "=", *draw(body)]
        case "loss":
            params = [";", *draw(_listed(_params(), 1, 6))] if draw(st.booleans()) else []
            per = ["per", *draw(expressions(1))] if draw(st.booleans()) else []
            return ["loss", name, "(", *draw(_listed(_inputs(), 0, 6)), *params, ")", "=", *draw(body), *per]
        case "law":
            binders = ["for", *draw(_listed(_inputs(), 1, 3, trailing=False))] if draw(st.booleans()) else []
            return ["law", name, ".", draw(st.sampled_from(NAMES)), ":", *draw(body), *binders]
        case "example":
            return ["example", *draw(body), *(["+-", *draw(expressions(0))] if draw(st.booleans()) else [])]
    tokens: Tokens = draw(bracketed_losses())
    return tokens


@st.composite
def scattered(draw: Draw, tokens: Tokens) -> str:
    """A text of these tokens with blanks and comments between them; each comment is another one."""
    gaps = draw(st.lists(st.sampled_from(SEPARATORS), min_size=len(tokens) + 1, max_size=len(tokens) + 1))
    text = ""
    for place, (gap, token) in enumerate(zip(gaps, [*tokens, ""])):
        before = tokens[place - 1] if place else "("
        apart = before in BRACKETS or token in BRACKETS or (before in NUMBERS and token.isalpha())
        if gap == "" and (before == "+-" or not apart):
            gap = " "
        text += gap.format(f"c{place}") + token
    return text


def files(most: int = 4) -> st.SearchStrategy[str]:
    """Texts that parse."""
    return st.lists(definitions(), max_size=most).flatmap(lambda parts: scattered([t for part in parts for t in part]))
