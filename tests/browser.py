"""A real browser for tests: Debian's Chromium, driven through chromedriver by plain WebDriver requests.

What tests need of WebDriver (https://www.w3.org/TR/webdriver2/) is a dozen requests with JSON in and out.
"""

import base64
import json
import re
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

# Chromium's sandbox does not work for root, nor in many containers. Nothing is to be fetched by itself.
OPTIONS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--hide-scrollbars",
)
_ELEMENT = "element-6066-11e4-a52e-4f735466cecf"
KEYS = {"Enter": "\ue007", "Escape": "\ue00c", "Tab": "\ue004", "ArrowRight": "\ue014", "ArrowLeft": "\ue012"}


class Browser:
    """One window. Methods raise RuntimeError with what the driver says."""

    def __init__(self, address: str, profile: Path) -> None:
        self._address = address
        options = {"args": [*OPTIONS, f"--user-data-dir={profile}"]}
        wanted = {
            "goog:chromeOptions": options,
            "goog:loggingPrefs": {"browser": "ALL", "performance": "ALL"},
        }
        made = self._ask("POST", "/session", {"capabilities": {"alwaysMatch": wanted}})
        self._session = f"/session/{made['sessionId']}"

    def open(self, page: Path, fragment: str = "") -> None:
        """Show a file, from the beginning."""
        self._post("/url", {"url": "about:blank"})
        self.requests()  # those of the page that a browser begins with
        self._post("/url", {"url": page.as_uri() + fragment})

    def run(self, script: str, *arguments: Any) -> Any:
        """What JavaScript returns: the body of a function."""
        return self._post("/execute/sync", {"script": script, "args": [*arguments]})

    def texts(self, selector: str) -> list[str]:
        """The visible texts of all elements."""
        return list(
            self.run(
                "return [...document.querySelectorAll(arguments[0])].map(e => e.innerText ?? e.textContent)",
                selector,
            )
        )

    def count(self, selector: str) -> int:
        """How many elements there are."""
        return int(self.run("return document.querySelectorAll(arguments[0]).length", selector))

    def click(self, selector: str) -> None:
        """Click, as a mouse does: the element has to be seen, and nothing to lie over it."""
        self._post(f"/element/{self._find(selector)}/click", {})

    def type(self, selector: str, text: str) -> None:
        """Type into an element; names of KEYS stand for these keys."""
        self._post(f"/element/{self._find(selector)}/value", {"text": KEYS.get(text, text)})

    def press(self, key: str) -> None:
        """Press a key where the focus is."""
        active = self._ask("GET", f"{self._session}/element/active")[_ELEMENT]
        self._post(f"/element/{active}/value", {"text": KEYS.get(key, key)})

    def drag(self, selector: str, x: int, y: int) -> None:
        """Press the mouse in the middle of an element, move it so far, and let go."""
        origin = {_ELEMENT: self._find(selector)}
        moves = [
            {"type": "pointerMove", "duration": 0, "x": 0, "y": 0, "origin": origin},
            {"type": "pointerDown", "button": 0},
            {"type": "pointerMove", "duration": 50, "x": x, "y": y, "origin": "pointer"},
            {"type": "pointerUp", "button": 0},
        ]
        mouse = {"type": "pointer", "id": "mouse", "parameters": {"pointerType": "mouse"}, "actions": moves}
        self._post("/actions", {"actions": [mouse]})

    def resize(self, width: int, height: int) -> None:
        """Give the page so many pixels, fewer than a window of a desktop may have."""
        self.devtools(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=False,
        )

    def devtools(self, command: str, **parameters: Any) -> Any:
        """A command of the DevTools protocol."""
        return self._post("/goog/cdp/execute", {"cmd": command, "params": parameters})

    def prefer(self, scheme: str) -> None:
        """`light` or `dark`."""
        feature = {"name": "prefers-color-scheme", "value": scheme}
        self.devtools("Emulation.setEmulatedMedia", features=[feature])

    def screenshot(self) -> bytes:
        """A PNG of what is seen."""
        return base64.b64decode(self._ask("GET", f"{self._session}/screenshot"))

    def printed(self) -> bytes:
        """The page as a PDF."""
        return base64.b64decode(self._post("/print", {}))

    def complaints(self) -> list[str]:
        """What the console has shown since this was asked last: errors of scripts, breaches of the policy."""
        return [str(entry["message"]) for entry in self._log("browser")]

    def requests(self) -> list[str]:
        """The addresses that were asked for since this was asked last."""
        events = [json.loads(entry["message"])["message"] for entry in self._log("performance")]
        return [
            event["params"]["request"]["url"]
            for event in events
            if event["method"] == "Network.requestWillBeSent"
        ]

    def quit(self) -> None:
        """Close the window."""
        self._ask("DELETE", self._session)

    def _log(self, kind: str) -> Sequence[Mapping[str, Any]]:
        entries: Sequence[Mapping[str, Any]] = self._post("/se/log", {"type": kind})
        return entries

    def _find(self, selector: str) -> str:
        return str(self._post("/element", {"using": "css selector", "value": selector})[_ELEMENT])

    def _post(self, path: str, body: Mapping[str, Any]) -> Any:
        return self._ask("POST", self._session + path, body)

    def _ask(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Any:
        content = json.dumps(body).encode() if body is not None else None
        request = Request(self._address + path, content, {"Content-Type": "application/json"}, method=method)
        try:
            with urlopen(request, timeout=60) as answer:
                return json.load(answer)["value"]
        except HTTPError as error:
            raise RuntimeError(json.load(error)["value"]["message"]) from None


@contextmanager
def browser(folder: Path) -> Iterator[Browser]:
    """A browser with a profile of its own in `folder`, ended at the end with all that it has started."""
    driver = subprocess.Popen(
        ["chromedriver", "--port=0"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        assert driver.stdout is not None
        port = next(
            filter(None, (re.search(r"started successfully on port (\d+)", line) for line in driver.stdout))
        )
        opened = Browser(f"http://127.0.0.1:{port[1]}", folder / "profile")
        try:
            yield opened
        finally:
            opened.quit()
    finally:
        driver.terminate()
        driver.wait()
        driver.stdout.close()
