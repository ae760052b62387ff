"""How a matcher is trained, from its loss to the model that is saved."""

import pickle

import pytest
import torch
from PIL import Image

from saccade.data.captions import caption_splits
from saccade.data.scenes import Scenes
from saccade.device import Device
from saccade.errors import SaccadeError
from saccade.models import PRESETS
from saccade.models.matcher import Match
from saccade.ops.image_text_matching import match_loss, ranking_loss, sigmoid_loss
from saccade.tasks import load
from saccade.tasks.match.loss import matching_loss
from saccade.tasks.match.recipe import MatchRecipe
from saccade.tasks.match.training import MatchTraining
from saccade.train import TrainConfig, train

CPU = Device(torch.device("cpu"), False, 0, 1)


@pytest.fixture(autouse=True)
def _tiny_preset(monkeypatch):
    toy = {"depth": 1, "patch": 8, "grid": (4, 4), "positions": ("rotary",)}
    monkeypatch.setitem(PRESETS, "toy", {**toy, "block": {"width": 16, "heads": 2, "hidden": 24}})


def recipe(**changes):
    shape = {"model": "toy", "size": 32, "width": 8, "text_width": 32, "text_depth": 1, "head_depth": 1}
    return MatchRecipe(**{**shape, **changes})


def worlds(validation=20, **changes):
    world = {"size": 32, "objects": (1, 2), "combinations": "seen", **changes}
    return Scenes(16, seed=1, **world), Scenes(validation, seed=0, **world)


def parts(training, progress=0.0):
    generator = torch.Generator().manual_seed(0)
    return [training.batch(torch.arange(2), generator, progress) for _ in range(2)]


def batches(training):
    return training.collate(parts(training))


def test_loss_is_the_weighted_sum_of_its_parts():
    generator = torch.Generator().manual_seed(0)
    similarity, logits = torch.randn(3, 6, generator=generator), torch.randn(6, generator=generator)
    labels, chosen = torch.eye(3).repeat_interleave(2, 1).long(), torch.tensor([[0, 5], [2, 1], [4, 5]])
    known = torch.tensor([[1, 0], [1, 0], [1, 1]])
    head = 2.5 * match_loss(logits, known.flatten()) + 10 * ranking_loss(logits.view(3, 2), known)
    expected = sigmoid_loss(similarity, labels) / 2 + head
    found = matching_loss(similarity, Match(logits, logits[:, None]), labels, chosen)
    torch.testing.assert_close(found, expected)


def test_batches():
    training = MatchTraining(*worlds(), recipe())
    (part,), (other,) = parts(training)
    assert part.pictures.shape == (4, 3, 32, 32)
    assert [len(each) for each in part.annotations] == [4, 16]
    assert not torch.equal(part.pictures, other.pictures)
    (batch,) = training.collate([[part], [other]])
    assert torch.equal(batch.pictures, torch.cat([part.pictures, other.pictures]))
    assert (len(batch.words), *batch.labels.shape) == (32, 8, 32)
    loss = training.loss(training.model, [batch], torch.device("cpu"))
    loss.backward()
    assert loss.isfinite()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in training.model.parameters())


def test_captioned_pictures_take_part_in_batches_of_scenes(tmp_path):
    for i in range(20):
        Image.new("RGB", (32, 32), (12 * i, 0, 0)).save(tmp_path / f"{i}.png")
    rows = [f"{i}.png,number {i}" for i in range(20)]
    (tmp_path / "captions.csv").write_text("\n".join(["file_name,text", *rows]))
    mixed = recipe(captioned=tmp_path, captioned_share=0.5, captions=1, hard_captions=0)
    training = MatchTraining(*worlds(), mixed)
    assert any("was read as captions" in note for note in training.notes)
    assert MatchTraining(*worlds(), recipe()).identity != training.identity
    known, held_out = caption_splits(tmp_path)
    assert (len(known), len(held_out)) == (18, 2)
    words, random = set(), torch.Generator().manual_seed(0)
    for _ in range(20):
        both = training.collate([training.batch(torch.arange(2), random, 0.0) for _ in range(2)])
        assert [tuple(each.pictures.shape) for each in both] == [(8, 3, 32, 32)] * 2
        assert [tuple(each.labels.shape) for each in both] == [(8, 8)] * 2
        words.update(both[1].words.vocabulary())
    assert words == {"number", *(known.captions(i)[0].split()[1] for i in range(18))}
    loss, *halves = (training.loss(training.model, each, torch.device("cpu")) for each in (both, both[:1], both[1:]))
    torch.testing.assert_close(loss, sum(halves) / 2)
    train(training, TrainConfig(epochs=1, batch=8, device="cpu", precision="fp32", compile="no"), tmp_path / "run")
    card = load(tmp_path / "run").card
    assert (card["captioned"], card["captioned pictures"]) == (str(tmp_path), 18)


