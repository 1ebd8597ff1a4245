"""Any text at any moment, and any position: there is an answer, if only that there is none."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lsprotocol import types

from glo_dsl.editor import answers
from glo_dsl.editor.document import Document
from glo_dsl.lang.syntax import MAX_TEXT
from tests.editor.client import Client
from tests.editor.edits import Edit, edits, files

PLACES = st.lists(st.tuples(st.integers(0, 60), st.integers(0, 120)), min_size=1, max_size=4)

ABOUT_A_PLACE = (
    answers.hover_at, answers.definition_at, answers.highlights_at, answers.renamable_at, answers.completions_at,
    answers.signatures_at,
)  # fmt: skip


def ask_everything(document: Document, places: list[tuple[int, int]]) -> None:
    for found in document.diagnostics:
        answers.diagnostic_of(document, found)
    answers.formatted(document)
    symbols = answers.symbols_of(document)
    assert all(symbol.name for symbol in symbols)
    answers.fixes_at(document, types.Range(types.Position(0, 0), types.Position(1_000_000, 0)))
    for place in places:
        position = types.Position(*place)
        for answer in ABOUT_A_PLACE:
            answer(document, position)
        answers.references_at(document, position, True)
        renamed = answers.rename_at(document, position, "fresh_name")
        assert (renamed is None) == (answers.renamable_at(document, position) is None)
        for item in answers.completions_at(document, position)[:2]:
            answers.document_item(document, item)


@settings(max_examples=max(30, settings().max_examples // 2))
@given(files(), st.lists(edits(), min_size=1, max_size=4), PLACES, st.sampled_from(["utf-8", "utf-16", "utf-32"]))
def test_every_state_of_a_text_is_answered(
    text: str, changes: list[Edit], places: list[tuple[int, int]], encoding: str
) -> None:
    for change in changes:
        text = change.apply(text)
    ask_everything(Document("file:///nowhere/main.glo", text, 1, encoding), places)


@pytest.mark.parametrize("text", [
    "", "\n", "loss", "loss f(x: real) = " + "(" * 3000, "loss f(x: real) = " + "-" * 3000 + "x",
    "loss f(x: real) = " + "let y = x + x in " * 1000 + "y", "#" * (MAX_TEXT + 1),
    "def f(x) = f(x)\nloss l(x: real) = f(x)", "def f(x) = g(x)\ndef g(x) = f(x)\nlaw f.l: g(x)",
    "loss f(x: real) = \ud800", "loss f(x: real) = let " * 500, "loss a.b.c = 1 +- per for",
])  # fmt: skip
def test_texts_that_ask_for_it(text: str) -> None:
    ask_everything(Document("untitled:main", text, 1), [(0, 0), (0, 20), (0, 25), (1, 3), (99, 99)])


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    folder = tmp_path_factory.mktemp("robust")
    (folder / "other.glo").write_text("loss far(x: real; k = 1) = k * x\n")
    yield from Client.session(folder)


REQUESTS: tuple[tuple[str, dict[str, object]], ...] = (
    ("hover", {}), ("definition", {}), ("documentHighlight", {}), ("completion", {}), ("signatureHelp", {}),
    ("prepareRename", {}), ("rename", {"newName": "fresh_name"}),
    ("references", {"context": {"includeDeclaration": True}}),
)  # fmt: skip


@settings(max_examples=max(8, settings().max_examples // 8))
@given(text=files(), changes=st.lists(edits(), min_size=1, max_size=4), places=PLACES)
def test_a_server_answers_while_somebody_types(
    client: Client, text: str, changes: list[Edit], places: list[tuple[int, int]]
) -> None:
    client.diagnostics.clear()
    uri = client.open("main.glo", text)
    for version, change in enumerate(changes, 2):
        text = change.apply(text)
        client.change(uri, text, version)
        for line, character in places:
            for method, more in REQUESTS:
                client.at(method, uri, line, character, **more)
    everything = {"start": {"line": 0, "character": 0}, "end": {"line": 10_000, "character": 0}}
    client.about("codeAction", uri, range=everything, context={"diagnostics": []})
    client.about("formatting", uri, options={"tabSize": 2, "insertSpaces": True})
    client.about("documentSymbol", uri)
    client.published(uri, len(changes) + 1)
    client.notify("textDocument/didClose", {"textDocument": {"uri": uri}})


def test_a_document_that_is_not_open_has_no_answers(client: Client) -> None:
    uri = client.uri("never_opened.glo")
    for method, more in REQUESTS:
        assert not client.at(method, uri, 0, 0, **more)
