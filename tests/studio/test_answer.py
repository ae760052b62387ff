"""The page of an answer: its maps, shares and words are those of the model, in bytes and in a headless Chromium."""

import json
import re
import zlib

import pytest
import torch

pytest.importorskip("transformers")

import saccade
from saccade.cli.main import main
from saccade.data import Picture
from saccade.errors import SaccadeError, UsageError
from saccade.studio.look import ask_about, look
from saccade.studio.views.answer import AnswerView, AnswerWords
from saccade.tasks.public_loading import load_vlm

from ..tasks.ask.models import picture, save
from . import webdriver

needs_chromium = pytest.mark.skipif(bool(webdriver.missing()), reason=webdriver.missing() or "-")
READY = "document.getElementById('maps').ariaBusy === 'false' && document.getElementById('readout').textContent"
OUTSIDE = "return [...document.querySelectorAll('#outside .chip')].map((one) => one.textContent)"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return save("qwen2_vl", tmp_path_factory.mktemp("qwen2_vl"))


@pytest.fixture(scope="module")
def found(folder):
    """A question about two pictures."""
    pictures = [Picture(picture("qwen2_vl", seed), f"{seed}.png") for seed in (0, 1)]
    task = load_vlm(folder)
    ask = task.ask
    task.ask = lambda images, question, progress: ask(images, question, 7, progress)
    return AnswerView.ask(task, pictures, "what is red?")


def test_maps_of_a_page_are_those_of_the_steps(found):
    answer = found.prediction
    content, data = AnswerWords.of(answer).content()
    assert content["answer"] == answer.text
    assert [layer["heads"] for layer in content["layers"]] == [0, 4, 4]
    assert [one["grid"] for one in content["pictures"]] == [list(one.grid) for one in answer.pictures]
    mean, *layers = content["layers"]
    torch.testing.assert_close(torch.tensor(mean["shares"])[0], answer.attention_shares(), atol=1e-3, rtol=2e-3)
    every = [answer.mean_attention()[None], *(layer.weights for layer in answer.layers)]
    for i, (layer, weights) in enumerate(zip([mean, *layers], every, strict=True)):
        stored = torch.frombuffer(bytearray(zlib.decompress(data[str(i)])), dtype=torch.uint8).float()
        largest = torch.tensor(layer["largest"])[..., None]
        off = (largest * (stored.view(weights.shape) / 255) ** 2 - weights).abs() / largest
        assert float(off.max()) < 1 / 255


def test_a_page_that_is_too_large_has_fewer_tokens(found):
    words = AnswerWords.of(found.prediction)
    fewer = words.fitting(words.packed_size() * 4 / 3 / 2)
    assert 1 <= len(fewer) < len(words)
    assert fewer.answer.text == found.prediction.text
    assert all(i < len(fewer) for word in fewer.answer.words for i in word.pieces)
    assert any("first" in note for note in fewer.notes)


def test_json_has_the_words_with_their_shares(found):
    told = found.to_dict()
    assert told["prediction"]["answer"] == found.prediction.text
    assert [one["picture"] for one in told["pictures"]] == [0, 1]
    for word in told["prediction"]["words"]:
        total = sum(word[kind] for kind in ("pictures", "other", "prompt", "written"))
        assert total == pytest.approx(1, abs=2e-3)


def test_a_model_that_writes_wants_a_question(folder):
    task = load_vlm(folder)
    shown = Picture(picture("qwen2_vl"), "a.png")
    with pytest.raises(SaccadeError, match="--ask"):
        look(task, shown)
    assert ask_about(str(folder), [shown], "red?", "cpu").prediction.question == "red?"
    both = saccade.look(task, [shown, picture("qwen2_vl", 1)], ask="red?")
    assert len(both.prediction.pictures) == 2
    with pytest.raises(SaccadeError, match="writes no answers"):
        saccade.look(torch.nn.Linear(1, 1), shown, ask="red?")
    with pytest.raises(UsageError, match="size=, classes= and ask= do not go together"):
        saccade.look(task, shown, ask="red?", size=64, classes=["cat"])
    with pytest.raises(SaccadeError, match="2 pictures"):
        saccade.look(task, [shown, shown])


