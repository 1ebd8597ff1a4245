"""The call that is being written: its signature, and which of its arguments is due."""

from __future__ import annotations

from dataclasses import dataclass

from glo_dsl.editor.cursor import cursor_at
from glo_dsl.editor.library import Library
from glo_dsl.editor.signature import Signature


@dataclass(frozen=True, slots=True)
class OpenCall:
    """A call that is not closed.

    Attributes:
        signatures: how its function may be called.
        best: the one that fits what is written.
        active: the argument or setting that is due, counted over both.
    """

    signatures: tuple[Signature, ...]
    best: int
    active: int


def open_call(library: Library, offset: int) -> OpenCall | None:
    """The innermost call around a place, or None."""
    cursor = cursor_at(library.names, min(max(offset, 0), len(library.text)))
    calls = [frame for frame in reversed(cursor.frames) if frame.call is not None]
    if not calls or calls[0].call is None:
        return None
    call, signatures = calls[0], library.signatures(calls[0].call.text)
    if not signatures:
        return None
    best = next((i for i, s in enumerate(signatures) if call.commas < len(s.arguments)), len(signatures) - 1)
    if call.settings is None:
        return OpenCall(signatures, best, call.commas)
    due = cursor.scope is not None and cursor.scope.setting_here is call
    setting = _setting(signatures[best], call.settings, due)
    return OpenCall(signatures, best, len(signatures[best].arguments) + setting)


def _setting(signature: Signature, written: list[str], due: bool) -> int:
    """The place of the setting that is being written; where a name is due, of the first that is not set."""
    names = signature.setting_names
    if not due and written and written[-1] in names:
        return names.index(written[-1])
    return next((place for place, name in enumerate(names) if name not in written), len(names))
