"""A session over standard input and output with the server as an editor starts it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from glo_dsl.editor.server import PAUSE
from tests.editor.client import Client

TEXT = """import "other.glo"
# An emoji 😀 in a comment.
def half(r) = r * r / 2
loss f(x: real, y: real; k = 1 in [0, 2]) = k * half(x - y) + far(x)  # 😀 here, too
loss g(x: real) = 😀 loss h(x: real) = sotfmax(x)
"""

OTHER = "# From another file.\nloss far(x: real; m = 3) = m * x * x\n"


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    folder = tmp_path_factory.mktemp("session")
    (folder / "other.glo").write_text(OTHER)
    yield from Client.session(folder)


def place(text: str, part: str, after: str = "") -> dict[str, int]:
    """Line and UTF-16 column of a part of a text."""
    before = text[: text.index(part, text.index(after))]
    column = len(before.rpartition("\n")[2].encode("utf-16-le")) // 2
    return {"line": before.count("\n"), "character": column}


def part_of(text: str, found: dict[str, Any]) -> str:
    """The text of a range whose columns count UTF-16."""
    (first, start), (last, end) = ((p["line"], p["character"]) for p in (found["start"], found["end"]))
    assert first == last
    return text.split("\n")[first].encode("utf-16-le")[2 * start : 2 * end].decode("utf-16-le")


def test_a_document_from_opening_to_closing(client: Client) -> None:
    uri = client.open("main.glo", TEXT)
    _diagnostics(client, uri)
    _navigation(client, uri)
    _completion(client, uri)
    _edits(client, uri)
    client.notify("textDocument/didClose", {"textDocument": {"uri": uri}})
    assert client.at("hover", uri, 2, 5) is None
    assert client.diagnostics[uri]["diagnostics"] == []


def _diagnostics(client: Client, uri: str) -> None:
    strange, unknown = client.published(uri, 1)
    assert part_of(TEXT, strange["range"]) == "😀" and strange["code"] == "unexpected-character"
    assert part_of(TEXT, unknown["range"]) == "sotfmax" and unknown["code"] == "unknown-function"
    assert unknown["message"] == "no function sotfmax\ndid you mean softmax?" and unknown["severity"] == 1
    everything = {"start": {"line": 0, "character": 0}, "end": {"line": 9, "character": 0}}
    (action,) = client.about("codeAction", uri, range=everything, context={"diagnostics": [unknown]})
    ((edit,),) = action["edit"]["changes"].values()
    assert action["kind"] == "quickfix" and edit == {"range": unknown["range"], "newText": "softmax"}
    client.change(uri, TEXT.replace("😀 loss", "let y = x in x * x loss").replace("sotfmax(x)", "x * x"), 2)
    (found,) = client.published(uri, 2)
    assert found["severity"] == 2 and found["code"] == "unused-let"


def _navigation(client: Client, uri: str) -> None:
    def at(method: str, part: str, after: str = "", **more: Any) -> Any:
        return client.at(method, uri, **place(TEXT, part, after), **more)

    hover = at("hover", "half(x")
    assert hover["contents"]["kind"] == "markdown" and "def half(r)" in hover["contents"]["value"]
    assert "half(x - y): real in [0, inf)" in hover["contents"]["value"]
    assert "as called in line 4" in at("hover", "r * r")["contents"]["value"]
    assert part_of(TEXT, at("definition", "half(x")["range"]) == "half"
    far = at("definition", "far(x)")
    assert far["uri"] == client.uri("other.glo") and part_of(OTHER, far["range"]) == "far"
    assert len(at("references", "k = 1", context={"includeDeclaration": True})) == 2
    assert len(at("references", "k = 1", context={"includeDeclaration": False})) == 1
    assert [h["kind"] for h in at("documentHighlight", "x", "loss f(")] == [3, 2, 2]
    names = [symbol["name"] for symbol in client.about("documentSymbol", uri)]
    assert names == ["half", "f", "g", "h"]


def _completion(client: Client, uri: str) -> None:
    typed = TEXT[: TEXT.index("loss g")] + "loss g(x: real) = far(x; "
    client.change(uri, typed, 5)
    end = {"line": 4, "character": 25}
    (item,) = client.at("completion", uri, **end)
    assert item["label"] == "m" and item["detail"] == "m = 3"
    assert item["textEdit"] == {"range": {"start": end, "end": end}, "newText": "m"}
    help = client.at("signatureHelp", uri, **end)
    assert help["signatures"][0]["label"] == "far(x: real; m = 3)" and help["activeParameter"] == 1
    start, stop = help["signatures"][0]["parameters"][1]["label"]
    assert help["signatures"][0]["label"][start:stop] == "m = 3"
    items = client.at("completion", uri, line=4, character=18)
    (own,) = (item for item in items if item["label"] == "far")
    assert "documentation" not in own or own["documentation"] is None
    documented = client.request("completionItem/resolve", own)
    assert "From another file." in documented["documentation"]["value"]


def _edits(client: Client, uri: str) -> None:
    client.change(uri, TEXT, 6)
    where = place(TEXT, "half(x")
    assert part_of(TEXT, client.at("prepareRename", uri, **where)) == "half"
    changes = client.at("rename", uri, **where, newName="halved")["changes"][uri]
    assert [(part_of(TEXT, e["range"]), e["newText"]) for e in changes] == [("half", "halved")] * 2
    refused = client.respond("textDocument/rename", {"textDocument": {"uri": uri}, "position": where, "newName": "let"})
    assert refused["error"]["message"] == "let is a keyword"
    options = {"tabSize": 8, "insertSpaces": False}
    assert client.about("formatting", uri, options=options) is None, "half a text has no layout"
    client.change(uri, "loss f( x:real )=x", 7)
    (edit,) = client.about("formatting", uri, options=options)
    assert edit["newText"] == "loss f(x: real) = x\n"
    client.change(uri, edit["newText"], 8)
    assert client.about("formatting", uri, options=options) == []


def test_imports_are_read_again_when_a_file_is_saved(client: Client) -> None:
    uri = client.open("imports.glo", 'import "other.glo"\nloss f(x: real) = near(x)\n')
    assert [d["code"] for d in client.published(uri, 1)] == ["unknown-function"]
    other = client.open("other.glo", OTHER.replace("far", "near"))
    assert client.published(other, 1) == []
    client.change(uri, 'import "other.glo"\nloss f(x: real) = near(x) \n', 2)
    assert client.published(uri, 2), "the disk counts, not the other editor"
    (client.folder / "other.glo").write_text(OTHER.replace("far", "near"))
    client.diagnostics.clear()
    client.notify("textDocument/didSave", {"textDocument": {"uri": other}})
    assert client.published(uri, 2) == []


def test_a_request_does_not_wait_for_a_long_check(client: Client) -> None:
    text = "".join(
        f"loss f{n}(z: real[C], t: class[C]) = -log_softmax(z * {n + 1})[t] + exp(z[t])\n" for n in range(300)
    )
    uri = client.open("large.glo", text)
    time.sleep(2 * PAUSE)
    assert client.at("completion", uri, 0, 39)
    assert uri not in client.diagnostics, "the check was over before, or came first"
    client.published(uri, 1)


def test_columns_count_what_the_client_asks_for_and_hanging_up_ends_the_server(tmp_path: Path) -> None:
    other = Client(tmp_path)
    capabilities = other.initialize(("utf-8", "utf-16"))["capabilities"]
    assert capabilities["positionEncoding"] == "utf-8" and capabilities["renameProvider"] == {"prepareProvider": True}
    (found,) = other.published(other.open("main.glo", "loss f(x: real) = 😀"), 1)
    assert found["range"]["end"]["character"] - found["range"]["start"]["character"] == 4
    assert other.process.stdin is not None
    other.process.stdin.close()
    assert other.process.wait(30) == 0
    other.close()
