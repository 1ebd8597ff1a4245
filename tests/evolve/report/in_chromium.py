"""A page in a real browser: `make report-check`, with the Chromium that $CHROMIUM names.

Chromium is spoken to through a pipe, message by message, so nothing else has to be installed. Each page is opened as a
desktop and as a telephone would, by day and by night, and on paper.
"""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

SCREENS = {"desktop": (1280, 800), "telephone": (390, 844), "narrow": (320, 640)}
SCHEMES = ("light", "dark")

LOOK = Path(__file__).with_name("look.js").read_text(encoding="utf-8")


class Chromium:
    """A browser without a window. Messages are JSON, each ended by NUL, on descriptors 3 and 4."""

    def __init__(self, program: str) -> None:
        self._profile = tempfile.TemporaryDirectory(prefix="glo-chromium-", ignore_cleanup_errors=True)
        to_read, self._write = os.pipe()
        self._read, to_write = os.pipe()
        flags = ["--headless", "--remote-debugging-pipe", "--disable-gpu", "--no-first-run", "--disable-extensions"]
        flags += ["--no-sandbox"] * (os.geteuid() == 0) + [f"--user-data-dir={self._profile.name}"]
        line = f'exec "$0" "$@" 3<&{to_read} 4>&{to_write}'
        self._process = subprocess.Popen(
            ["bash", "-c", line, program, *flags], pass_fds=(to_read, to_write), stderr=subprocess.DEVNULL
        )
        os.close(to_read)
        os.close(to_write)
        self._rest, self._count, self._session = b"", 0, ""
        self.events: list[dict[str, Any]] = []

    def __enter__(self) -> Self:
        target = self.ask("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.ask("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network", "Security"):
            self.ask(f"{domain}.enable")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.terminate()
        self._process.wait(10)
        os.close(self._write)
        os.close(self._read)
        self._profile.cleanup()

    def ask(self, method: str, **params: Any) -> dict[str, Any]:
        self._count += 1
        message: dict[str, Any] = {"id": self._count, "method": method, "params": params}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._write, json.dumps(message).encode() + b"\0")
        for answer in self._messages():
            if answer.get("id") == self._count:
                if "error" in answer:
                    raise RuntimeError(f"{method}: {answer['error']}")
                return dict(answer["result"])
            self.events.append(answer)
        raise RuntimeError(f"{method}: Chromium has gone")

    def wait(self, method: str) -> None:
        """Until there was such an event."""
        messages = self._messages()
        while not any(event.get("method") == method for event in self.events):
            self.events.append(next(messages))

    def _messages(self) -> Iterator[dict[str, Any]]:
        while True:
            while b"\0" in self._rest:
                text, _, self._rest = self._rest.partition(b"\0")
                yield json.loads(text)
            more = os.read(self._read, 1 << 20)
            if not more:
                return
            self._rest += more

    def complaints(self, page: Path, screen: str, scheme: str, picture: Path | None = None) -> list[str]:
        """What is wrong with a page on a screen."""
        width, height = SCREENS[screen]
        # Not as a mobile device: one of those makes its window as wide as what is too wide for it.
        self.ask("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)
        self.ask("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
        self.events.clear()
        self.ask("Page.navigate", url=page.as_uri())
        self.wait("Page.loadEventFired")
        looked = self.ask("Runtime.evaluate", expression=LOOK, returnByValue=True)["result"]
        found = looked.get("value", [looked.get("description", "could not be looked at")])
        if picture is not None:
            shot = self.ask("Page.captureScreenshot", captureBeyondViewport=True)["data"]
            picture.write_bytes(base64.b64decode(shot))
        return [*found, *self._heard(page)]

    def paper(self, page: Path) -> bytes:
        """The page that was opened last, as it is printed."""
        return base64.b64decode(self.ask("Page.printToPDF")["data"])

    def _heard(self, page: Path) -> Iterator[str]:
        for event in self.events:
            method, params = event.get("method"), event.get("params", {})
            if method == "Runtime.consoleAPICalled" or method == "Runtime.exceptionThrown":
                yield f"console: {json.dumps(params)[:200]}"
            elif method == "Log.entryAdded":
                yield f"log: {params['entry']['text']}"
            elif method == "Network.requestWillBeSent":
                url = params["request"]["url"]
                if url != page.as_uri() and not url.startswith("data:"):
                    yield f"asked for {url[:100]}"


@contextmanager
def pages(given: list[str]) -> Iterator[list[Path]]:
    """Those that are named, or one about a small search."""
    if given:
        yield [Path(name).resolve() for name in given]
        return
    from glo_dsl.evolve.session import Where, begin
    from tests.evolve.conftest import small

    with tempfile.TemporaryDirectory() as directory:
        begin(small(trainings=200), Path(directory), Where(workers=1))
        yield [Path(directory) / "report.html"]


def main(words: list[str]) -> int:
    program = os.environ.get("CHROMIUM", "chromium")
    if shutil.which(program) is None:
        print(f"there is no {program}: name a Chromium, such as CHROMIUM=chromium-headless-shell")
        return 2
    with pages(words) as files, Chromium(program) as browser:
        bad = 0
        for file in files:
            for screen in SCREENS:
                for scheme in SCHEMES:
                    found = browser.complaints(file, screen, scheme)
                    bad += len(found)
                    print(f"{file.name}, {screen}, {scheme}: {'; '.join(found) or 'fine'}")
            if not browser.paper(file).startswith(b"%PDF"):
                bad += 1
                print(f"{file.name} cannot be printed")
    return min(bad, 1)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
