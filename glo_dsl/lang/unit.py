"""What a file names: its functions, those that it imports, and the prelude behind them all."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from lark import Token, Tree

from glo_dsl.errors import Source
from glo_dsl.ir.expr import Var
from glo_dsl.lang.loss import Param
from glo_dsl.lang.syntax import Node


@dataclass(frozen=True, slots=True)
class Header:
    """The declared inputs and parameters of a loss."""

    inputs: tuple[Var, ...]
    params: tuple[Param, ...]


@dataclass(eq=False, slots=True)
class Function:
    """What can be called: a `def`, or a `loss`, whose inputs have types and whose parameters have defaults.

    Attributes:
        home: the file whose names the body uses.
        header: of a loss, once it is known.
    """

    name: str
    names: tuple[Token, ...]
    body: Node | Token
    node: Node
    home: Unit
    header: Header | None = None

    @property
    def is_loss(self) -> bool:
        return self.node.data == "loss"


@dataclass(eq=False, slots=True)
class Unit:
    """A file, as far as names go.

    Attributes:
        path: where it lies, or None for a text without a file.
        functions: its own, by name.
        lost: names whose definitions could not be read; what is said about them says enough.
        imports: for each import the way to find a function in it.
        prelude: what every file knows besides.
    """

    source: Source
    path: Path | None = None
    functions: dict[str, Function] = field(default_factory=dict)
    lost: frozenset[str] = frozenset()
    imports: list[Imported] = field(default_factory=list)
    prelude: Unit | None = None

    def imported(self, name: str) -> list[Function]:
        """What the imports call by this name; more than one is a conflict."""
        found = [function for entry in self.imports if (function := entry.find(name))]
        return list(dict.fromkeys(found))

    def is_lost(self, name: str) -> bool:
        """Whether a name is that of a definition that could not be read."""
        return name in self.lost or any(name in entry.lost for entry in self.imports)

    def words(self) -> Iterator[str]:
        """Every name of a function that a call in this file may use, operators apart."""
        yield from self.functions
        for entry in self.imports:
            yield from entry.names()
        if self.prelude is not None:
            yield from self.prelude.functions


@dataclass(frozen=True, slots=True)
class Imported:
    """One import: `find` gives the function of a name, `names` all there are, `lost` those that cannot be read."""

    label: str
    find: Callable[[str], Function | None]
    names: Callable[[], tuple[str, ...]]
    lost: frozenset[str] = frozenset()


def functions_of(unit: Unit, nodes: tuple[Node, ...]) -> Iterator[Function]:
    """The functions that the definitions of a file define, in order; names may repeat."""
    for node in nodes:
        if node.data == "def":
            _, names, body = node.children
            yield Function(str(node.children[0]), _tokens(names), _body(body), node, unit)
        elif node.data == "loss":
            _, inputs, _, body, _ = node.children
            declared = tuple(_token(child.children[0]) for child in trees(inputs))
            yield Function(str(node.children[0]), declared, _body(body), node, unit)


def trees(node: object) -> list[Node]:
    """The children of a node that are nodes; none of an absent one."""
    return [child for child in node.children if isinstance(child, Tree)] if isinstance(node, Tree) else []


def _tokens(node: object) -> tuple[Token, ...]:
    return tuple(child for child in node.children if isinstance(child, Token)) if isinstance(node, Tree) else ()


def _token(child: object) -> Token:
    assert isinstance(child, Token)
    return child


def _body(child: object) -> Node | Token:
    assert isinstance(child, Tree | Token)
    return child
