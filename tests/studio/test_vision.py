"""Pages of models that are read in their library's own class: their numbers are those of the maps."""

import json

import pytest
import torch
from PIL import Image
from transformers import (
    BeitConfig,
    BeitForImageClassification,
    BeitImageProcessorPil,
    DINOv3ViTConfig,
    DINOv3ViTModel,
    SiglipConfig,
    SiglipImageProcessorPil,
    SiglipModel,
)

from saccade.data import Picture
from saccade.errors import CheckpointError, SaccadeError
from saccade.studio.look import look
from saccade.studio.views import LookOptions
from saccade.studio.views.vision import VisionView
from saccade.tasks import load
from saccade.tasks.registry import commands_for_model

TINY = {"hidden_size": 28, "num_hidden_layers": 3, "num_attention_heads": 2, "intermediate_size": 19}
SIZE = {"height": 35, "width": 35}
PLAIN = {"image_processor_type": "DINOv3ViTImageProcessorFast", "size": SIZE, "image_mean": [0.5] * 3}
PICTURE = Picture(Image.effect_mandelbrot((50, 40), (-2, -1, 1, 1), 9).convert("RGB"), "picture")


def beit(folder):
    model = BeitForImageClassification(BeitConfig(image_size=35, patch_size=7, num_labels=5, **TINY))
    model.config.id2label = {i: f"kind {i}" for i in range(5)}
    save(folder, model, BeitImageProcessorPil(size=SIZE, do_center_crop=False))


def dinov3(folder):
    small = TINY | {"hidden_size": 32}  # rotary positions want heads of whole quarters
    save(folder, DINOv3ViTModel(DINOv3ViTConfig(image_size=35, patch_size=7, num_register_tokens=3, **small)), PLAIN)


def siglip(folder):
    text = dict(TINY, vocab_size=60, projection_size=28)
    config = SiglipConfig(vision_config=dict(TINY, image_size=35, patch_size=7), text_config=text)
    save(folder, SiglipModel(config), SiglipImageProcessorPil(size=SIZE))


def save(folder, model, processor):
    model.save_pretrained(folder)
    if isinstance(processor, dict):
        (folder / "preprocessor_config.json").write_text(json.dumps(processor))
    else:
        processor.save_pretrained(folder)


def seen(folder):
    return look(load(folder), PICTURE)


@pytest.mark.parametrize(("make", "prefix"), [(beit, 1), (dinov3, 4), (siglip, 0)])
def test_the_heat_is_the_rollout_of_the_models_own_maps(tmp_path, make, prefix):
    make(tmp_path)
    found = seen(tmp_path)
    assert isinstance(found, VisionView)
    assert (found.grid, len(found.prefix), found.pixels) == ((5, 5), prefix, (35, 35))
    task = found.task
    task.model.set_attn_implementation("eager")
    with torch.no_grad():
        out = task.model(**task.vision.prepare(PICTURE.image), output_attentions=True)
    chain = torch.eye(25 + prefix)
    for weights in out.attentions:
        chain = (weights[0].mean(dim=0) + torch.eye(25 + prefix)) / 2 @ chain
    expected = chain[0] if prefix else chain.mean(dim=0)
    torch.testing.assert_close(found.heat.flatten(), expected[prefix:], rtol=0, atol=1e-6)
    assert len(out.attentions) == len(found.trace) == 3
    assert found.page(tmp_path / "page.html").layers_kept == 3


def test_classes_are_named_where_the_model_has_a_head(tmp_path):
    beit(tmp_path)
    found = seen(tmp_path)
    with torch.no_grad():
        logits = found.task.model(**found.task.vision.prepare(PICTURE.image)).logits[0]
    best = logits.softmax(dim=0).sort(descending=True)
    assert [label for label, _ in found.predictions] == [f"kind {i}" for i in best.indices]
    assert [p for _, p in found.predictions] == pytest.approx(best.values.tolist())
    assert found.to_dict()["prediction"]["labels"][0] == found.prediction.label


def test_a_model_without_a_head_has_no_classes(tmp_path):
    dinov3(tmp_path)
    found = seen(tmp_path)
    assert found.prefix == ["cls", "register 1", "register 2", "register 3"]
    assert (found.prediction, found.predictions, found.to_dict()["prediction"]) == (None, [], None)
    assert any("its own processor needs torchvision" in note for note in found.notes)


def test_what_is_refused(tmp_path):
    beit(tmp_path)
    task = load(tmp_path)
    with pytest.raises(SaccadeError, match="--size is not for"):
        look(task, PICTURE, LookOptions(size=49))
    with pytest.raises(SaccadeError, match="is read in the class of its own library, to look into"):
        commands_for_model(task)
    config = json.loads((tmp_path / "config.json").read_text())
    for change, message in (
        ({"architectures": ["LlamaForCausalLM"]}, "no such class that takes a picture alone"),
        ({"architectures": ["os.system"]}, "no such class that takes a picture alone"),
        ({"quantization_config": {}}, "its weights are quantised"),
    ):
        (tmp_path / "config.json").write_text(json.dumps(config | change))
        with pytest.raises(CheckpointError, match=message):
            load(tmp_path)
