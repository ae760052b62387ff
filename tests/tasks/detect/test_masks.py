"""A detector with masks from a folder to outlines: it trains, is saved, scores, predicts and is looked at."""

import json
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import numpy as np
import pytest
import torch
from PIL import Image

from saccade.cli import main
from saccade.data import Picture
from saccade.data.objects.arrays import with_planes
from saccade.data.objects.run_lengths import area, decode_rle, encode_rle
from saccade.data.objects.sets import object_splits, open_objects
from saccade.data.scenes import Scenes
from saccade.device import init_device
from saccade.errors import DataError, SaccadeError
from saccade.models import PRESETS
from saccade.studio.look import look
from saccade.studio.views import LookOptions
from saccade.tasks import DetectRecipe, DetectTask, DetectTraining, load
from saccade.tasks.detect.training import _gathered
from saccade.train import TrainConfig, train

from .. import finder

SIDE = 40


@pytest.fixture(autouse=True)
def _toy(monkeypatch):
    monkeypatch.setitem(PRESETS, "toy", finder.TOY)


def write_blobs(root, pictures: int):
    """Bright discs on black, in the layout of DSB 2018."""
    y, x = np.mgrid[:SIDE, :SIDE] + 0.5
    for i in range(pictures):
        rng, here = np.random.default_rng(i), root / f"{i:02}f00d"
        for part in ("images", "masks"):
            (here / part).mkdir(parents=True)
        whole = np.zeros((SIDE, SIDE), bool)
        for n in range(4):
            centre = 10 + 20 * np.array([n // 2, n % 2]) + rng.uniform(-3, 3, 2)
            disc = (y - centre[0]) ** 2 + (x - centre[1]) ** 2 < rng.uniform(4, 6.5) ** 2
            Image.fromarray(np.uint8(disc) * 255).save(here / "masks" / f"m{n}.png")
            whole |= disc
        Image.fromarray(np.uint8(whole) * 200 + 20).convert("RGB").save(here / "images" / f"{here.name}.png")
    return root


def recipe(**changes) -> DetectRecipe:
    options = {"model": "toy", "size": SIDE, "queries": 12, "decoder_depth": 2, "denoising_queries": 8, "masks": True}
    return DetectRecipe(**{**options, **changes})


def training(root, **changes) -> DetectTraining:
    return DetectTraining(*object_splits(root), recipe(**changes))


def test_a_few_pictures_are_learned_by_heart_and_the_model_keeps_its_masks(tmp_path):
    data = write_blobs(tmp_path / "blobs", 24)
    few = open_objects(data).subset(range(5))
    task = DetectTraining(open_objects(data), few, recipe(zoom=(1.0, 1.0), color_jitter=0.0))
    config = TrainConfig(epochs=24, batch=8, device="cpu", precision="fp32", compile="no", ema=0.9)
    before = task.evaluate(task.model.eval(), init_device("cpu", "fp32"))
    scores = train(task, config, tmp_path / "run")
    assert task.selection_metric == "mask_mAP"
    assert (before["mask_mAP50"] or 0) < 0.1
    assert scores["mask_mAP50"] > 0.5
    model = load(tmp_path / "run")
    assert isinstance(model, DetectTask)
    found, truth = model.val(few, init_device("cpu", "fp32"))
    assert all(len(one.masks or ()) == len(one) for one in found)
    assert truth[0].masks is None  # in planes
    assert model.card["scores"]["mask_mAP"] == scores["mask_mAP"]


def untrained(tmp_path) -> DetectTask:
    task = training(write_blobs(tmp_path / "blobs", 4))
    for p in task.model.heads.parameters():
        torch.nn.init.normal_(p, std=0.2)
    task.trained(task.model, "blobs").save(tmp_path / "model")
    return DetectTask.open(tmp_path / "model")


def test_a_result_has_areas_outlines_and_run_lengths_in_pixels_of_the_picture(tmp_path):
    model = untrained(tmp_path)
    picture = Image.effect_noise((97, 61), 90).convert("RGB")
    result = model.predict(picture, threshold=0.01)
    objects = json.loads(json.dumps(result.to_dict()))["objects"]
    assert objects
    for one, mask in zip(objects, result.found.masks, strict=True):
        assert one["segmentation"]["size"] == [61, 97]
        assert one["area"] == area(mask) == int(decode_rle(one["segmentation"]).sum())
        x, y = zip(*(corner for ring in one["outline"] for corner in ring), strict=True)
        assert one["box"] == [min(x), min(y), max(x), max(y)]


def run(*arguments: object) -> None:
    main([str(argument) for argument in arguments])


def test_coco_json_of_predictions_has_the_masks(tmp_path):
    model, file = untrained(tmp_path), tmp_path / "a.png"
    Image.effect_noise((50, 44), 90).save(file)
    run("predict", file, "--model", tmp_path / "model", "--threshold", 0.01, "--coco", tmp_path / "out.json")
    annotations = json.loads((tmp_path / "out.json").read_text())["annotations"]
    expected = model.predict(file, threshold=0.01)
    assert [each["segmentation"] for each in annotations] == list(expected.found.masks)
    assert [each["area"] for each in annotations] == [area(mask) for mask in expected.found.masks]


def test_numbers_of_objects_and_areas_are_written(tmp_path, capsys):
    model, file = untrained(tmp_path), tmp_path / "a.png"
    Image.effect_noise((50, 44), 90).save(file)
    run("predict", file, "--model", tmp_path / "model", "--threshold", 0.01, "--masks", tmp_path / "out", "--csv",
        "--draw", tmp_path / "drawn")  # fmt: skip
    masks = model.predict(file, threshold=0.01).found.masks
    with Image.open(tmp_path / "out" / "a.png") as image:
        numbers = np.asarray(image)
    assert numbers.dtype == np.uint16
    assert all((decode_rle(mask).numpy() == (numbers == i)).all() for i, mask in enumerate(masks, start=1))
    rows = [row.split(",") for row in capsys.readouterr().out.splitlines()]
    assert rows[0][-1] == "area"
    assert [int(row[-1]) for row in rows[1:]] == [area(mask) for mask in masks]
    assert (tmp_path / "drawn" / "a.png").exists()


def test_a_detector_of_boxes_writes_no_masks(tmp_path, capsys):
    finder.task().save(tmp_path / "boxes")
    Image.new("RGB", (50, 44)).save(tmp_path / "a.png")
    with pytest.raises(SystemExit):
        run("predict", tmp_path / "a.png", "--model", tmp_path / "boxes", "--masks", tmp_path / "out")
    assert "boxes finds boxes alone" in capsys.readouterr().err


def test_val_prints_masks_beside_boxes(tmp_path):
    untrained(tmp_path)
    run("val", tmp_path / "blobs", "--model", tmp_path / "model", "--out", tmp_path / "scores")
    scores = json.loads((tmp_path / "scores" / "scores.json").read_text())
    assert {"mAP", "mAP50", "mask_mAP", "mask_mAP50", "mask_mAP75"} <= scores.keys()
    assert scores["per_class"]["object"].keys() >= {"mAP", "mask_mAP", "objects"}


def test_val_scores_boxes_alone_where_objects_have_no_outlines(tmp_path, capsys):
    untrained(tmp_path)
    (tmp_path / "boxes").mkdir()
    Image.effect_noise((50, 44), 90).save(tmp_path / "boxes" / "a.png")
    box = {"id": 1, "image_id": 1, "category_id": 1, "bbox": [5, 6, 20, 20], "area": 400, "iscrowd": 0}
    image = {"id": 1, "file_name": "a.png", "width": 50, "height": 44}
    document = {"images": [image], "categories": [{"id": 1, "name": "object"}], "annotations": [box]}
    (tmp_path / "boxes" / "boxes.json").write_text(json.dumps(document))
    run("val", tmp_path / "boxes", "--model", tmp_path / "model", "--out", tmp_path / "scores")
    assert "1 of 1 pictures have objects without outlines" in " ".join(capsys.readouterr().err.split())
    scores = json.loads((tmp_path / "scores" / "scores.json").read_text())
    assert "mAP" in scores
    assert "mask_mAP" not in scores


def test_look_shows_the_objects_that_predict_finds(tmp_path, capsys):
    model, file = untrained(tmp_path), tmp_path / "a.png"
    Image.effect_noise((50, 44), 90).save(file)
    run("look", file, "--model", tmp_path / "model", "--threshold", 0.01, "--out", tmp_path / "a.html", "--json")
    shown = json.loads(capsys.readouterr().out)["prediction"]["objects"]
    expected = model.predict(file, threshold=0.01).to_dict()["objects"]
    assert [one["segmentation"] for one in shown] == [one["segmentation"] for one in expected]
    assert [one["box"] for one in shown] == [one["box"] for one in expected]


def signed_area(ring: np.ndarray) -> float:
    x, y = ring.T
    return float(np.sum(x * np.roll(y, -1) - y * np.roll(x, -1)) / 2)


def test_outlines_on_the_page_are_those_of_the_masks(tmp_path):
    model = untrained(tmp_path)
    picture = Picture(Image.effect_noise((SIDE, SIDE), 90).convert("RGB"), "noise.png")  # as large as the input
    found = look(model, picture, LookOptions(threshold=0.01))
    assert found.prediction.found.masks
    for rings, mask in zip(found.targets.outlines, found.prediction.found.masks, strict=False):
        assert all(np.abs(SIDE * np.array(ring) - (SIDE * np.array(ring)).round()).max() < 0.02 for ring in rings)
        inside = sum(signed_area(np.array(ring) * SIDE) for ring in rings)
        assert round(inside) == area(mask)
    assert len(found.targets.first_targets(1).details()["outlines"]) == 1


def test_objects_without_outlines_cannot_be_learned():
    scenes = Scenes(4, SIDE, seed=0)
    outlined = scenes.objects
    scenes.objects = lambda i, masks=True: outlined(i, masks=False)  # type: ignore[method-assign]
    with pytest.raises(DataError, match="not all of its objects have outlines"):
        with_planes(scenes.objects(0), "a.png")
    with pytest.raises(DataError, match=r"outlines.*leave out --masks"):
        DetectTraining(Scenes(8, SIDE, seed=1), scenes, recipe())


def test_every_weight_has_a_gradient_and_halves_of_a_batch_give_its_loss(tmp_path):
    task = training(write_blobs(tmp_path / "blobs", 6))
    parts = [task.batch(torch.arange(2), torch.Generator().manual_seed(i), 0.0) for i in range(2)]
    device = torch.device("cpu")
    together = task.loss(task.model, parts, device)
    apart = [task.loss(task.model, [part], device).item() for part in parts]
    assert together.item() == pytest.approx(sum(apart) / 2, rel=1e-4)
    together.backward()
    assert [n for n, p in task.model.named_parameters() if p.grad is None] == []


def test_scenes_have_masks_to_learn_from():
    task = DetectTraining(Scenes(8, SIDE, seed=1), Scenes(3, SIDE, seed=0), recipe())
    batch = task.batch(torch.arange(2), torch.Generator().manual_seed(0), 0.0)
    assert batch.targets.masks is not None
    assert batch.targets.masks.planes.amax(dim=(1, 2, 3)).tolist() == batch.targets.valid.sum(dim=1).tolist()
    assert task.loss(task.model, [batch], torch.device("cpu")).isfinite()


def test_large_pictures_are_learned_and_found_in_tiles(tmp_path, capsys):
    data, large = write_blobs(tmp_path / "blobs", 3), tmp_path / "large"
    for here in data.iterdir():  # four times the picture
        for file in here.rglob("*.png"):
            target = large / file.relative_to(data)
            target.parent.mkdir(parents=True, exist_ok=True)
            with Image.open(file) as image:
                wide = Image.new(image.mode, (2 * SIDE, SIDE))
                wide.paste(image, (SIDE, 0))
                wide.save(target)
    task = training(large, tiles=True)
    assert (task.size, len(task.source), len(task.val_objects)) == ((SIDE, SIDE), 2 * 3, 3)
    for p in task.model.heads.parameters():
        torch.nn.init.normal_(p, std=0.2)
    task.save(task.model, tmp_path / "run" / "model", {"mask_mAP": 0.5})
    model = load(tmp_path / "run")
    assert isinstance(model, DetectTask)
    assert model.tiled
    noise = Image.effect_noise((3 * SIDE, 2 * SIDE), 90).convert("RGB")
    found = model.predict(noise, threshold=0.0).found
    assert len(found) > model.model.config.queries  # of one pass
    assert found.masks[0]["size"] == [2 * SIDE, 3 * SIDE]
    small = noise.crop((0, 0, SIDE, SIDE))
    plain = DetectTask(model.model, model.preprocess, "plain", labels=model.labels)
    assert model.predict(small, 0.0).to_dict() == plain.predict(small, 0.0).to_dict()
    noise.save(tmp_path / "noise.png")
    run("look", tmp_path / "noise.png", "--model", tmp_path / "run", "--threshold", 0.01, "--out", tmp_path / "a.html")
    assert "in tiles" in "".join(capsys.readouterr())


def test_tiles_are_for_masks_of_pictures(tmp_path):
    with pytest.raises(SaccadeError, match="--tiles needs --masks"):
        training(write_blobs(tmp_path / "blobs", 3), tiles=True, masks=False)
    with pytest.raises(SaccadeError, match="scenes are drawn"):
        DetectTraining(Scenes(8, SIDE), Scenes(3, SIDE), recipe(tiles=True))


class Half:
    """One of two processes that add up tensors."""

    device, world = torch.device("cpu"), 2

    def __init__(self, rank: int, barrier: Barrier, given: list[torch.Tensor | None]):
        self.rank, self.barrier, self.given = rank, barrier, given

    def sum_over_processes(self, value: torch.Tensor) -> torch.Tensor:
        self.given[self.rank] = value
        self.barrier.wait()
        total = sum(self.given)
        self.barrier.wait()
        return total


def test_masks_of_all_processes_are_gathered():
    masks = [tuple(encode_rle(torch.rand(7, 5) < 0.5) for _ in range(n)) for n in (3, 0, 1, 2, 5)]
    barrier, given = Barrier(2), [None, None]
    shares = [[mask if i % 2 == rank else None for i, mask in enumerate(masks)] for rank in range(2)]
    with ThreadPoolExecutor(2) as pool:
        found = list(pool.map(lambda rank: _gathered(shares[rank], Half(rank, barrier, given)), range(2)))
    assert found == [masks, masks]
