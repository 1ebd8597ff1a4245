"""Lines of generated code: the one place that touches indentation, and comments made safe."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field


@dataclass
class Lines:
    """Grows a text line by line; `block` indents.

    >>> lines = Lines()
    >>> with lines.block("if x:"):
    ...     lines.add("y = 1", "z = 2")
    >>> print(lines.text(), end="")
    if x:
        y = 1
        z = 2
    """

    depth: int = 0
    _lines: list[str] = field(default_factory=list)

    def add(self, *lines: str) -> None:
        """Appends lines at the current depth; an empty one stays empty."""
        for line in lines:
            self._lines.append("    " * self.depth + line if line else "")

    @contextmanager
    def block(self, head: str, tail: str = "") -> Iterator[None]:
        """`head`, what is added inside one level deeper, `tail`."""
        self.add(head)
        self.depth += 1
        yield
        self.depth -= 1
        if tail:
            self.add(tail)

    def text(self) -> str:
        return "\n".join(self._lines) + "\n"


def comment(text: str, mark: str) -> Iterable[str]:
    """`text` as comment lines: printable ASCII only and no way out of the comment.

    >>> list(comment("a*/b\\n\\u2028x", "//"))
    ['// a* /b', '//', '// x']
    """
    for line in text.splitlines():
        safe = "".join(c if " " <= c <= "~" or c == "\t" else "?" for c in line)
        yield f"{mark} {safe}".replace("*/", "* /").replace("\\", "/").replace("???", "? ?").rstrip()
