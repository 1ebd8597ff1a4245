"""Texts with a mark at the place that a test is about."""

from __future__ import annotations

from pathlib import Path

from glo_dsl.editor.library import Library

MARK = "¦"


def marked(text: str) -> tuple[str, int]:
    """The text without its mark, and where the mark was."""
    offset = text.index(MARK)
    return text.replace(MARK, ""), offset


def at_mark(text: str, path: Path | None = None) -> tuple[Library, int]:
    text, offset = marked(text)
    return Library(text, path), offset
