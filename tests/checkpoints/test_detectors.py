"""Public detectors beside transformers' own: tiny random models, saved there, loaded here, on odd-sized pictures."""

import copy
import json

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

import saccade
from saccade.checkpoints import detectors as module
from saccade.checkpoints.detectors import KINDS, is_detector, load_detector
from saccade.checkpoints.files import open_checkpoint
from saccade.errors import CheckpointError, DataError

pytest.importorskip("transformers")
from .tiny_detectors import CONFIGS, NAMES, PROCESSORS, processor, tiny

SIZES = [(61, 83), (97, 40), (64, 64), (31, 200)]  # height, width


def picture(height, width, seed=0):
    pixels = np.random.default_rng(seed).integers(0, 256, (height // 7 + 1, width // 7 + 1, 3), dtype=np.uint8)
    return Image.fromarray(pixels).resize((width, height), Image.Resampling.BICUBIC)


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """The folder and the model of a family, made once."""
    made = {}

    def make(family):
        if family not in made:
            folder, model = tmp_path_factory.mktemp("detectors") / family, tiny(family)
            model.save_pretrained(folder)
            if family in PROCESSORS:
                processor(family).save_pretrained(folder)
            else:
                settings = {"image_processor_type": "RfDetrImageProcessor", "size": {"height": 64, "width": 64}}
                (folder / "preprocessor_config.json").write_text(json.dumps(settings))
            made[family] = folder, model
        return made[family]

    return make


@pytest.fixture(scope="module")
def loaded(saved):
    """What we make of it, made once."""
    made = {}

    def make(family):
        if family not in made:
            made[family] = load_detector(saved(family)[0])
        return made[family]

    return make


def test_every_family_that_is_read_is_tested():
    assert set(CONFIGS) == set(KINDS)
    assert set(PROCESSORS) == set(KINDS) - {"rf_detr"}


@pytest.mark.parametrize("family", PROCESSORS)
def test_boxes_scores_and_labels_are_theirs(family, saved, loaded):
    (_, theirs), ours, prepare = saved(family), loaded(family), processor(family)
    assert (ours.classes, ours.family, ours.name) == (NAMES, family, family)
    for size in SIZES:
        image = picture(*size)
        given = prepare(images=[image], return_tensors="pt")
        if family == "yolos":
            given.pop("pixel_mask")
        with torch.no_grad():
            out = theirs(**given)
        for threshold in (0.0, 0.5):
            expected = prepare.post_process_object_detection(out, threshold=threshold, target_sizes=[size])[0]
            found = ours.detect([image], threshold)[0]
            order = expected["scores"].argsort(descending=True, stable=True)
            assert torch.equal(found.labels, expected["labels"][order])
            torch.testing.assert_close(found.scores, expected["scores"][order], rtol=0, atol=1e-6)
            torch.testing.assert_close(found.boxes, expected["boxes"][order], rtol=0, atol=1e-6 * max(size))
            assert len(found.scores) or threshold


@pytest.mark.parametrize("family", PROCESSORS)
def test_reading_the_answer_is_theirs_to_the_last_bit(family, loaded):
    """Many queries, several pictures, large logits."""
    ours, theirs = loaded(family), processor(family)
    logits, boxes = 4 * torch.randn(3, 130, 92), torch.rand(3, 130, 4)
    out = type("Out", (), {"logits": logits, "pred_boxes": boxes})
    expected = theirs.post_process_object_detection(out, threshold=0.0, target_sizes=SIZES[:3])
    for found, one in zip(ours.decode_outputs(logits, boxes, SIZES[:3]), expected, strict=True):
        order = one["scores"].argsort(descending=True, stable=True)
        assert torch.equal(found.scores, one["scores"][order])
        assert torch.equal(found.boxes, one["boxes"][order])
        assert torch.equal(found.labels, one["labels"][order])
        assert (found.scores.diff() <= 0).all()


@pytest.mark.parametrize("family", PROCESSORS)
def test_pictures_are_prepared_as_they_do(family, loaded):
    """Together too, where smaller ones are filled up."""
    ours, images = loaded(family), [picture(*size, seed=i) for i, size in enumerate(SIZES)]
    for some in ([images[0]], images):
        expected, given = processor(family)(images=some, return_tensors="pt"), ours.preprocess(some)
        assert torch.equal(given["pixel_values"], expected["pixel_values"])
        if "pixel_mask" in given:
            assert torch.equal(given["pixel_mask"], expected["pixel_mask"])
    if family in ("detr", "conditional_detr", "deformable_detr"):
        assert given["pixel_mask"].min() == 0


def test_rf_detr_prepares_pictures_as_it_says(loaded):
    """Against bilinear interpolation between pixel centres, written out."""
    ours, image = loaded("rf_detr"), picture(50, 91)
    pixels = np.asarray(image).astype(np.float64) / 255

    def sampled(length, size):
        at = np.clip((np.arange(size) + 0.5) * length / size - 0.5, 0, length - 1)
        first = np.floor(at).astype(int)
        return first, np.minimum(first + 1, length - 1), at - first

    (top, bottom, down), (left, right, across) = sampled(50, 64), sampled(91, 64)
    rows = pixels[top] * (1 - down)[:, None, None] + pixels[bottom] * down[:, None, None]
    both = rows[:, left] * (1 - across)[None, :, None] + rows[:, right] * across[None, :, None]
    expected = (both - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]
    given = ours.preprocess([image])["pixel_values"][0].permute(1, 2, 0).numpy()
    np.testing.assert_allclose(given, expected, atol=1e-5)


def test_rf_detr_finds_what_its_network_says(saved, loaded):
    theirs, ours, image = saved("rf_detr")[1], loaded("rf_detr"), picture(50, 91)
    with torch.no_grad():
        out = theirs(**ours.preprocess([image]))
    found = ours.detect([image])[0]
    scores, pairs = out.logits[0].sigmoid().flatten().sort(descending=True)
    torch.testing.assert_close(found.scores, scores[:5], rtol=0, atol=1e-6)
    assert torch.equal(found.labels, pairs[:5] % out.logits.shape[-1])
    x, y, width, height = (
        out.pred_boxes[0, pairs[0] // out.logits.shape[-1]] * torch.tensor([91, 50, 91, 50])
    ).tolist()
    best = [x - width / 2, y - height / 2, x + width / 2, y + height / 2]
    torch.testing.assert_close(found.boxes[0], torch.tensor(best), rtol=0, atol=1e-4)


@pytest.mark.parametrize("height", [1, 3, 4])
def test_few_rows_are_not_taken_for_channels(height, loaded):
    ours, image = loaded("rt_detr"), picture(height, 40)
    expected = np.asarray(image.resize((64, 64), Image.Resampling.BILINEAR)) / 255
    np.testing.assert_allclose(ours.preprocess([image])["pixel_values"][0].permute(1, 2, 0), expected, atol=1e-6)


def test_pictures_of_any_kind_and_mode(loaded, tmp_path):
    ours, image = loaded("detr"), picture(61, 83)
    image.save(tmp_path / "a.png")
    sources = [tmp_path / "a.png", image, np.asarray(image), image.convert("RGBA")]
    found = ours.detect(sources)
    for one in found[1:]:
        assert all(torch.equal(a, b) for a, b in zip(found[0], one, strict=True))
    ours.detect([image.convert("L")])
    with pytest.raises(DataError, match=r"no\.png"):
        ours.detect([tmp_path / "no.png"])


def test_a_picture_that_cannot_be_prepared(loaded):
    ours = loaded("yolos")
    with pytest.raises(DataError, match="pictures of 900 x 1 pixels cannot be prepared for yolos"):
        ours.detect([Image.new("RGB", (900, 1))])


# ------------------------------------------------------------------------------------------- looking inside


def test_the_lens_sees_what_the_queries_look_at(saved):
    """DETR's attention under its fused kernel is what transformers' own eager attention writes out."""
    folder, eager = saved("detr")
    ours, image = load_detector(folder), picture(61, 83)
    given = ours.preprocess([image])
    with saccade.watch(ours.model) as trace, torch.no_grad():
        ours.model(**given)
    cells = (given["pixel_values"].shape[-2] + 31) // 32 * ((given["pixel_values"].shape[-1] + 31) // 32)
    assert cells > 4
    assert not trace.missed
    assert [(call.name, call.kind, call.shape) for call in trace] == [
        ("model.encoder.layers.0.self_attn", "self", (1, 2, cells, cells)),
        ("model.encoder.layers.1.self_attn", "self", (1, 2, cells, cells)),
        ("model.decoder.layers.0.self_attn", "self", (1, 2, 7, 7)),
        ("model.decoder.layers.0.encoder_attn", "cross", (1, 2, 7, cells)),
        ("model.decoder.layers.1.self_attn", "self", (1, 2, 7, 7)),
        ("model.decoder.layers.1.encoder_attn", "cross", (1, 2, 7, cells)),
    ]
    eager = copy.deepcopy(eager)
    eager.set_attn_implementation("eager")
    with torch.no_grad():
        out = eager(**given, output_attentions=True)
    for call, expected in zip(trace["*.encoder_attn"], out.cross_attentions, strict=True):
        torch.testing.assert_close(call.weights(), expected, rtol=0, atol=1e-6)


def test_the_lens_sees_yolos(loaded):
    ours = loaded("yolos")
    with saccade.watch(ours.model) as trace:
        ours.detect([picture(64, 96)])
    tokens = 1 + 6 * 9 + 7
    assert [(call.kind, call.shape) for call in trace] == [("self", (1, 2, tokens, tokens))] * 2
    assert not trace.missed


@pytest.mark.parametrize("family", ["dab-detr", "table-transformer"])
def test_the_lens_sees_attention_in_separate_operations(family, loaded):
    with saccade.watch(loaded(family).model) as trace:
        loaded(family).detect([picture(64, 64)])
    assert [call.kind for call in trace] == ["self", "self", "self", "cross", "self", "cross"]
    assert not trace.missed


SEEN = {"detr", "yolos", "conditional_detr", "dab-detr", "table-transformer"}


@pytest.mark.parametrize("family", sorted(set(KINDS) - SEEN))
def test_what_the_lens_cannot_see_is_named(family, loaded):
    """Deformable attention makes no scores."""
    ours = loaded(family)
    with saccade.watch(ours.model) as trace:
        ours.detect([picture(64, 64)])
    assert trace.missed
    assert len(trace)


# ------------------------------------------------------------------------------------------------ loading


def changed(folder, to, weights=None, **config):
    """A copy of a checkpoint with other weights or fields of its config (None: without it)."""
    to.mkdir()
    settings = {**json.loads((folder / "config.json").read_text()), **config}
    (to / "config.json").write_text(json.dumps({key: value for key, value in settings.items() if value is not None}))
    (to / "preprocessor_config.json").write_text((folder / "preprocessor_config.json").read_text())
    tensors = load_file(folder / "model.safetensors")
    save_file(tensors if weights is None else weights(tensors), to / "model.safetensors")
    return to


def test_is_detector(saved, tmp_path):
    folder, _ = saved("detr")
    assert is_detector(open_checkpoint(folder))
    assert not is_detector(open_checkpoint(changed(folder, tmp_path / "vit", model_type="vit")))
    assert load_detector(open_checkpoint(folder)).family == "detr"


def test_a_name_on_the_hub(saved, monkeypatch):
    folder, _ = saved("detr")
    monkeypatch.setattr(
        "saccade.checkpoints.hub.fetch", lambda repo, words: {("someone/a-detr", False): folder}[repo, words]
    )
    assert load_detector("hf:someone/a-detr").name == "a-detr"


def test_it_is_quiet_and_leaves_transformers_as_it_was(saved, capfd):
    from transformers.utils import logging

    before = logging.get_verbosity(), logging.is_progress_bar_enabled()
    load_detector(saved("detr")[0])
    assert capfd.readouterr() == ("", "")
    assert (logging.get_verbosity(), logging.is_progress_bar_enabled()) == before


def test_weights_are_read_in_fp32(saved, tmp_path):
    half = changed(saved("detr")[0], tmp_path / "half", lambda w: {k: v.half() for k, v in w.items()}, dtype="float16")
    assert {p.dtype for p in load_detector(half).model.parameters()} == {torch.float32}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"model_type": "vit"}, "model_type 'vit'; expected one of detr"),
        ({"model_type": None}, "model_type 'None'"),
        ({"d_model": 24}, "transformers cannot build it"),
        ({"d_model": "wide"}, "transformers cannot build it"),
        ({"encoder_layers": 3}, r"\d+ weights are missing: model.encoder.layers.2"),
        ({"id2label": {"0": "cat"}}, "transformers cannot build it"),
        ({"quantization_config": {"quant_method": "bitsandbytes"}}, "quantised"),
    ],
)
def test_a_config_of_another_model(change, message, saved, tmp_path):
    with pytest.raises(CheckpointError, match=message) as e:
        load_detector(changed(saved("detr")[0], tmp_path / "other", **change))
    assert "\n" not in str(e.value)