def test_the_command_asks(folder, tmp_path, capsys):
    paths = [tmp_path / f"{seed}.png" for seed in (0, 1)]
    for seed, path in enumerate(paths):
        picture("qwen2_vl", seed).save(path)
    files, page = [str(path) for path in paths], str(tmp_path / "page.html")
    main(["look", *files, "--model", str(folder), "--ask", "what is red?", "--json", "--out", page])
    told = json.loads(capsys.readouterr().out)
    assert len(told["pictures"]) == 2
    assert told["page"]["bytes"] > 10_000
    for wrong, why in ((["--text", "red"], "leave them out"), (["--size", "64"], "leave them out")):
        with pytest.raises(SystemExit) as done:
            main(["look", *files, "--model", str(folder), "--ask", "red?", *wrong, "--out", page])
        assert done.value.code == 1
        assert why in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main(["look", *files, files[0], "--model", str(folder), "--out", page])
    assert "3 pictures" in capsys.readouterr().err


def test_frames_of_a_film_are_given_in_order(folder, tmp_path, capsys):
    frames = [picture("qwen2_vl", seed) for seed in range(6)]
    film, page = tmp_path / "film.gif", str(tmp_path / "page.html")
    frames[0].save(film, save_all=True, append_images=frames[1:], duration=100)
    main(["look", str(film), "--model", str(folder), "--ask", "red?", "--json", "--out", page])
    told = json.loads(capsys.readouterr().out)
    assert [one["picture"] for one in told["pictures"]] == [0, 1, 2, 3]
    assert any("4 of its 6 frames" in note for note in told["notes"])


@needs_chromium
def test_words_places_and_pictures_on_the_page(found, tmp_path):
    answer, page = found.prediction, found.page(tmp_path / "look.html").path
    sizes = [one.grid[0] * one.grid[1] for one in answer.pictures]
    weights = answer.mean_attention().split(sizes, dim=1)
    word = next(i for i, one in enumerate(answer.words) if len(one.pieces) > 1)
    pieces = answer.words[word].pieces
    with webdriver.Browser(tmp_path / "profile") as browser:
        browser.open(page, "#language=en")
        browser.wait(READY)
        assert answer.text in browser.run("return document.getElementById('predictions').textContent")
        browser.run(f"document.querySelector('#chips [data-token=\"{word}\"]').click()")
        browser.wait(READY)
        chips = browser.run("return [...document.querySelectorAll('#chips [data-token]')].map((x) => x.dataset.token)")
        assert len(chips) == len(answer.words) + len(pieces)
        said = browser.run("return document.getElementById('readout').textContent")
        row, column = (int(x) for x in re.search(r"row (\d+), column (\d+)", said).groups())
        mean = weights[0][pieces].mean(dim=0)
        columns = answer.pictures[0].grid[1]
        assert float(mean[(row - 1) * columns + column - 1]) > float(mean.max()) * 0.98
        shares = browser.run(OUTSIDE)
        assert len(shares) == 3  # the other picture, the prompt, words before
        other = float(weights[1][pieces].mean(dim=0).sum())
        assert float(shares[0].split()[-1].rstrip("%")) / 100 == pytest.approx(other, rel=0.02)
        browser.run("document.querySelectorAll('#view button')[1].click()")
        browser.wait(READY)
        words = torch.stack([weights[0][one.pieces].mean(dim=0) for one in answer.words])
        ratio = words[word] / words.mean(dim=0)
        said = browser.run("return document.getElementById('readout').textContent")
        assert float(re.search(r"([\d.]+)×", said)[1]) == pytest.approx(float(ratio.max()), rel=0.03)
        assert browser.run(OUTSIDE) == []
        browser.run("document.querySelectorAll('#view button')[0].click()")
        browser.run("document.querySelectorAll('#seen-pictures button')[1].click()")
        browser.wait(READY)
        browser.click("#scene", 0.05, 0.05)
        first = browser.run("return document.querySelector('#words .prediction').textContent")
        looked = torch.stack([weights[1][one.pieces].mean(dim=0)[0] for one in answer.words])
        assert float(first.split("%")[0].split()[-1][-4:].lstrip("abcdefghijklmnopqrstuvwxyz")) > 0
        assert f"{100 * float(looked.max()):.2g}"[:3] in first
        assert browser.run("return document.getElementById('trouble').hidden")
        assert browser.console() == []
