"""The figures of the bundled models are the same wherever they are shown."""

import json
import re

import pytest

from saccade.tasks.bundled_models import bundled, bundled_folder, read_config


@pytest.mark.parametrize("name", bundled())
def test_the_scores_of_a_card_are_those_of_its_text(name):
    text = (bundled_folder(name) / "README.md").read_text(encoding="utf-8")
    numbers = set(re.findall(r"\d+\.\d+", text))
    test = read_config(bundled_folder(name))["card"].get("test", {"scores": {}})
    for score, value in test["scores"].items():
        assert {f"{value:.3f}", f"{100 * value:.2f}"} & numbers, score
    assert test["scores"] or name == "painter"  # of which only its validation is in numbers


def test_models_lists_the_scores_of_the_cards(saccade):
    listed = saccade("models").out
    cards = json.loads(saccade("models", "--json").out)
    for name in bundled():
        (line,) = [line for line in listed.splitlines() if name in line.split()]
        shown = cards[name].get("test", cards[name])["scores"]
        score, value = next(iter(shown.items()))
        assert f"{score} {value:.3f}" in line


def test_the_classes_of_a_model_are_listed(saccade):
    assert "airplane, automobile, bird, cat, deer, dog, frog, horse, ship, truck" in saccade("models", "cifar").out
    listed = json.loads(saccade("models", "cifar", "--json").out)
    assert listed["labels"] == read_config(bundled_folder("cifar"))["labels"]
    assert listed["card"]["out_of_distribution"]["accepted"] == 0.95
    assert "there is no model 'cifer'" in saccade("models", "cifer").err


@pytest.mark.parametrize("name", ["cifar", "tiny-imagenet"])
def test_the_thresholds_of_the_classifiers_are_those_of_their_texts(name):
    text = (bundled_folder(name) / "README.md").read_text(encoding="utf-8")
    about = read_config(bundled_folder(name))["card"]["out_of_distribution"]
    assert f"score below {about['threshold']:.2f}" in text
    assert f"margin of {about['margin_threshold']:.2f}" in text
    assert f"{about['training_pictures']:,} training pictures" in text
