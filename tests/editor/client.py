"""A client of the language server: its requests go to a real process over standard input and output."""

from __future__ import annotations

import json
import os
import queue
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

SECONDS = 30.0


class Client:
    """Speaks JSON-RPC with `glo lsp`.

    Attributes:
        diagnostics: what was last published of each document, by its URI.
    """

    def __init__(self, folder: Path, **environment: str) -> None:
        command = [str(Path(sys.executable).parent / "glo"), "lsp", "--stdio"]
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            cwd=folder, env={**os.environ, **environment},
        )  # fmt: skip
        self.folder = folder
        self.diagnostics: dict[str, Any] = {}
        self._errors = b""
        self._incoming: queue.Queue[dict[str, Any] | None] = queue.Queue()
        self._last = 0
        assert self.process.stdout is not None and self.process.stderr is not None
        self._readers = [
            threading.Thread(target=self._listen, args=(self.process.stdout,), daemon=True),
            threading.Thread(target=self._collect, args=(self.process.stderr,), daemon=True),
        ]
        for reader in self._readers:
            reader.start()

    @classmethod
    def session(cls, folder: Path) -> Iterator[Client]:
        """A session from beginning to end. A fault of the server is told to its log, which must stay empty."""
        client = cls(folder)
        try:
            client.initialize()
            yield client
            assert client.shut_down() == (0, "")
        finally:
            client.close()

    def initialize(self, encodings: tuple[str, ...] = ()) -> Any:
        general = {"positionEncodings": list(encodings)} if encodings else {}
        capabilities = {"general": general, "textDocument": {"rename": {"prepareSupport": True}}}
        result = self.request(
            "initialize", {"processId": None, "rootUri": self.folder.as_uri(), "capabilities": capabilities}
        )
        self.notify("initialized", {})
        return result

    def uri(self, name: str) -> str:
        return (self.folder / name).as_uri()

    def open(self, name: str, text: str) -> str:
        uri = self.uri(name)
        document = {"uri": uri, "languageId": "glo", "version": 1, "text": text}
        self.notify("textDocument/didOpen", {"textDocument": document})
        return uri

    def change(self, uri: str, text: str, version: int) -> None:
        document = {"uri": uri, "version": version}
        self.notify("textDocument/didChange", {"textDocument": document, "contentChanges": [{"text": text}]})

    def at(self, method: str, uri: str, line: int, character: int, **more: Any) -> Any:
        """A request about a position."""
        position = {"line": line, "character": character}
        return self.request(f"textDocument/{method}", {"textDocument": {"uri": uri}, "position": position, **more})

    def about(self, method: str, uri: str, **more: Any) -> Any:
        """A request about a document."""
        return self.request(f"textDocument/{method}", {"textDocument": {"uri": uri}, **more})

    def request(self, method: str, params: Any) -> Any:
        """The result of a request; an error is raised."""
        answer = self.respond(method, params)
        assert "error" not in answer, answer
        return answer["result"]

    def respond(self, method: str, params: Any) -> dict[str, Any]:
        """The whole answer to a request."""
        self._last += 1
        wanted = self._last
        self._send({"id": wanted, "method": method, "params": params})
        while True:
            message = self._take()
            if message.get("id") == wanted and "method" not in message:
                return message

    def published(self, uri: str, version: int) -> list[Any]:
        """The diagnostics of a version of a document, once they arrive."""
        while self.diagnostics.get(uri, {}).get("version") != version:
            self._take()
        found: list[Any] = self.diagnostics[uri]["diagnostics"]
        return found

    def notify(self, method: str, params: Any) -> None:
        self._send({"method": method, "params": params})

    def shut_down(self) -> tuple[int, str]:
        """Ends the session as an editor does; the exit code, and what the server wrote to standard error."""
        self.request("shutdown", None)
        self.notify("exit", None)
        code = self.process.wait(SECONDS)
        self._readers[1].join(SECONDS)
        return code, self._errors.decode()

    def close(self) -> None:
        """Ends the process, whatever it is doing."""
        self.process.kill()
        self.process.wait()
        for reader in self._readers:
            reader.join(SECONDS)
        for stream in (self.process.stdin, self.process.stdout, self.process.stderr):
            with suppress(OSError):  # what was not sent yet cannot be sent any more
                assert stream is not None
                stream.close()

    def _send(self, message: dict[str, Any]) -> None:
        body = json.dumps({"jsonrpc": "2.0", **message}).encode()
        assert self.process.stdin is not None
        self.process.stdin.write(b"Content-Length: %d\r\n\r\n" % len(body) + body)
        self.process.stdin.flush()

    def _take(self) -> dict[str, Any]:
        message = self._incoming.get(timeout=SECONDS)
        assert message is not None, f"the server is gone: {self._errors.decode()}"
        assert message.get("method") not in ("window/showMessage", "window/logMessage"), message
        if message.get("method") == "textDocument/publishDiagnostics":
            self.diagnostics[message["params"]["uri"]] = message["params"]
        return message

    def _listen(self, stream: IO[bytes]) -> None:
        while header := stream.readline():
            length = int(header.split(b":")[1]) if header.lower().startswith(b"content-length") else None
            while header.strip():
                header = stream.readline()
                if header.lower().startswith(b"content-length"):
                    length = int(header.split(b":")[1])
            assert length is not None
            self._incoming.put(json.loads(stream.read(length)))
        self._incoming.put(None)

    def _collect(self, stream: IO[bytes]) -> None:
        self._errors = stream.read()
