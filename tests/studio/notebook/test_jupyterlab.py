"""A notebook in a real JupyterLab: a view, a trace and a widget in cells, a click, its trait in the next."""

import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from .. import webdriver

pytest.importorskip("anywidget")
pytest.importorskip("jupyterlab")
pytestmark = pytest.mark.skipif(bool(webdriver.missing()), reason=webdriver.missing() or "-")

SHIP = Path(__file__).parents[3] / "docs" / "ship.jpg"

CELLS = [
    f"""
import saccade
view = saccade.look('cifar', {str(SHIP)!r})
view""",
    """
heard = []
widget = view.widget()
widget.observe(lambda change: heard.append((change.name, change.new)), 'token')
widget""",
    "print('AT', widget.mode, widget.token, widget.layer, widget.head, widget.view)",
    "print('CLICKED', widget.token, heard[-1])",
    "widget.token, widget.layer, widget.head = 3, 0, 1",
    "print('SET', widget.token, widget.layer, widget.head, view.trace[widget.layers[widget.layer]][0].shape)",
    "widget.token = 999",
    "view.trace",
]


def notebook(cells: list[str]) -> str:
    made = [
        {"cell_type": "code", "id": f"cell{i}", "source": text.strip(), "outputs": [], "metadata": {}}
        | {"execution_count": None}
        for i, text in enumerate(cells)
    ]
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    return json.dumps({"cells": made, "metadata": {"kernelspec": kernel}, "nbformat": 4, "nbformat_minor": 5})


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[str]:
    """The address of a JupyterLab with a notebook `n.ipynb` of these cells."""
    (tmp_path / "n.ipynb").write_text(notebook(CELLS))
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    address = f"http://127.0.0.1:{port}"
    home = {"HOME": str(tmp_path), "JUPYTER_CONFIG_DIR": str(tmp_path / "config"), "OMP_NUM_THREADS": "1"}
    options = [f"--port={port}", "--ServerApp.port_retries=0", "--IdentityProvider.token=", "--no-browser"]
    options += ["--allow-root", f"--ServerApp.root_dir={tmp_path}", "--LabApp.expose_app_in_browser=True"]
    with (tmp_path / "log").open("w") as log:
        command = [sys.executable, "-m", "jupyterlab", *options]
        server = subprocess.Popen(command, env=os.environ | home, stdout=log, stderr=subprocess.STDOUT)
        try:
            for _ in range(300):
                try:
                    urllib.request.urlopen(f"{address}/api", timeout=5).close()
                    break
                except OSError:
                    time.sleep(0.3)
            yield address
        finally:
            server.terminate()
            server.wait()


class Lab(webdriver.Browser):
    """JupyterLab with the notebook open."""

    def start(self, address: str) -> None:
        self.visit(f"{address}/doc/tree/n.ipynb")
        self.wait(f"window.jupyterapp && document.querySelectorAll('.jp-CodeCell').length === {len(CELLS)}", 120)
        self.wait("jupyterapp.shell.currentWidget?.sessionContext?.session?.kernel?.status === 'idle'", 120)

    def execute(self, i: int) -> str:
        """Run a cell and return the text of its output."""
        self.run(
            "const { content } = jupyterapp.shell.currentWidget; content.activeCellIndex = args[0];"
            "content.deselectAll(); jupyterapp.commands.execute('notebook:run-cell');",
            i,
        )
        cell = f"jupyterapp.shell.currentWidget.content.widgets[{i}]"
        self.wait(f"/\\d/.test({cell}.promptNode.innerText)", 180)
        return self.run(f"return {cell}.outputArea.node.innerText")

    def inside(self, i: int, condition: str) -> None:
        """Wait for a condition of the page in the output of a cell, and stay in it."""
        self.run(f"jupyterapp.shell.currentWidget.content.widgets[{i}].node.dataset.cell = {i}")
        self.wait(f"document.querySelector('[data-cell=\"{i}\"] iframe')", 60)
        self.run(f"document.querySelector('[data-cell=\"{i}\"] iframe').scrollIntoView()")  # else it is not drawn
        self.enter(f'[data-cell="{i}"] iframe')
        self.wait(condition, 60)


def test_a_notebook(lab: str, tmp_path: Path) -> None:
    shots = Path(os.environ.get("SACCADE_SHOTS", tmp_path))
    chosen = "document.getElementById('chosen').textContent"
    with Lab(tmp_path / "profile", 1300, 1100) as browser:
        browser.start(lab)
        assert "Error" not in browser.execute(0)
        browser.inside(0, "document.getElementById('maps').ariaBusy === 'false'")
        assert not browser.run("return document.querySelector('.lead details').open")
        browser.leave()
        browser.screenshot(shots / "view.png")
        browser.execute(1)
        browser.inside(1, "document.getElementById('maps').ariaBusy === 'false'")
        browser.leave()
        assert "AT self 0 8 None row" in browser.execute(2)

        browser.inside(1, "true")
        browser.click("#picture", 2.5 / 10, 1.5 / 10)
        browser.wait(f"{chosen}.includes('row 2, column 3')")
        browser.leave()
        assert "CLICKED 13 ('token', 13)" in browser.execute(3)

        browser.execute(4)
        assert "SET 3 0 1 (1, 4, 101, 101)" in browser.execute(5)
        browser.inside(1, f"{chosen}.includes('row 1, column 3')")
        values = "return ['layer', 'head'].map((id) => document.getElementById(id).value)"
        assert browser.run(values) == ["1", "1"]
        browser.leave()
        browser.screenshot(shots / "widget.png")
        assert "token 999: this page has 0 to 100" in browser.execute(6)

        browser.execute(7)
        browser.inside(7, "document.getElementById('readout').textContent.includes('Highest')")
        assert browser.run("return document.querySelectorAll('#calls tbody tr').length") == 9
        browser.leave()
        browser.screenshot(shots / "trace.png")
