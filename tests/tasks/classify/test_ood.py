"""Pictures unlike those of training are told by the distance of their features; every way to a score gives the same."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from saccade.data import ImageFolder, read_image
from saccade.device import init_device
from saccade.errors import CheckpointError
from saccade.studio.look import look
from saccade.studio.views import LookOptions
from saccade.tasks import ClassifyTask
from saccade.tasks.classify.calibrate import fit_ood_detector, margin_threshold
from saccade.tasks.classify.confidence import Confidence, margin
from saccade.tasks.classify.describe import describe_classes, describe_confidence, missing_ood_reason
from saccade.tasks.classify.ood import OODDetector, fit_gaussian
from saccade.tasks.classify.result import build_classification

from .. import tiny


@pytest.fixture(scope="module")
def sets(tmp_path_factory):
    root = tmp_path_factory.mktemp("sets")
    return ImageFolder(tiny.folder(root / "train", each=17)), ImageFolder(tiny.folder(root / "held", each=13, first=50))


@pytest.fixture(scope="module")
def task(sets):
    return fit_ood_detector(tiny.task(), *sets, init_device("cpu", "fp32"))


@pytest.fixture
def saved(task, tmp_path):
    task.save(tmp_path / "tiny")
    return tmp_path / "tiny"


def noise():
    return Image.fromarray(np.random.default_rng(5).integers(0, 256, (19, 23, 3), dtype=np.uint8))


def shrunk(features):
    """The OAS estimate as its paper has it (Chen et al. 2010, eq. 23)."""
    n, p = features.shape
    s = np.cov(features.T, bias=True)
    trace, squares = np.trace(s), np.trace(s @ s)
    rho = min(1, ((1 - 2 / p) * squares + trace**2) / ((n + 1 - 2 / p) * (squares - trace**2 / p)))
    return (1 - rho) * s + rho * trace / p * np.eye(p)


@pytest.mark.parametrize("n", [5, 11, 701])
def test_a_score_is_the_mahalanobis_distance(n):
    draw = np.random.default_rng(0)
    mixing = draw.normal(size=(7, 7))
    train, new = draw.normal(size=(n, 7)) @ mixing + 3, draw.normal(size=(13, 7)) @ mixing + 4
    detector = OODDetector(*fit_gaussian(torch.tensor(train)), 0.0, 0.0, (1, 1))
    centred = new - train.mean(axis=0)
    expected = np.sqrt(np.einsum("nd,de,ne->n", centred, np.linalg.inv(shrunk(train)), centred) / 7)
    np.testing.assert_allclose(detector(torch.tensor(new)).numpy(), expected, rtol=5e-3)  # its matrix is in fp16


def test_pictures_of_training_score_about_1():
    features = torch.randn(3001, 11, generator=torch.Generator().manual_seed(0)) * torch.arange(1, 12) + 5
    score = OODDetector(*fit_gaussian(features), 0.0, 0.0, (1, 1))
    assert score(features).square().mean().item() == pytest.approx(1, abs=0.05)
    assert (score(features + 100) > 5).all()


@pytest.mark.parametrize("features", [torch.ones(5, 3), torch.full((5, 3), torch.nan)])
def test_features_that_say_nothing_are_refused(features):
    with pytest.raises(ValueError, match="the same for all pictures"):
        fit_gaussian(features)


def test_most_held_out_pictures_are_below_the_threshold(task, sets):
    scores = task.val(sets[1], init_device("cpu", "fp32")).ood_scores
    assert (scores <= task.ood.threshold).float().mean().item() == pytest.approx(0.95, abs=1 / len(scores))
    assert task.predict(noise()).confidence.out_of_distribution
    assert not task.predict(tiny.picture("red", seed=99)).confidence.out_of_distribution
    about = task.card["out_of_distribution"]
    assert (about["training_pictures"], about["held_out_pictures"], about["size"]) == (51, 39, [16, 16])


def test_every_way_gives_the_same_score(task, sets, saved):
    data = sets[1]
    scores = task.val(data, init_device("cpu", "fp32"), batch=7).ood_scores.tolist()
    batched = task.predict_all((data.picture(i) for i in range(len(data))), batch=5)
    assert [one.confidence.ood_score for one in batched] == pytest.approx(scores, abs=1e-5)
    alone, again = task.predict(data.picture(3)), ClassifyTask.open(saved).predict(data.picture(3))
    assert alone.confidence == again.confidence
    assert look(task, data.picture(3)).prediction.confidence.ood_score == pytest.approx(scores[3], abs=1e-5)


def test_probabilities_stay_as_they_are(task):
    assert task.predict(noise()).probabilities == tiny.task().predict(noise()).probabilities


def test_a_score_holds_for_one_size_of_the_input(task):
    larger = replace(task, preprocess=task.preprocess.with_size(32))
    confidence = larger.predict(noise()).confidence
    assert (confidence.ood_score, confidence.out_of_distribution, confidence.margin_threshold) == (None, None, 0.1)
    assert missing_ood_reason(larger) == "no out-of-distribution score at 32 x 32 pixels: it holds for 16 x 16"
    assert missing_ood_reason(task) == ""
    assert "keeps no statistics" in missing_ood_reason(tiny.task())
    seen = look(task, read_image(noise()), LookOptions(size=32)).seen
    assert seen.missing == missing_ood_reason(larger)


def test_too_few_held_out_pictures(sets):
    few = sets[1].subset([0, 20])
    with pytest.raises(ValueError, match="there are 2 held-out pictures, and at least 20"):
        fit_ood_detector(tiny.task(), sets[0], few, init_device("cpu", "fp32"))


def test_damage_is_found(saved):
    tensors = load_file(saved / "ood.safetensors")
    save_file({**tensors, "mean": tensors["mean"] + 1}, saved / "ood.safetensors")
    with pytest.raises(CheckpointError, match=r"ood\.safetensors is damaged"):
        ClassifyTask.open(saved)
    (saved / "ood.safetensors").unlink()
    with pytest.raises(CheckpointError, match=r"ood\.safetensors"):
        ClassifyTask.open(saved)


@pytest.mark.parametrize(
    ("tensors", "reason"),
    [
        ({"mean": torch.zeros(5), "whitening": torch.eye(5)}, r"expected mean \(32,\)"),
        ({"mean": torch.zeros(32)}, "expected mean"),
        ({"mean": torch.zeros(32), "whitening": torch.full((32, 32), torch.inf)}, "not finite"),
        ({"mean": torch.zeros(32, dtype=torch.int64), "whitening": torch.eye(32)}, "not finite"),
    ],
)
def test_other_tensors_are_refused(tensors, reason):
    with pytest.raises(ValueError, match=reason):
        OODDetector.load(tensors, {"threshold": 1, "margin_threshold": 0, "size": [16, 16]}, 32)


@pytest.mark.parametrize("card", [{}, {"threshold": 1, "margin_threshold": 0, "size": 16}, {"threshold": 1}])
def test_a_card_without_thresholds_is_refused(card):
    with pytest.raises(ValueError, match="lacks its threshold"):
        OODDetector.load({"mean": torch.zeros(3), "whitening": torch.eye(3)}, card, 3)


def test_the_threshold_of_margins_makes_the_fewest_mistakes():
    for seed in range(20):
        draw = torch.Generator().manual_seed(seed)
        margins = torch.rand(37, generator=draw)
        right = torch.rand(37, generator=draw) < margins
        least = margin_threshold(margins, right)

        def mistakes(limit, margins=margins, right=right):
            return int(((margins < limit) == right).sum())

        assert mistakes(least) == min(mistakes(limit) for limit in [0, *(margins + 1e-6).tolist()])
    assert margin_threshold(torch.tensor([0.2, 0.4]), torch.tensor([True, True])) == 0


def test_margin():
    assert margin(torch.tensor([[0.2, 0.7, 0.1], [0.5, 0.5, 0.0]])).tolist() == pytest.approx([0.5, 0])
    assert margin(torch.tensor([1.0])).item() == 1


def test_a_doubtful_answer_says_so():
    labels = ["cat", "dog", "frog"]
    close = build_classification(
        "x", labels, torch.tensor([0.41, 0.38, 0.21]), 3, (), Confidence(0.03, 0.1, 1.93, 1.52)
    )
    assert str(close) == "x: not sure: cat 41%  dog 38%  frog 21%  (unlike the training pictures)"
    assert describe_confidence(close, 3) == [
        "not sure: cat 41%, dog 38%",
        "this is unlike its training pictures (score 1.93; 95% of its own are below 1.52): it may be none of its 3 "
        "things",
    ]
    sure = build_classification("x", labels, torch.tensor([0.9, 0.1, 0.0]), 2)
    assert str(sure) == "x: cat 90%  dog 10%"
    assert describe_confidence(sure, 3) == []
    assert sure.to_dict()["out_of_distribution"] is None


def test_many_classes_are_named_in_part(tmp_path):
    assert describe_classes(tiny.task(("a",))) == "tiny answers with one thing only: a"
    assert describe_classes(tiny.task(("a", "b"))) == "tiny answers with one of 2 things: a, b"
    many = tiny.task(tuple(f"c{i}" for i in range(200)))
    known = "tiny answers with one of 200 things, such as c0, c40, c80, c120, c160"
    assert describe_classes(many) == f"{known} (all: saccade models tiny)"
    many.save(tmp_path / "tiny")
    assert (
        describe_classes(ClassifyTask.open(tmp_path / "tiny")) == f"{known} (all: saccade models {tmp_path / 'tiny'})"
    )
