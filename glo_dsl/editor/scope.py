"""Which name means what at each word of an expression, whether or not the expression is whole."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from glo_dsl.editor.outline import OPEN, Definition
from glo_dsl.editor.words import NAME, Word


@dataclass(frozen=True, eq=False, slots=True)
class Declaration:
    """Where a name gets its meaning.

    Attributes:
        kind: def, loss, law, input, parameter, argument, binder or let.
        home: the definition that it stands in.
        words: its declaration as a whole.
    """

    kind: str
    word: Word
    home: Definition
    words: tuple[Word, ...]


@dataclass(frozen=True, slots=True)
class Occurrence:
    """A name at a place.

    Attributes:
        role: declaration, value, call, setting or subject (the loss of a law).
        declaration: what it means, None for what this file does not declare.
        call: of a setting the function that is called.
    """

    word: Word
    role: str
    declaration: Declaration | None
    call: Word | None = None


@dataclass(slots=True)
class Frame:
    """Something that was opened and is not closed: a bracket, a `let` or an `if`.

    Attributes:
        call: of a bracket the function before it.
        commas: of a bracket those directly in it, since the last semicolon.
        settings: whether a semicolon stands directly in it, and the names that are set behind it.
        phase: of a `let` bindings or body, of an `if` the last of its keywords.
        pending: of a `let` the name whose value is being written.
        hidden: of a `let` what its names meant before.
    """

    kind: str
    call: Word | None = None
    commas: int = 0
    settings: list[str] | None = None
    phase: str = ""
    pending: Declaration | None = None
    hidden: list[tuple[str, Declaration | None]] = field(default_factory=list)

    @property
    def is_bracket(self) -> bool:
        return self.kind in OPEN


class Scope:
    """Reads an expression word by word and knows what is open and which names are in scope.

    `setting` gives what `f(...; name = ...)` sets.
    """

    def __init__(
        self, home: Definition, names: dict[str, Declaration], functions: dict[str, Declaration],
        setting: Callable[[str, str], Declaration | None],
    ) -> None:  # fmt: skip
        self.home, self.names, self.functions, self.setting = home, names, functions, setting
        self.frames: list[Frame] = []
        self.before: Word | None = None
        self._called: Word | None = None

    def feed(self, word: Word, behind: Word | None) -> Occurrence | None:
        """Takes one more word; `behind` is the one after it. A name gives its occurrence."""
        found = self._name(word, behind) if word.kind == NAME else None
        if word.kind != NAME:
            self._sign(word)
        self._called = word if found is not None and found.role == "call" else None
        self.before = word
        return found

    @property
    def bracket(self) -> Frame | None:
        """The innermost open bracket."""
        return next((frame for frame in reversed(self.frames) if frame.is_bracket), None)

    @property
    def names_here(self) -> bool:
        """Whether a new name of a `let` is due."""
        top = self.frames[-1] if self.frames else None
        return top is not None and top.phase == "bindings" and top.pending is None

    @property
    def setting_here(self) -> Frame | None:
        """The call for which the name of a parameter is due."""
        top = self.frames[-1] if self.frames else None
        due = top is not None and top.settings is not None and self.before is not None
        return top if due and self.before is not None and self.before.is_sign(";", ",") else None

    def _name(self, word: Word, behind: Word | None) -> Occurrence | None:
        if self.names_here:
            self.frames[-1].pending = Declaration("let", word, self.home, (word,))
            return Occurrence(word, "declaration", self.frames[-1].pending)
        if (call := self.setting_here) is not None:
            assert call.settings is not None
            call.settings.append(word.text)
            found = self.setting(call.call.text, word.text) if call.call else None
            return Occurrence(word, "setting", found, call.call)
        if self.before is not None and self.before.is_sign("?"):
            return None
        if behind is not None and behind.is_sign("("):
            return Occurrence(word, "call", self.functions.get(word.text))
        return Occurrence(word, "value", self.names.get(word.text))

    def _sign(self, word: Word) -> None:
        match word.text:
            case "(" | "[":
                self.frames.append(Frame(word.text, self._called if word.text == "(" else None))
            case ")" | "]":
                self._close()
            case "let":
                self.frames.append(Frame("let", phase="bindings"))
            case "if":
                self.frames.append(Frame("if", phase="if"))
            case "then" | "else":
                self._go_on("if", {"then": "if", "else": "then"}[word.text], word.text)
            case "in":
                self._go_on("let", "bindings", "body")
            case ",":
                self._comma()
            case ";":
                self._semicolon()
            case "per" | "for" | "+-":
                self._unwind(0)

    def _close(self) -> None:
        """Closes the innermost bracket whatever its shape, as (0, 1] is an interval."""
        for place in reversed(range(len(self.frames))):
            if self.frames[place].is_bracket:
                return self._unwind(place)
        return None

    def _go_on(self, kind: str, phase: str, following: str) -> None:
        """A keyword inside the innermost `let` or `if` that waits for it."""
        for place in reversed(range(len(self.frames))):
            frame = self.frames[place]
            if frame.kind == kind and frame.phase == phase:
                self._unwind(place + 1)
                self._bind(frame)
                frame.phase = following
                return

    def _comma(self) -> None:
        while self.frames:
            top = self.frames[-1]
            if top.is_bracket:
                top.commas += 1
                return
            if top.phase == "bindings":
                self._bind(top)
                return
            self._unwind(len(self.frames) - 1)

    def _semicolon(self) -> None:
        while self.frames and not self.frames[-1].is_bracket:
            self._unwind(len(self.frames) - 1)
        if self.frames:
            self.frames[-1].settings, self.frames[-1].commas = [], 0

    def _bind(self, frame: Frame) -> None:
        """The pending name of a `let` is in scope from here."""
        if frame.pending is not None:
            name = frame.pending.word.text
            frame.hidden.append((name, self.names.get(name)))
            self.names[name] = frame.pending
            frame.pending = None

    def _unwind(self, depth: int) -> None:
        """Closes everything above a depth; the names of its `let`s mean again what they did before."""
        while len(self.frames) > depth:
            for name, before in reversed(self.frames.pop().hidden):
                if before is None:
                    self.names.pop(name, None)
                else:
                    self.names[name] = before