def test_missing_weights_and_weights_that_nothing_uses(saved, tmp_path):
    folder, name = saved("detr")[0], "class_labels_classifier.weight"
    without = changed(folder, tmp_path / "a", lambda w: {k: v for k, v in w.items() if k != name})
    with pytest.raises(CheckpointError, match=f"1 weights are missing: {name}"):
        load_detector(without)
    more = changed(folder, tmp_path / "b", lambda w: {**w, "mask_head.weight": torch.zeros(2)})
    assert any("1 weights of the file are not used: mask_head.weight" in note for note in load_detector(more).notes)


def test_damaged_weights_say_so(saved, tmp_path):
    spoilt = changed(
        saved("detr")[0], tmp_path / "a", lambda w: {**w, "class_labels_classifier.bias": torch.full((4,), torch.nan)}
    )
    with pytest.raises(CheckpointError, match="its answer is not a number"):
        load_detector(spoilt).detect([picture(64, 64)])


def test_pickles_and_code_are_refused_or_left_alone(saved, tmp_path):
    folder, _ = saved("detr")
    remote = {"AutoModelForObjectDetection": "evil.Model", "AutoConfig": "evil.Config"}
    odd = changed(
        folder, tmp_path / "a", auto_map=remote, attn_implementation="somebody/kernel", _attn_implementation="x"
    )
    (odd / "evil.py").write_text("raise SystemExit('ran')")
    assert load_detector(odd).model.config._attn_implementation == "sdpa"
    (odd / "model.safetensors").unlink()
    (odd / "pytorch_model.bin").write_bytes(b"\x80\x04.")
    with pytest.raises(CheckpointError, match="a pickle"):
        load_detector(odd)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"image_processor_type": "PPOCRV5ServerDetImageProcessor"}, "offers only with torchvision"),
        ({"image_processor_type": "DetrImageProcessor", "size": "big"}, "does not say how to prepare pictures"),
        (
            {"image_processor_type": "RfDetrImageProcessor", "size": {"longest_edge": 9}},
            "expected a height and a width",
        ),
        ({"image_processor_type": "RfDetrImageProcessor", "size": 64, "resample": 9}, "expected 2"),
    ],
)
def test_pictures_that_cannot_be_prepared_as_the_checkpoint_says(settings, message, saved, tmp_path):
    folder = changed(saved("detr")[0], tmp_path / "a")
    (folder / "preprocessor_config.json").write_text(json.dumps(settings))
    with pytest.raises(CheckpointError, match=message):
        load_detector(folder)


