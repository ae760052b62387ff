"""The benchmark of emoji, with drawn discs and a tiny generator."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from .test_edits import model, module, root  # noqa: F401  # fixtures

DESIGNERS = {"flat": (255, 0, 0), "round": (0, 0, 255), "bold": (0, 255, 0)}
NAMES = 23


@pytest.fixture
def emoji(tmp_path) -> Path:
    """Squares of different places, red, blue and green; the green ones lack some names. A table names them."""
    for designer, colour in DESIGNERS.items():
        (tmp_path / "emoji" / designer).mkdir(parents=True)
        for i in range(NAMES - 5 * (designer == "bold")):
            picture = Image.new("RGBA", (48, 48))
            picture.paste(colour, (2 * i, 5, 2 * i + 11, 29))
            picture.save(tmp_path / "emoji" / designer / f"1f6{i:02}.png")
    rows = "".join(f"1f6{i:02}\tsquare {i}\n" for i in range(NAMES))
    (tmp_path / "emoji" / "captions.tsv").write_text(f"code\tname\n{rows}")
    return tmp_path / "emoji"


def test_it_runs(model, emoji, tmp_path, capsys):  # noqa: F811
    benchmark, painter = module("emoji"), module("painter")
    painting = painter.PaintSettings(str(model), device="cpu", sheets=tmp_path / "sheets", quick=True)
    settings = benchmark.EmojiSettings(emoji, val_fraction=0.4, words=True)
    benchmark.main(settings, painting, painter_outputs(tmp_path))
    found = json.loads((tmp_path / "emoji.json").read_text())
    rows = ["painted", "copy", "colour-matched copy", "nearest neighbour"]
    assert len(found["measures"]) == 6 + 1
    assert all(list(each) == rows for each in found["measures"].values())
    assert list(found["better by"]) == rows[1:]
    assert found["better by"]["copy"]["SSIM"]["value"] < 0  # the generator is not trained
    printed = capsys.readouterr().out
    assert "flat to bold: against the true picture, 48 x 48 pixels" in printed
    assert "clearly better than every other row by: none" in printed
    assert f"captions were read from {emoji / 'captions.tsv'}" in printed
    assert sorted(path.name for path in (tmp_path / "sheets").iterdir()) == ["median.png", "worst.png"]


def painter_outputs(folder: Path):
    return module("style").Outputs(folder / "emoji.json")


def opened(emoji, **more):
    benchmark = module("emoji")
    return [benchmark.drawings(each, (48, 48)) for each in benchmark.open_sets(benchmark.EmojiSettings(emoji, **more))]


def test_examples_are_held_out_and_show_the_style_on_another_name(emoji):
    benchmark = module("emoji")
    train, test = opened(emoji, val_fraction=0.4)
    assert set(train.captions).isdisjoint(test.captions)
    examples = benchmark.examples_of(test, "flat", "round", 99)
    assert {each.name for each in examples} == set(test.captions)
    for each in examples:
        assert np.array_equal(each.truth, each.content[..., [2, 1, 0]])
        assert not np.array_equal(each.style, each.truth)
        assert each.caption == f"square {int(each.name[3:])}"


def test_the_neighbour_is_nearest_by_the_image_and_drawn_by_the_other_designer(emoji):
    benchmark = module("emoji")
    train, test = opened(emoji, every_name=True)
    assert set(train.captions) == set(test.captions)
    examples = benchmark.examples_of(test, "bold", "flat", 99)
    assert len(examples) == NAMES - 5
    found = benchmark.neighbours_of(examples, train, "bold", "flat")
    for each, neighbour in zip(examples, found, strict=True):
        i = int(each.name[3:])
        near = [test.pictures["flat"][f"1f6{j:02}"] for j in (i - 1, i + 1) if 0 <= j < NAMES - 5]
        assert any(np.array_equal(neighbour, other) for other in near)
    del train.pictures["flat"]
    assert benchmark.neighbours_of(examples, train, "bold", "flat") is None


def test_all_directions_are_means_over_the_directions_of_a_name():
    benchmark, mean = module("emoji"), module("figures").Mean

    def direction(title, names, values, rows=("painted", "copy")):
        examples = [benchmark.Example(name, *[None] * 3, "") for name in names]
        return benchmark.Direction(title, examples, dict.fromkeys(rows), {row: {"SSIM": mean(values)} for row in rows})

    directions = [direction("a", "xy", [1, 2]), direction("b", "yz", [4, 8], ("painted", "copy", "more"))]
    means = benchmark.over_directions(directions)
    assert list(means) == ["painted", "copy"]
    assert means["painted"]["SSIM"].values == [1, 3, 8]
    assert benchmark.names_of(directions) == ["x", "y", "z"]


def test_clearly_better_is_outside_of_every_interval():
    fidelity, mean = module("fidelity"), module("figures").Mean
    better = {
        "copy": {"SSIM": mean([1, 2]), "PSNR": mean([1, 2])},
        "other": {"SSIM": mean([1, 3]), "PSNR": mean([-9, 9])},
    }
    assert fidelity.clearly_better(better) == ["SSIM"]


def test_data_that_are_not_there(tmp_path):
    benchmark = module("emoji")
    with pytest.raises(SystemExit, match=r"nowhere does not exist.*: --data names a folder"):
        benchmark.main(benchmark.EmojiSettings(tmp_path / "nowhere"))
