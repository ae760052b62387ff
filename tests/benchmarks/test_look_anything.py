"""The benchmark of pages finds what is wrong on one, and writes its table where the last one was."""

import importlib
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from transformers import DINOv3ViTConfig, DINOv3ViTModel, SwinConfig, SwinModel

from saccade.studio.places.calls import TokenLocations
from saccade.studio.views.places import PlacesView

ROOT = Path(__file__).parents[2]
TINY = {"num_hidden_layers": 2, "num_attention_heads": 2, "hidden_size": 16, "intermediate_size": 11}


@pytest.fixture(autouse=True)
def root(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT))


def opened(make):
    pages = importlib.import_module("benchmarks.coverage.open_page")
    return pages.open_family(SimpleNamespace(family=make.__name__, group="transformers", build=make))


def subject(model, side):
    cases = importlib.import_module("benchmarks.coverage.families.cases")
    return cases.Subject(model.eval(), (), {"pixel_values": torch.randn(2, 3, side, side)})


def dinov3():
    torch.manual_seed(1)
    return subject(DINOv3ViTModel(DINOv3ViTConfig(image_size=35, patch_size=7, **TINY)), 35)


def swin():
    torch.manual_seed(1)
    config = SwinConfig(image_size=32, patch_size=4, embed_dim=8, depths=[2], num_heads=[2], window_size=4)
    return subject(SwinModel(config), 32)


@pytest.mark.parametrize(("make", "grid", "calls"), [(dinov3, [5, 5], 2), (swin, [8, 8], 2)])
def test_a_true_page_is_open(make, grid, calls):
    found = opened(make)
    assert (found.status, found.way, found.grid, found.wrong) == ("open", "command", grid, [])
    assert (found.calls, found.seen) == (calls, calls)


def test_other_numbers_are_wrong(monkeypatch):
    pages = importlib.import_module("benchmarks.coverage.page_truth")
    monkeypatch.setattr(pages, "models", lambda model: [DINOv3ViTModel(model.config).eval()])
    found = opened(dinov3)
    assert found.status == "wrong"
    assert "model.layer.0.attention (1, 2, 26, 26) equals no map of the model" in found.wrong


def test_other_places_are_wrong(monkeypatch):
    look = PlacesView.look

    def changed(task, picture, options):
        view = look(task, picture, options)
        for layer in view.targets.layers:
            targets = layer.call.targets
            object.__setattr__(layer.call, "targets", TokenLocations(targets.grid, targets.cells.flip(1)))
        return view

    monkeypatch.setattr(PlacesView, "look", changed)
    found = opened(swin)
    assert found.status == "wrong"
    assert "changed cells of 8 x 8 are elsewhere" in found.wrong[0]


def test_cells_that_depend_on_all_pixels():
    """Those in the middle change most, whatever is changed; their own pixels matter somewhat more."""
    follows = importlib.import_module("benchmarks.coverage.page_truth")._follows
    generator = torch.Generator().manual_seed(3)
    middle = torch.hann_window(7, periodic=False).add(0.1).outer(torch.hann_window(7, periodic=False).add(0.1))

    def change(row, column):
        found = middle * (1 + 0.3 * torch.rand(7, 7, generator=generator))
        found[row, column] *= 1.5
        return found

    assert follows(change, (7, 7))
    assert not follows(lambda row, column: change(row, 6 - column), (7, 7))
    assert not follows(lambda row, column: change(column, row), (7, 7))


def test_inputs_are_those_of_the_page():
    pages = importlib.import_module("benchmarks.coverage.open_page")
    model = torch.nn.Identity()

    def opens():
        model(torch.zeros(1, 3, 5, 5))  # to measure the work
        model(torch.ones(1, 3, 7, 11))
        model(torch.zeros(1, 3, 7, 11))
        return SimpleNamespace(pixels=(7, 11))

    given = pages.record(model, opens)[1].args[0]
    assert torch.equal(given, torch.ones(1, 3, 7, 11))


def test_the_table():
    tables = importlib.import_module("benchmarks.coverage.look_anything")
    page = (ROOT / "docs" / "coverage.md").read_text(encoding="utf-8")
    assert {"dinov3_vit", "swin", "timm.eva"} <= tables.captured(page)
    assert not {"groupvit", "MultiheadAttention", "resnet"} & tables.captured(page)
    Opened = importlib.import_module("benchmarks.coverage.open_page").Opened
    rows = [
        Opened("swin", "transformers", model="SwinModel", way="command", grid=[8, 8], calls=2, seen=2),
        Opened("beit", "transformers", "no | grid", model="BeitModel"),
        Opened("git", "transformers", "no picture", counted=False),
    ]
    table = tables.markdown(rows)
    assert "| transformers | 2 | 1 | 1 | 0 | 1 | 50.0% |" in table
    assert "| swin | open | command | 8 x 8 | 2 of 2 |  |" in table
    assert "| beit | refused |  |  |  | no / grid |" in table
    assert "- git: no picture." in table
    report = importlib.import_module("benchmarks.coverage.report")
    once = report.with_pages("# Page\n", table)
    assert once.startswith("# Page\n\n<!-- pages -->")
    assert report.pages_of(once) == table
    assert report.with_pages(once, table.replace("50.0%", "60.0%")) == once.replace("50.0%", "60.0%")
    assert report.with_pages("# Other\n", report.pages_of("# Page\n")) == "# Other\n"