def test_captioned_pictures_that_are_not_there(tmp_path):
    with pytest.raises(SaccadeError, match="missing"):
        MatchTraining(*worlds(), recipe(captioned=tmp_path / "missing"))


def test_batches_of_a_copy_without_the_network_are_the_same():
    training = MatchTraining(*worlds(), recipe())
    sent = pickle.dumps(training.sampler())
    assert len(sent) < 50_000  # neither the network nor the validation pictures
    (batch,), (again,) = batches(training), batches(pickle.loads(sent))
    torch.manual_seed(1)  # nothing is drawn from the generator of the process
    (third,) = batches(training)
    for other in (again, third):
        assert torch.equal(batch.pictures, other.pictures)
        assert torch.equal(batch.words.ids, other.words.ids)
        assert torch.equal(batch.words.index, other.words.index)
        assert torch.equal(batch.labels, other.labels)
        assert torch.equal(batch.chosen, other.chosen)


def test_only_what_has_the_same_shape_in_every_batch_is_compiled(monkeypatch):
    calls = []
    monkeypatch.setattr(torch, "compile", lambda model, **options: calls.append(options) or model)
    training = MatchTraining(*worlds(), recipe())
    training.loss(training.compiled(training.model), batches(training), CPU.device).backward()
    assert calls == [{"dynamic": False}]


def test_locked_encoder():
    training = MatchTraining(*worlds(), recipe(lock=True))
    training.loss(training.model, batches(training), torch.device("cpu")).backward()
    for name, parameter in training.model.named_parameters():
        assert (parameter.grad is None) is name.startswith("vit.")


def test_progressive_resize():
    training = MatchTraining(*worlds(size=64), recipe(size=64, progressive_resize=True))
    sides = [parts(training, progress)[0][0].pictures.shape[-1] for progress in (0, 0.6, 1)]
    assert sides == [32, 48, 64]
    with pytest.raises(SaccadeError, match="progressive-resize"):
        MatchTraining(*worlds(), recipe(progressive_resize=True))


def test_evaluation_counts_all_candidates():
    training = MatchTraining(*worlds(120), recipe())
    scores = training.evaluate(training.model.eval(), CPU)
    assert set(scores) == {
        *(f"recall@{k}{way}" for k in (1, 5, 10) for way in ("", " of pictures")),
        "towers recall@1",
        "chance recall@1",
    }
    assert scores["chance recall@1"] == pytest.approx(2 / 120)
    assert scores["recall@1"] <= scores["recall@5"] <= scores["recall@10"] < 0.5
    assert scores["recall@10"] * 120 == pytest.approx(round(scores["recall@10"] * 120), abs=1e-3)


def test_run_and_what_it_saves(tmp_path):
    training = MatchTraining(*worlds(), recipe())
    before = {name: value.clone() for name, value in training.model.state_dict().items()}
    train(training, TrainConfig(epochs=2, batch=8, device="cpu", precision="fp32", compile="no"), tmp_path / "run")
    task = load(tmp_path / "run")
    assert task.kind == "match"
    assert task.labels == []
    assert task.card["objects"] == [1, 2]
    assert any(not torch.equal(value, before[name]) for name, value in task.model.state_dict().items())
    again = MatchTraining(*worlds(), recipe(), pretrained=task)
    for name, value in again.model.state_dict().items():
        assert torch.equal(value, task.model.state_dict()[name])
    assert again.preprocess == task.preprocess


def test_a_table_of_words_is_new_to_a_pretrained_matcher():
    before = MatchTraining(*worlds(), recipe(hashed_words=0))
    pretrained = before.trained(before.model.eval(), "before")
    after = MatchTraining(*worlds(), recipe(hashed_words=13), pretrained=pretrained)
    assert after.model.text.hashed.table.shape == (13, 32)
    words = before.model.tokenize(["a red star", "빨간 별"])
    assert torch.equal(after.model.eval().text(words), before.model.text(words))
