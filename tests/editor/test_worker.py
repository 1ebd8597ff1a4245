from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest
from lsprotocol import types

from glo_dsl.editor import answers
from glo_dsl.editor.document import Document
from glo_dsl.editor.server import PAUSE, GloServer, make_server
from glo_dsl.editor.worker import Worker

URI = "file:///nowhere/main.glo"


def test_jobs_run_in_order_on_one_thread_that_is_not_ours() -> None:
    async def session() -> list[tuple[int, threading.Thread]]:
        worker = Worker()
        jobs = [worker.run(lambda n=n: (n, threading.current_thread())) for n in range(20)]  # type: ignore[misc]
        return list(await asyncio.gather(*jobs))

    found = asyncio.run(session())
    assert [n for n, _ in found] == list(range(20))
    assert len({thread for _, thread in found}) == 1 and found[0][1] is not threading.current_thread()


def test_what_a_job_raises_reaches_its_waiter_and_the_next_job_runs() -> None:
    async def session() -> int:
        worker = Worker()
        with pytest.raises(ZeroDivisionError):
            await worker.run(lambda: 1 // 0)
        return await worker.run(lambda: 7)

    assert asyncio.run(session()) == 7


def test_a_job_that_nobody_waits_for_is_left_out() -> None:
    async def session() -> list[str]:
        worker, begun, go_on, done = Worker(), threading.Event(), threading.Event(), list[str]()
        first = asyncio.create_task(worker.run(lambda: (begun.set(), go_on.wait(10), done.append("first"))))
        second = asyncio.create_task(worker.run(lambda: done.append("second")))
        await asyncio.to_thread(begun.wait, 10)
        second.cancel()
        await asyncio.sleep(0)
        go_on.set()
        await first
        await worker.run(lambda: done.append("third"))
        return done

    assert asyncio.run(session()) == ["first", "third"]


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> GloServer:
    """A server without a client that has one document open."""
    made = make_server("1")
    document = Document(URI, "loss f(x: real) = x", 3)
    monkeypatch.setattr(made, "document", lambda uri: document)
    return made


def test_a_fault_of_ours_is_logged_and_answered_with_nothing(
    server: GloServer, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: Any) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(answers, "hover_at", fail)
    handler = server.protocol.fm.features[types.TEXT_DOCUMENT_HOVER]
    params = types.HoverParams(types.TextDocumentIdentifier(URI), types.Position(0, 0))
    assert asyncio.run(handler(params)) is None
    assert "ZeroDivisionError" in caplog.text


def test_a_check_that_fails_is_no_silence(
    server: GloServer, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    published: list[types.PublishDiagnosticsParams] = []
    monkeypatch.setattr(server, "text_document_publish_diagnostics", published.append)
    monkeypatch.setattr(Document, "diagnostics", property(lambda self: 1 // 0))

    async def session() -> None:
        server.changed(URI)
        await asyncio.sleep(3 * PAUSE)

    asyncio.run(session())
    assert [(p.version, [d.code for d in p.diagnostics]) for p in published] == [(3, ["internal"])]
    assert "please report it" in published[0].diagnostics[0].message and "ZeroDivisionError" in caplog.text


def test_many_edits_are_one_check(server: GloServer, monkeypatch: pytest.MonkeyPatch) -> None:
    published: list[types.PublishDiagnosticsParams] = []
    monkeypatch.setattr(server, "text_document_publish_diagnostics", published.append)

    async def session() -> None:
        for _ in range(50):
            server.changed(URI)
            await asyncio.sleep(0)
        assert not published
        while not published:
            await asyncio.sleep(PAUSE)
        await asyncio.sleep(2 * PAUSE)

    asyncio.run(session())
    assert len(published) == 1
