"""Documents and their layout in lines: groups that go on one line if they fit, and comments that stay where they are.

A group is laid out flat, or else every one of its lines ends. (Oppen 1980, Wadler 2003.) Comments take no part in
measuring. They do not end lines by themselves either: they go above the line that they stand before the words of, or
to its end. A group breaks where a comment would else leave the line that it belongs to.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TypeAlias

WIDTH = 100
MAX_INDENT = 60
"""Columns after which deeper nesting indents no further, so that the text stays linear in its tokens."""


@dataclass(frozen=True, slots=True)
class Remark:
    """A comment: `alone` above the words that follow it, otherwise at the end of the line of those before it."""

    text: str
    alone: bool


@dataclass(frozen=True, slots=True)
class Line:
    """A place where the line ends, or `flat` in a group on one line."""

    flat: str = " "
    hard: bool = False


@dataclass(frozen=True, slots=True)
class Nest:
    """What begins further right where lines end in it."""

    by: int
    doc: Doc


@dataclass(frozen=True, slots=True)
class Group:
    """What goes on one line if it fits."""

    doc: Doc


@dataclass(frozen=True, slots=True)
class Fill:
    """Documents with blanks between them, as many on each line as fit."""

    docs: tuple[Doc, ...]


@dataclass(frozen=True, slots=True)
class _Seam:
    """A document of a Fill and the place before it."""

    doc: Doc


@dataclass(frozen=True, slots=True)
class _End:
    """The end of a group while measuring, and what was so where it began."""

    ended: bool
    trails: bool


Doc: TypeAlias = "str | Remark | Line | Nest | Group | Fill | _Seam | tuple[Doc, ...]"

SPACE, CUT, HARD = Line(), Line(""), Line(hard=True)


def render(doc: Doc, width: int = WIDTH) -> tuple[list[str], list[str]]:
    """The lines of a document, and the comments that found no place in them and go below.

    No comment goes above the first line, where it would become documentation.

    >>> render(Group(("f(", Nest(2, (CUT, "a,", SPACE, "b")), CUT, ")")), width=6)
    (['f(', '  a,', '  b', ')'], [])
    """
    printer = _Printer(width, [(0, False, doc)])
    printer.run()
    return printer.lines, printer.carried


@dataclass(slots=True)
class _Printer:
    width: int
    stack: list[tuple[int, bool, Doc]]
    """What is still to be printed, the next one last: its indentation, whether it is flat, the document."""
    lines: list[str] = field(default_factory=list)
    carried: list[str] = field(default_factory=list)
    """Comments of the first line that go above the next one."""

    # The line that is being written.
    indent: int = 0
    words: list[str] = field(default_factory=list)
    column: int = 0
    remarks: list[str] = field(default_factory=list)
    trails: bool = False
    """Whether the last remark goes to the end of the line."""

    def run(self) -> None:
        while self.stack:
            indent, flat, doc = self.stack.pop()
            match doc:
                case str():
                    self._write(doc)
                case Remark():
                    self.remarks.append(doc.text)
                    self.trails = self._trailing(doc)
                case Line():
                    self._write(doc.flat) if flat else self._end_line(indent)
                case Nest():
                    self.stack.append((min(indent + doc.by, MAX_INDENT), flat, doc.doc))
                case Group():
                    self.stack.append((indent, flat or self._fits(doc.doc), doc.doc))
                case Fill():
                    self.stack += [(indent, flat, part) for part in reversed(_seams(doc))]
                case _Seam():
                    self._seam(indent, flat, doc)
                case tuple():
                    self.stack += [(indent, flat, part) for part in reversed(doc)]
        self._end_line(0)

    @property
    def _first(self) -> bool:
        return not self.lines

    def _trailing(self, remark: Remark) -> bool:
        """Once a remark trails, those behind it on the same line do: their order is kept."""
        return self._first or self.trails or not remark.alone

    def _write(self, text: str) -> None:
        self.words.append(text)
        self.column += len(text)

    def _seam(self, indent: int, flat: bool, seam: _Seam) -> None:
        if flat or (not self.trails and self._fits((SPACE, seam.doc))):
            self._write(" ")
        else:
            self._end_line(indent)
        self.stack.append((indent, flat, seam.doc))

    def _end_line(self, indent: int) -> None:
        margin = " " * self.indent
        line = margin + "".join(self.words).rstrip()
        first, remarks = self._first, self.remarks
        above = [*self.carried, *remarks]
        trailing = above.pop(0) if first and above else above.pop() if self.trails and remarks else None
        self.carried = above if first else []
        self.lines += [] if first else [margin + text for text in above]
        self.lines.append(f"{line}  {trailing}" if trailing else line)
        self.indent = self.column = indent
        self.words, self.remarks, self.trails = [], [], False

    def _fits(self, doc: Doc) -> bool:
        """Whether it goes on this line, with what follows up to where the line may end, and all comments stay put."""
        room = self.width - self.column
        ended = trails = False  # a place before, a comment behind what comes next, both in one group with it
        remarks = 0
        todo: list[Doc | _End] = [doc]
        while todo and room >= 0:
            match part := todo.pop():
                case str():
                    room -= len(part)
                case Remark():
                    remarks += 1
                    trails = trails or self._trailing(part)
                    if (part.alone and ended) or (self._first and remarks > 1):
                        return False
                case Line():
                    if part.hard or trails:
                        return False
                    ended = True
                    room -= len(part.flat)
                case Group():
                    todo += [_End(ended, trails), part.doc]
                    trails = False
                case _End():
                    ended, trails = part.ended, trails or part.trails
                case _:
                    todo.extend(_parts(part))
        return self._follows(room)

    def _follows(self, room: int) -> bool:
        """Whether the words up to the next place where the line may end fit in."""
        behind = len(self.stack)
        flat = False
        todo: list[Doc] = []
        while room >= 0:
            if not todo:
                if behind == 0:
                    return True
                behind -= 1
                _, flat, doc = self.stack[behind]
                todo = [doc]
            match part := todo.pop():
                case str():
                    room -= len(part)
                case Remark():
                    pass
                case Line():
                    if not flat:
                        return True
                    room -= len(part.flat)
                case _Seam() if not flat:
                    return True
                case _:
                    todo.extend(_parts(part))
        return False


def _parts(doc: Nest | Group | Fill | _Seam | tuple[Doc, ...]) -> Iterator[Doc]:
    """What a document is made of, the last one first."""
    match doc:
        case Nest() | Group():
            yield doc.doc
        case Fill():
            yield from reversed(_seams(doc))
        case _Seam():
            yield from (doc.doc, SPACE)
        case tuple():
            yield from reversed(doc)


def _seams(fill: Fill) -> tuple[Doc, ...]:
    return (fill.docs[0], *map(_Seam, fill.docs[1:]))