@pytest.mark.parametrize("old", ["DetrFeatureExtractor", "DetrImageProcessorFast"])
def test_older_names_of_image_processors(old, saved, tmp_path):
    folder = changed(saved("detr")[0], tmp_path / "a")
    field = "feature_extractor_type" if "Feature" in old else "image_processor_type"
    (folder / "preprocessor_config.json").write_text(json.dumps({field: old, "size": 96, "max_size": 160}))
    expected = load_detector(saved("detr")[0]).preprocess([picture(61, 83)])["pixel_values"]
    assert torch.equal(load_detector(folder).preprocess([picture(61, 83)])["pixel_values"], expected)


def test_a_missing_preprocessor_config_is_noted(saved, tmp_path):
    folder = changed(saved("yolos")[0], tmp_path / "a")
    (folder / "preprocessor_config.json").unlink()
    ours = load_detector(folder)
    assert type(ours.processor).__name__ == "YolosImageProcessorPil"
    assert "no preprocessor_config.json: pictures are prepared as is usual for this family" in ours.notes


def test_names_of_classes(saved, tmp_path):
    settings = {"id2label": {"0": "N/A", "1": "cat", "2": "N/A"}, "label2id": None}
    assert load_detector(changed(saved("detr")[0], tmp_path / "a", **settings)).classes == ["N/A", "cat", "N/A (2)"]
    settings = {"id2label": {str(i): f"LABEL_{i}" for i in range(3)}, "label2id": None}
    unnamed = load_detector(changed(saved("detr")[0], tmp_path / "b", **settings))
    assert unnamed.classes == ["class 0", "class 1", "class 2"]
    assert any("does not name its 3 classes" in note for note in unnamed.notes)


def test_without_transformers(saved, monkeypatch):
    folder, _ = saved("detr")
    monkeypatch.setitem(__import__("sys").modules, "transformers", None)
    with pytest.raises(CheckpointError, match=r"pip install 'saccade-attention\[hf\]'"):
        load_detector(folder)
    assert module.KINDS
