"""A headless Chromium over WebDriver's plain HTTP and JSON, with nothing but the standard library."""

import base64
import json
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


def missing() -> str:
    """Why no browser can be started here; empty if one can."""
    absent = [name for name in ("chromium", "chromedriver") if shutil.which(name) is None]
    return f"{' and '.join(absent)} not installed (Debian: apt install chromium chromium-driver)" if absent else ""


class Browser:
    """One browser window. `profile` is an empty folder for its files."""

    def __init__(self, profile: Path, width: int = 1400, height: int = 1000, dark: bool = False) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        self._driver = subprocess.Popen(
            ["chromedriver", f"--port={port}"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        self._session = f"http://127.0.0.1:{port}"
        self._wait_for_driver()
        arguments = [*FLAGS, f"--user-data-dir={profile}", f"--window-size={width},{height}"]
        options = {"binary": shutil.which("chromium"), "args": arguments}
        always = {"goog:chromeOptions": options, "goog:loggingPrefs": {"browser": "ALL"}}
        created = self._ask("POST", "/session", {"capabilities": {"alwaysMatch": always}})
        self._session += f"/session/{created['sessionId']}"
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500}
        self.devtools("Emulation.setDeviceMetricsOverride", **size)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.devtools("Emulation.setEmulatedMedia", features=[scheme])

    def __enter__(self) -> "Browser":
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self._ask("DELETE", "")
        finally:
            self._driver.terminate()
            self._driver.wait()

    def open(self, path: Path, fragment: str = "") -> None:
        self._ask("POST", "/url", {"url": "about:blank"})  # a new fragment alone would not load the page anew
        self._ask("POST", "/url", {"url": path.absolute().as_uri() + fragment})

    def visit(self, address: str) -> None:
        self._ask("POST", "/url", {"url": address})

    def enter(self, selector: str) -> None:
        """Go on inside a frame, until `leave`."""
        frame = self._ask("POST", "/element", {"using": "css selector", "value": selector})
        self._ask("POST", "/frame", {"id": frame})

    def leave(self) -> None:
        self._ask("POST", "/frame", {"id": None})

    def click(self, selector: str, x: float = 0.5, y: float = 0.5) -> None:
        """A real click of the mouse on an element, at shares of its width and height."""
        found = "const element = document.querySelector(args[0]); element.scrollIntoView({ block: 'center' });"
        width, height = self.run(f"{found} return [element.offsetWidth, element.offsetHeight]", selector)
        element = self._ask("POST", "/element", {"using": "css selector", "value": selector})
        at = {"x": round((x - 0.5) * width), "y": round((y - 0.5) * height), "origin": element}
        steps = [{"type": "pointerMove", "duration": 0, **at}, {"type": "pointerDown", "button": 0}]
        mouse = {"type": "pointer", "id": "mouse", "actions": [*steps, {"type": "pointerUp", "button": 0}]}
        self._ask("POST", "/actions", {"actions": [mouse]})

    def run(self, script: str, *arguments: Any) -> Any:
        """Run the body of an async function in the page and return what it returns."""
        body = (
            "const done = arguments[arguments.length - 1], args = [...arguments];"
            f"(async () => {{ {script} }})().then(done, (error) => done('failed: ' + error));"
        )
        return self._ask("POST", "/execute/async", {"script": body, "args": list(arguments)})

    def wait(self, condition: str, seconds: float = 20) -> None:
        """Wait until an expression of the page is true."""
        end = time.monotonic() + seconds
        while not self.run(f"return Boolean({condition})"):
            if time.monotonic() > end:
                raise TimeoutError(f"the page did not come to: {condition}")
            time.sleep(0.05)

    def console(self) -> list[str]:
        return [entry["message"] for entry in self._ask("POST", "/se/log", {"type": "browser"})]

    def screenshot(self, path: Path) -> None:
        path.write_bytes(base64.b64decode(self._ask("GET", "/screenshot")))

    def devtools(self, command: str, **parameters: Any) -> Any:
        return self._ask("POST", "/goog/cdp/execute", {"cmd": command, "params": parameters})

    def _wait_for_driver(self) -> None:
        for _ in range(200):
            try:
                self._ask("GET", "/status")
                return
            except urllib.error.URLError:
                time.sleep(0.05)
        raise TimeoutError("chromedriver did not start")

    def _ask(self, method: str, path: str, body: dict | None = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(
            self._session + path, data, {"Content-Type": "application/json"}, method=method
        )
        try:
            with urllib.request.urlopen(request, timeout=120) as answer:
                return json.load(answer)["value"]
        except urllib.error.HTTPError as error:
            with error:
                raise RuntimeError(error.read().decode()[:500]) from error
