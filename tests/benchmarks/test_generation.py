"""The benchmarks of generators, with tiny ones."""

import importlib
import json
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from saccade.data.preprocess import Preprocess
from saccade.data.scenes import Scenes
from saccade.errors import SaccadeError, UsageError
from saccade.models.generator import Generator, GeneratorConfig
from saccade.tasks.generate.recipe import GenerateRecipe
from saccade.tasks.generate.task import GenerateTask
from saccade.tasks.generate.training import GenerateTraining
from saccade.tasks.judge.scores import Share
from saccade.train.config import SHARDS
from saccade.train.seeds import combined_seed

ROOT = Path(__file__).parents[2]
CONFIG = {
    "block": {"width": 24, "heads": 2, "hidden": 14, "activation": "swiglu"},
    "depth": 2,
    "patch": 16,
    "bottleneck": 7,
    "text": {"block": {"width": 12, "heads": 3, "hidden": 7}, "depth": 1, "max_words": 128},
    "late": 1,
}


@pytest.fixture(autouse=True)
def root(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT))


def module(name: str):
    return importlib.import_module(f"benchmarks.generation.{name}")


@pytest.fixture
def run(tmp_path) -> Path:
    """The folder of a run of 5 steps, 16 samples each."""
    task = GenerateTask(Generator(GeneratorConfig.model_validate(CONFIG)), Preprocess((48, 48), "letterbox"), "tiny")
    task.save(tmp_path / "run" / "model", objects=(1, 2), apart=True)
    recipe = GenerateRecipe(size=48, views=2).model_dump(mode="json")
    (tmp_path / "run" / "config.json").write_text(json.dumps({"seed": 3, "batch": 16, "recipe": recipe}))
    (tmp_path / "run" / "log.jsonl").write_text('{"step": 2, "loss": 1}\n{"step": 5, "loss": 1}\n')
    return tmp_path / "run"


def test_the_pictures_of_a_run_are_those_that_its_training_drew(run):
    training = module("memory").Training.read(run, GenerateTask.open(run / "model"))
    assert training.pictures == 5 * SHARDS  # 2 samples a shard, of one scene
    seen = training.seen(1000)
    assert seen.shape == (training.pictures, 48, 48, 3)
    world = Scenes(7, 48, 4, objects=(1, 2), apart=True, combinations="seen")
    trainer = GenerateTraining(world, world, GenerateRecipe(size=48, views=2), seed=3)
    for step, shard in ((0, 0), (4, 7), (2, 5)):
        batch = trainer.batch(torch.arange(2), torch.Generator().manual_seed(combined_seed(3, step, shard)), 0.0)[0]
        trained = batch.pictures[0, 0].permute(1, 2, 0).numpy()
        assert any(np.array_equal(trained, each) for each in seen)
    later = trainer.batch(torch.arange(2), torch.Generator().manual_seed(combined_seed(3, 5, 0)), 0.0)[0]
    trained = later.pictures[0, 0].permute(1, 2, 0).numpy()
    assert not any(np.array_equal(trained, each) for each in seen)


def test_memory_runs(run, tmp_path):
    memory = module("memory")
    settings = memory.MemorySettings(run, device="cpu", precision="fp32", worst=tmp_path / "worst.png", quick=True)
    memory.main(settings, memory.Outputs(tmp_path / "memory.json"))
    written = json.loads((tmp_path / "memory.json").read_text())
    assert written["references"] == 40
    assert written["generated"]["n"] == written["control: real"]["n"] == 4
    with Image.open(tmp_path / "worst.png") as sheet:
        assert sheet.width > 6 * 128


def test_memory_needs_a_run(run):
    memory = module("memory")
    (run / "log.jsonl").unlink()
    with pytest.raises(UsageError, match="not the folder of a run of a generator on scenes"):
        memory.main(memory.MemorySettings(run, quick=True))


def test_compose_runs(run, tmp_path, capsys):
    compose = module("compose")
    settings = compose.ComposeSettings(
        str(run), guidance="1,2", device="cpu", precision="fp32", sheet=tmp_path / "sheet.png", quick=True
    )
    settings.n = 3
    compose.main(settings, compose.Outputs(tmp_path / "compose.json"))
    written = json.loads((tmp_path / "compose.json").read_text())
    assert [each["sampling"]["guidance"] for each in written["results"]] == [1, 2]
    assert len(written["results"][0]["sets"]) == 4 * 4
    real = written["results"][0]["sets"]["held-out, en, real"]["total"]["atoms"]
    assert real["value"] > 0.8
    out = capsys.readouterr().out
    assert "held-out - seen" in out
    assert "2 steps, euler, guidance 1     " in out.split("## points by which")[1]
    assert (tmp_path / "sheet.png").exists()


def test_compose_reads_lists():
    compose = module("compose")
    settings = compose.ComposeSettings(steps_list="4:mean-flow,25", guidance="1,3.5")
    found = [(each.steps, each.guidance, each.sampler) for each in settings.samplings()]
    assert found == [(4, 1, "mean-flow"), (25, 1, "euler"), (4, 3.5, "mean-flow"), (25, 3.5, "euler")]
    assert [compose.evaluations(each) for each in settings.samplings()] == [4, 25, 4, 50]
    heun = compose.ComposeSettings(steps=7, sampler="heun").samplings()[0]
    assert compose.evaluations(heun) == 2 * (2 * 7 - 1)
    with pytest.raises(UsageError, match=r"--steps-list is '4,5\.5'; numbers with commas"):
        compose.ComposeSettings(steps_list="4,5.5").samplings()
    with pytest.raises(SaccadeError, match="no sampler 'ddim'"):
        compose.ComposeSettings(steps_list="4:ddim").samplings()


def test_a_difference_of_shares_has_newcombes_interval():
    found = module("compose").difference(Share(56, 70), Share(48, 80))
    assert found == pytest.approx((20, 5.24, 33.39), abs=0.01)  # Newcombe 1998, table II, example a, method 10


def test_generate_runs_without_its_peer(capsys, monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "diffusers", None)
    module("generate").main(quick=True, json_file=tmp_path / "generate.json")
    out = capsys.readouterr().out
    assert "ours alone" in out
    assert "equal, largest difference" in out
    case = json.loads((tmp_path / "generate.json").read_text())["cases"][0]
    assert set(case["ratios"]) == {"once / each step", "few steps / ours"}
    assert case["largest difference"] <= 1e-5


def test_sources_that_are_encoded_once_give_the_same_pictures(capsys, tmp_path):
    module("cached_sources").main(quick=True, side=32, json_file=tmp_path / "cached.json")
    assert "once and at each step: equal" in capsys.readouterr().out
    found = json.loads((tmp_path / "cached.json").read_text())
    assert set(found["ratios"]) == {"once / each step", "once / in the sequence, each step"}
    assert found["largest difference"] <= 1e-5
