"""The language server: open documents in, answers and diagnostics out, over standard input and output."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar
from urllib.parse import unquote

from lsprotocol import types
from pygls.exceptions import JsonRpcException
from pygls.lsp.server import LanguageServer

from glo_dsl.editor import answers
from glo_dsl.editor.document import Document
from glo_dsl.editor.worker import Worker
from glo_dsl.errors import Diagnostic, GloError
from glo_dsl.lang.imports import prelude

R = TypeVar("R")

PAUSE = 0.15
"""Seconds without an edit after which a text is checked; twice as long as the last check took, if that is more."""

LONGEST_PAUSE = 2.0

log = logging.getLogger(__name__)


class Refused(JsonRpcException):
    """A request that cannot be carried out, with the reason for whoever made it."""

    CODE = int(types.LSPErrorCodes.RequestFailed)


class GloServer(LanguageServer):
    """Holds the open documents and checks each after a pause in typing.

    Whole texts are sent, not changes: they are small, and a change is lost on whom counts lines differently.
    """

    def __init__(self, version: str) -> None:
        super().__init__("glo", version, types.TextDocumentSyncKind.Full)
        self.worker = Worker()
        self._documents: dict[str, Document] = {}
        self._waiting: dict[str, asyncio.Task[None]] = {}
        self._pause = PAUSE

    def document(self, uri: str) -> Document | None:
        """An open document as it is now; None for one that is not open."""
        opened = self.workspace.text_documents.get(unquote(uri))
        if opened is None:
            return None
        known = self._documents.get(uri)
        if known is None or known.text != opened.source or known.version != opened.version:
            encoding = self.workspace.position_encoding
            known = Document(uri, opened.source, opened.version, str(getattr(encoding, "value", encoding)))
            self._documents[uri] = known
        return known

    def changed(self, uri: str) -> None:
        """Has a document checked once nobody has typed for a while."""
        self._cancel(uri)
        self._waiting[uri] = asyncio.get_running_loop().create_task(self._check(uri))

    def files_changed(self) -> None:
        """Has every open document read its imports again."""
        open_ones = list(self._documents)
        self._documents.clear()
        for uri in open_ones:
            self.changed(uri)

    def closed(self, uri: str) -> None:
        """Forgets a document and what was said about it."""
        self._cancel(uri)
        self._documents.pop(uri, None)
        self.text_document_publish_diagnostics(types.PublishDiagnosticsParams(uri, []))

    def _cancel(self, uri: str) -> None:
        task = self._waiting.pop(uri, None)
        if task is not None:
            task.cancel()

    async def _check(self, uri: str) -> None:
        await asyncio.sleep(self._pause)
        document = self.document(uri)
        if document is None:
            return
        began = time.perf_counter()
        try:
            found = await self.worker.run(lambda: document.diagnostics)
        except Exception as error:
            log.exception("checking %s failed", uri)
            found = (Diagnostic(f"this text could not be checked; please report it: {error!r}", code="internal"),)
        self._pause = min(max(PAUSE, 2 * (time.perf_counter() - began)), LONGEST_PAUSE)
        if self.document(uri) is document:  # else it was changed meanwhile, and is waiting again
            said = [answers.diagnostic_of(document, diagnostic) for diagnostic in found]
            self.text_document_publish_diagnostics(types.PublishDiagnosticsParams(uri, said, document.version))


def make_server(version: str) -> GloServer:
    """A server that is ready to be started."""
    server = GloServer(version)
    prelude()  # before there are two threads that would both read it
    _follow_documents(server)
    _answer_at_once(server)
    _answer_in_time(server)
    return server


def _follow_documents(server: GloServer) -> None:
    @server.feature(types.TEXT_DOCUMENT_DID_OPEN)
    async def opened(params: types.DidOpenTextDocumentParams) -> None:
        server.changed(params.text_document.uri)

    @server.feature(types.TEXT_DOCUMENT_DID_CHANGE)
    async def changed(params: types.DidChangeTextDocumentParams) -> None:
        server.changed(params.text_document.uri)

    @server.feature(types.TEXT_DOCUMENT_DID_CLOSE)
    async def closed(params: types.DidCloseTextDocumentParams) -> None:
        server.closed(params.text_document.uri)

    @server.feature(types.TEXT_DOCUMENT_DID_SAVE)
    async def saved(params: types.DidSaveTextDocumentParams) -> None:
        server.files_changed()

    @server.feature(types.WORKSPACE_DID_CHANGE_WATCHED_FILES)
    async def files_changed(params: types.DidChangeWatchedFilesParams) -> None:
        server.files_changed()


def _answer_at_once(server: GloServer) -> None:
    """Requests that need no expressions: answered on the spot, however long a check may take."""

    def answer(method: str, of: Callable[[Document, Any], Any], options: object = None) -> None:
        @server.feature(method, options)
        async def handler(params: Any) -> Any:
            return await _guarded(server, params.text_document.uri, lambda document: _now(of(document, params)))

    answer(types.TEXT_DOCUMENT_DEFINITION, lambda d, p: answers.definition_at(d, p.position))
    answer(
        types.TEXT_DOCUMENT_REFERENCES,
        lambda d, p: answers.references_at(d, p.position, p.context.include_declaration),
    )
    answer(types.TEXT_DOCUMENT_DOCUMENT_HIGHLIGHT, lambda d, p: answers.highlights_at(d, p.position))
    answer(types.TEXT_DOCUMENT_DOCUMENT_SYMBOL, lambda d, p: answers.symbols_of(d))
    answer(types.TEXT_DOCUMENT_PREPARE_RENAME, lambda d, p: answers.renamable_at(d, p.position))
    answer(types.TEXT_DOCUMENT_RENAME, lambda d, p: answers.rename_at(d, p.position, p.new_name))
    answer(
        types.TEXT_DOCUMENT_COMPLETION, lambda d, p: answers.completions_at(d, p.position),
        types.CompletionOptions(trigger_characters=[":", ";", '"'], resolve_provider=True),
    )  # fmt: skip
    answer(
        types.TEXT_DOCUMENT_SIGNATURE_HELP, lambda d, p: answers.signatures_at(d, p.position),
        types.SignatureHelpOptions(trigger_characters=["(", ",", ";"]),
    )  # fmt: skip

    @server.feature(types.COMPLETION_ITEM_RESOLVE)
    async def resolve(item: types.CompletionItem) -> types.CompletionItem:
        uri = item.data.get("uri") if isinstance(item.data, dict) else None
        found = await _guarded(server, str(uri), lambda d: _now(answers.document_item(d, item)))
        return found if found is not None else item


def _answer_in_time(server: GloServer) -> None:
    """Requests that need expressions: answered by the worker, one after the other."""

    def answer(method: str, of: Callable[[Document, Any], Any], options: object = None) -> None:
        @server.feature(method, options)
        async def handler(params: Any) -> Any:
            def later(document: Document) -> Awaitable[Any]:
                return server.worker.run(lambda: of(document, params))

            return await _guarded(server, params.text_document.uri, later)

    answer(types.TEXT_DOCUMENT_HOVER, lambda d, p: answers.hover_at(d, p.position))
    answer(types.TEXT_DOCUMENT_FORMATTING, lambda d, p: answers.formatted(d))
    answer(
        types.TEXT_DOCUMENT_CODE_ACTION, lambda d, p: answers.fixes_at(d, p.range),
        types.CodeActionOptions(code_action_kinds=[types.CodeActionKind.QuickFix]),
    )  # fmt: skip


async def _now(answer: R) -> R:
    return answer


async def _guarded(server: GloServer, uri: str, of: Callable[[Document], Awaitable[R]]) -> R | None:
    """An answer about an open document; none where it is not open. A fault of ours is logged and answered with none.

    Raises:
        Refused: what was asked for cannot be done.
    """
    document = server.document(uri)
    if document is None:
        return None
    try:
        return await of(document)
    except GloError as error:
        raise Refused(error.message) from None
    except Exception:
        log.exception("a request about %s failed", uri)
        return None


def serve(version: str) -> None:
    """Serves one client over standard input and output, until it says exit or hangs up."""
    logging.getLogger("pygls.protocol.json_rpc").addFilter(_no_refusal)
    make_server(version).start_io()


def _no_refusal(record: logging.LogRecord) -> bool:
    """Keeps refusals out of the log: they are answers."""
    return not (record.exc_info and isinstance(record.exc_info[1], Refused))
