"""Definitions as their author wrote them: the text, and the comment block above it."""

from __future__ import annotations

from glo_dsl.errors import Source
from glo_dsl.lang.syntax import Node


def written(source: Source, node: Node) -> str:
    """The text of a definition, with a comment that ends its last line."""
    text = source.text
    line_end = text.find("\n", node.meta.end_pos)
    tail = text[node.meta.end_pos : line_end if line_end >= 0 else len(text)]
    end = node.meta.end_pos + (len(tail.rstrip()) if tail.lstrip().startswith("#") else 0)
    return text[node.meta.start_pos : end]


def doc_above(source: Source, node: Node) -> str:
    """The words of the comment block directly above a definition."""
    return "\n".join(line.strip().lstrip("#").strip() for line in _block(source, node))


def written_with_doc(source: Source, node: Node) -> str:
    """The text of a definition with the comment block directly above it."""
    return "\n".join([*_block(source, node), written(source, node)])


def _block(source: Source, node: Node) -> list[str]:
    text = source.text
    begin = text.rfind("\n", 0, node.meta.start_pos) + 1
    if text[begin : node.meta.start_pos].strip():  # another definition stands before it on the line
        return []
    lines: list[str] = []
    while begin > 0:
        above = text.rfind("\n", 0, begin - 1) + 1
        line = text[above : begin - 1]
        if not line.lstrip().startswith("#"):
            break
        lines.append(line)
        begin = above
    return lines[::-1]
