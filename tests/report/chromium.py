"""Headless Chromium, driven through its debugging pipe: no driver program, no network port."""

from __future__ import annotations

import base64
import json
import os
import select
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

PHONE = (390, 844, 2, True)
DESKTOP = (1280, 900, 1, False)
_NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome-headless-shell")
_PATIENCE_S = 60.0
# The browser reads from descriptor 3 and writes to 4; which may be those that we have by chance.
_START = """
import fcntl, os, sys
high = [fcntl.fcntl(int(word), fcntl.F_DUPFD, 10) for word in sys.argv[1:3]]
for number, place in zip(high, (3, 4)):
    os.dup2(number, place)
os.execv(sys.argv[3], sys.argv[3:])
"""
_OPTIONS = (
    "--headless",
    "--no-sandbox",  # the tests' own page; and the sandbox refuses to start as root
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-extensions",
    "--no-first-run",
    "--hide-scrollbars",
    "--remote-debugging-pipe",
)


def find_chromium() -> str:
    """The browser's path; skips where there is none, but not in continuous integration."""
    for name in _NAMES:
        path = shutil.which(name)
        if path is not None:
            return path
    message = "needs a browser: apt-get install chromium"
    if os.environ.get("CI"):
        pytest.fail(message)
    pytest.skip(message)


class Browser:
    """One page of a running browser, and what went wrong in it.

    The protocol is JSON, each message ended by a zero byte:
    https://chromedevtools.github.io/devtools-protocol/
    """

    def __init__(self, out: int, into: int) -> None:
        self._out, self._into = out, into
        self._rest = b""
        self._number = 0
        self._session: str | None = None
        self.errors: list[str] = []
        self.requests: list[str] = []
        self._events: list[str] = []

    def attach(self) -> None:
        """Open an empty page and listen to it."""
        target = self.send("Target.createTarget", url="about:blank")["targetId"]
        answer = self.send("Target.attachToTarget", targetId=target, flatten=True)
        self._session = answer["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network", "Accessibility", "DOM"):
            self.send(f"{domain}.enable")

    def open(self, path: Path, screen: tuple[int, int, int, bool], *, dark: bool = False) -> None:
        """Load a file on a screen of a width, height, pixel ratio, and with fingers or a mouse."""
        width, height, ratio, mobile = screen
        self.send(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=ratio,
            mobile=mobile,
        )
        self.send("Emulation.setTouchEmulationEnabled", enabled=mobile)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.send("Emulation.setEmulatedMedia", features=[scheme])
        self._events.clear()
        self.send("Page.navigate", url=path.resolve().as_uri())
        self._wait("Page.loadEventFired")

    def run(self, expression: str) -> Any:
        """Return the value of a JavaScript expression in the page."""
        answer = self.send("Runtime.evaluate", expression=expression, returnByValue=True)
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def key(self, name: str) -> None:
        """Press and release a key."""
        codes = {"Enter": 13, "Tab": 9, "ArrowRight": 39, "ArrowLeft": 37}
        common = {"key": name, "code": name, "windowsVirtualKeyCode": codes[name]}
        extra = {"text": "\r"} if name == "Enter" else {}
        self.send("Input.dispatchKeyEvent", type="keyDown", **common, **extra)
        self.send("Input.dispatchKeyEvent", type="keyUp", **common)

    def mouse(self, x: float, y: float, *, click: bool = False) -> None:
        """Move the mouse, and click if wanted."""
        self.send("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=y)
        for kind in ("mousePressed", "mouseReleased") if click else ():
            self.send("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)

    def tap(self, x: float, y: float) -> None:
        """Touch the screen with a finger."""
        self.send("Input.dispatchTouchEvent", type="touchStart", touchPoints=[{"x": x, "y": y}])
        self.send("Input.dispatchTouchEvent", type="touchEnd", touchPoints=[])

    def screenshot(self, path: Path) -> None:
        """Save the whole page as a picture."""
        answer = self.send("Page.captureScreenshot", captureBeyondViewport=True)
        path.write_bytes(base64.b64decode(answer["data"]))

    def send(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Call a method of the protocol and return its answer."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": parameters}
        if self._session is not None:
            message["sessionId"] = self._session
        os.write(self._into, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._receive()
            if answer.get("id") == self._number:
                assert "error" not in answer, (method, answer["error"])
                return answer["result"]

    def _wait(self, event: str) -> None:
        while event not in self._events:
            self._receive()

    def _receive(self) -> dict[str, Any]:
        """Read one message; note it if it is an event."""
        deadline = time.monotonic() + _PATIENCE_S
        while b"\0" not in self._rest:
            ready, _, _ = select.select([self._out], [], [], max(0, deadline - time.monotonic()))
            data = os.read(self._out, 1 << 16) if ready else b""
            assert data, "the browser does not answer"
            self._rest += data
        text, self._rest = self._rest.split(b"\0", 1)
        message = json.loads(text)
        event, details = message.get("method"), message.get("params", {})
        if event is not None:
            self._events.append(event)
        if event == "Runtime.exceptionThrown":
            self.errors.append(json.dumps(details["exceptionDetails"]))
        elif event == "Log.entryAdded":
            self.errors.append(details["entry"]["text"])
        elif event == "Runtime.consoleAPICalled":
            self.errors.append(json.dumps(details["args"]))
        elif event == "Network.requestWillBeSent":
            self.requests.append(details["request"]["url"])
        return message


@contextmanager
def running_browser(folder: Path) -> Iterator[Browser]:
    """Start a browser whose profile lives in a folder; stop it at the end."""
    program = find_chromium()
    from_us, to_browser = os.pipe()
    from_browser, to_us = os.pipe()
    ends = [str(from_us), str(to_us)]
    command = [sys.executable, "-c", _START, *ends, program, *_OPTIONS]
    command += [f"--user-data-dir={folder}", "about:blank"]
    with (folder / "browser.log").open("wb") as log:
        process = subprocess.Popen(
            command, pass_fds=(from_us, to_us), stdout=log, stderr=log, start_new_session=True
        )
    os.close(from_us)
    os.close(to_us)
    try:
        browser = Browser(from_browser, to_browser)
        browser.attach()
        yield browser
        browser._session = None
        browser.send("Browser.close")
    finally:
        os.close(to_browser)
        os.close(from_browser)
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
