"""A real Chromium, driven by the DevTools protocol over two pipes: JSON messages that end with NUL.

    Chromium ─► Tab: go, evaluate, wait, press, write, click, screenshot

When this process ends for any reason, the pipes close and the browser ends too. A tab collects its
`problems`: uncaught exceptions, console errors, and violations of the security policy.
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import select
import shutil
import subprocess
import sys
import time

from running import PATIENCE, wait_until

START_DEADLINE = 60.0  # seconds; the first start on a loaded machine
FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-extensions",
    "--disable-dev-shm-usage",
    "--no-default-browser-check",
    "--hide-scrollbars",
    "--remote-debugging-pipe",
]
# Chromium reads from file descriptor 3 and writes to 4. The child moves them there. It duplicates
# them above 9 first, so that neither overwrites the other.
LAUNCH = (
    "import fcntl, os, sys\n"
    "reads, writes = (fcntl.fcntl(int(number), fcntl.F_DUPFD, 10) for number in sys.argv[1:3])\n"
    "os.dup2(reads, 3), os.dup2(writes, 4), os.close(reads), os.close(writes)\n"
    "os.execv(sys.argv[3], sys.argv[3:])\n"
)
KEYS = {
    "Enter": (13, "\r"),
    "Escape": (27, ""),
    "Tab": (9, ""),
    "ArrowUp": (38, ""),
    "ArrowDown": (40, ""),
    "ArrowLeft": (37, ""),
    "ArrowRight": (39, ""),
    " ": (32, " "),
}


def find_chromium() -> str | None:
    return next(
        filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
    )


class Chromium:
    def __init__(self, program: str, profile: str) -> None:
        child_reads, self._writes = os.pipe()
        self._reads, child_writes = os.pipe()
        self._log = open(os.path.join(profile, "said"), "w+b")
        launcher = [sys.executable, "-c", LAUNCH, str(child_reads), str(child_writes)]
        self._process = subprocess.Popen(
            [*launcher, program, *FLAGS, f"--user-data-dir={profile}/data", "about:blank"],
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=self._log,
            pass_fds=(child_reads, child_writes),
            env={**os.environ, "HOME": profile},
        )
        os.close(child_reads), os.close(child_writes)
        self._held, self._calls, self.tabs = b"", 0, {}
        self.call("Browser.getVersion", patience=START_DEADLINE)

    def __enter__(self) -> Chromium:
        return self

    def __exit__(self, *_) -> None:
        os.close(self._writes)
        try:
            self._process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        os.close(self._reads)
        self._log.close()

    def call(
        self, method: str, params=None, session: str | None = None, patience: float = PATIENCE
    ) -> dict:
        """Send a command and wait for its answer; events in between go to their tabs."""
        number = self.tell(method, params, session)
        deadline = time.monotonic() + patience
        while True:
            answer = self._receive(deadline, f"{method} was not answered")
            if answer.get("id") == number:
                assert "error" not in answer, f"{method}: {answer['error']}"
                return answer["result"]

    def tell(self, method: str, params=None, session: str | None = None) -> int:
        """Send a command without a wait for its answer."""
        self._calls += 1
        message = {"id": self._calls, "method": method, "params": params or {}}
        data = (
            json.dumps({**message, "sessionId": session} if session else message).encode() + b"\0"
        )
        while data:
            data = data[os.write(self._writes, data) :]
        return self._calls

    def _receive(self, deadline: float, otherwise: str) -> dict:
        """Return the next message; an event also goes to its tab."""
        while b"\0" not in self._held:
            ready, _, _ = select.select(
                [self._reads], [], [], max(0.0, deadline - time.monotonic())
            )
            data = os.read(self._reads, 1 << 20) if ready else b""
            assert data, (
                f"{otherwise}: {'the browser is gone' if ready else 'time is up'}: {self.said()}"
            )
            self._held += data
        raw, _, self._held = self._held.partition(b"\0")
        message = json.loads(raw)
        if "method" in message and message.get("sessionId") in self.tabs:
            self.tabs[message["sessionId"]].hear(message["method"], message["params"])
        return message

    def said(self) -> str:
        self._log.seek(0)
        return self._log.read().decode("utf-8", "replace")[-2000:]

    def tab(self, width: int = 1280, height: int = 900) -> Tab:
        target = self.call("Target.createTarget", {"url": "about:blank"})["targetId"]
        session = self.call("Target.attachToTarget", {"targetId": target, "flatten": True})[
            "sessionId"
        ]
        return Tab(self, target, session, width, height)


class Tab:
    def __init__(
        self, browser: Chromium, target: str, session: str, width: int, height: int
    ) -> None:
        self._browser, self._target, self._session = browser, target, session
        self.problems: list[str] = []
        self._forgiven: list[str] = []
        self._lost, self._paused = "", 0
        browser.tabs[session] = self
        for domain in ("Page", "Runtime", "Log", "Audits", "Network"):
            self.call(f"{domain}.enable")
        self.resize(width, height)

    def __enter__(self) -> Tab:
        return self

    def __exit__(self, *_) -> None:
        self._browser.tabs.pop(self._session)
        self._browser.call("Target.closeTarget", {"targetId": self._target})

    def call(self, method: str, params=None) -> dict:
        return self._browser.call(method, params, self._session)

    def hear(self, method: str, params: dict) -> None:
        if method == "Runtime.exceptionThrown":
            self._note(json.dumps(params["exceptionDetails"]))
        elif method == "Runtime.consoleAPICalled" and params["type"] in ("error", "assert"):
            self._note(json.dumps(params["args"]))
        elif method == "Log.entryAdded" and params["entry"]["level"] == "error":
            entry = params["entry"]
            self._note(f"{entry['source']}: {entry['text']} {entry.get('url', '')}")
        elif method == "Audits.issueAdded" and "SecurityPolicy" in params["issue"]["code"]:
            self._note(json.dumps(params["issue"]))
        elif method == "Fetch.requestPaused":
            self._paused += 1
            asked, reason = {"requestId": params["requestId"]}, {"errorReason": "ConnectionReset"}
            if params["request"]["url"].endswith(self._lost):
                self._browser.tell("Fetch.failRequest", {**asked, **reason}, self._session)
            else:
                self._browser.tell("Fetch.continueRequest", asked, self._session)
        elif method == "Page.javascriptDialogOpening":
            self._note(f"a dialog: {params['message']}")

    def _note(self, problem: str) -> None:
        if not any(text in problem for text in self._forgiven):
            self.problems.append(problem)

    def forgive(self, text: str) -> None:
        """Ignore problems that contain this text, now and later.

        Use it for answers that the test provoked. Chromium's network process may report them late.
        """
        self._forgiven.append(text)
        self.problems = [problem for problem in self.problems if text not in problem]

    # -- looking ------------------------------------------------------------------

    def evaluate(self, expression: str):
        result = self.call(
            "Runtime.evaluate",
            {
                "expression": expression,
                "awaitPromise": True,
                "returnByValue": True,
                "allowUnsafeEvalBlockedByCSP": False,
            },
        )
        assert "exceptionDetails" not in result, f"{expression}: {result['exceptionDetails']}"
        return result["result"].get("value")

    def wait(self, expression: str, patience: float = PATIENCE):
        """Wait until the expression has a true value, and return it."""
        return wait_until(
            lambda: self.evaluate(expression),
            f"{expression} in the page; {self.problems}",
            patience,
        )

    def text(self, selector: str) -> str:
        return self.evaluate(f"document.querySelector({json.dumps(selector)})?.innerText ?? ''")

    def wait_text(self, selector: str, text: str) -> None:
        shown = f"document.querySelector({json.dumps(selector)})?.innerText ?? ''"
        self.wait(f"({shown}).includes({json.dumps(text)})")

    def screenshot(self, path: str, whole: bool = False) -> None:
        with open(path, "wb") as file:
            file.write(
                base64.b64decode(
                    self.call(
                        "Page.captureScreenshot", {"format": "png", "captureBeyondViewport": whole}
                    )["data"]
                )
            )

    @contextlib.contextmanager
    def losing_answers(self, end: str):
        """Requests to URLs that end so reach the server, but the browser loses their answers."""
        self._lost, self._paused = end, 0
        self.call("Fetch.enable", {"patterns": [{"requestStage": "Response"}]})
        # `Fetch.enable` returns before it takes effect in the document.
        wait_until(
            lambda: self.evaluate("fetch('health').then(() => 1)") and self._paused,
            "a request that the browser holds",
        )
        yield
        self.call("Fetch.disable")

    # -- acting -------------------------------------------------------------------

    def go(self, url: str) -> None:
        self.call("Page.navigate", {"url": url})
        start = json.dumps(url.partition("#")[0])
        self.wait(f"document.readyState === 'complete' && location.href.startsWith({start})")

    def resize(self, width: int, height: int) -> None:
        self.call(
            "Emulation.setDeviceMetricsOverride",
            {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False},
        )

    def prefer(self, **features: str) -> None:
        """Set preferences of the system, as in prefer(color_scheme="dark")."""
        named = [
            {"name": f"prefers-{name.replace('_', '-')}", "value": value}
            for name, value in features.items()
        ]
        self.call("Emulation.setEmulatedMedia", {"features": named})

    def press(self, key: str, modifiers: int = 0) -> None:
        """Press and release one key; modifiers: 1 Alt, 2 Ctrl, 4 Meta, 8 Shift."""
        code, text = KEYS.get(key) or (ord(key.upper()), key)
        event = {
            "key": key,
            "windowsVirtualKeyCode": code,
            "modifiers": modifiers,
            "code": key if len(key) > 1 else "",
        }
        self.call(
            "Input.dispatchKeyEvent",
            {
                "type": "keyDown" if text and not modifiers & 7 else "rawKeyDown",
                **event,
                **({"text": text} if text and not modifiers & 7 else {}),
            },
        )
        self.call("Input.dispatchKeyEvent", {"type": "keyUp", **event})

    def write(self, text: str) -> None:
        """Insert text into the focused element."""
        self.call("Input.insertText", {"text": text})

    def click(self, selector: str) -> None:
        x, y = self.wait(
            f"(() => {{ const node = document.querySelector({json.dumps(selector)});"
            " node?.scrollIntoView({block: 'nearest'});"
            " const box = node?.getBoundingClientRect();"
            " return box && box.width ? [box.x + box.width / 2, box.y + box.height / 2] : null })()"
        )
        for kind in ("mousePressed", "mouseReleased"):
            self.call(
                "Input.dispatchMouseEvent",
                {"type": kind, "x": x, "y": y, "button": "left", "clickCount": 1},
            )
