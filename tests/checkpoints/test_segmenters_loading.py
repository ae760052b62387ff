"""Which public segmenters are loaded, from which files, and the errors for others."""

import json
import shutil
from functools import cache

import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

import saccade
from saccade.checkpoints.detectors import is_detector
from saccade.checkpoints.files import OpenedCheckpoint, open_checkpoint
from saccade.checkpoints.segmenters import KINDS, REFUSED, is_segmenter, load_segmenter
from saccade.errors import CheckpointError

pytest.importorskip("transformers")
import transformers as hf

from .test_detr_backbones import named, plain
from .tiny_detectors import processor as detectors_processor
from .tiny_detectors import tiny as tiny_detector
from .tiny_segmenters import changed, tiny, write

PICTURE = Image.new("RGB", (83, 61), (200, 90, 30))


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """The folder of a family, made once."""
    return cache(lambda family: write(family, tmp_path_factory.mktemp("segmenters") / family))


# ---------------------------------------------------------------------------------------------- what is a segmenter


@pytest.mark.parametrize("family", KINDS)
def test_a_config_names_the_task_of_its_network(family):
    """The same model_type stands for classifiers, detectors and segmenters; few do nothing but segment."""

    def known(**fields):
        return is_segmenter(OpenedCheckpoint("here", {}, {"config.json": {"model_type": family, **fields}}))

    alone = family in {"upernet", "maskformer", "mask2former", "oneformer", "eomt", "eomt_dinov3"}
    assert known(architectures=[KINDS[family].model])
    assert known(architectures=["Other", KINDS[family].model])
    assert not known(architectures=["Other"])
    assert [known(), known(architectures=None), known(architectures="Other")] == [alone] * 3


def test_a_detr_for_boxes_stays_a_detector(saved, tmp_path):
    tiny_detector("detr").save_pretrained(tmp_path / "detr")
    detectors_processor("detr").save_pretrained(tmp_path / "detr")
    assert not is_segmenter(open_checkpoint(tmp_path / "detr"))
    assert saccade.load(tmp_path / "detr").kind == "detect"
    assert is_detector(open_checkpoint(saved("detr")))
    assert saccade.load(saved("detr")).kind == "segment"


@pytest.mark.parametrize("network", REFUSED)
def test_networks_that_are_refused_say_why(network, saved, tmp_path):
    family = network.partition("For")[0].lower()
    odd = changed(saved("segformer"), tmp_path / "a", architectures=[network], model_type=family)
    with pytest.raises(CheckpointError, match=f"{network} is not read here: {REFUSED[network]}; take .*segformer"):
        saccade.load(odd)


@pytest.mark.parametrize("model_type", [["segformer"], {"a": 1}, 3, "nobodys", None])
def test_other_model_types(model_type, saved, tmp_path):
    odd = changed(saved("segformer"), tmp_path / "a", model_type=model_type)
    assert not is_segmenter(open_checkpoint(odd))
    with pytest.raises(CheckpointError, match=r"model_type .* expected one of segformer"):
        load_segmenter(odd)
    with pytest.raises(CheckpointError):
        saccade.load(odd)


def test_a_name_on_the_hub(saved, monkeypatch):
    folder = saved("segformer")
    monkeypatch.setattr(
        "saccade.checkpoints.hub.fetch", lambda repo, words: {("someone/a-b0", False): folder}[repo, words]
    )
    assert saccade.load("hf:someone/a-b0").name == "a-b0"


# ----------------------------------------------------------------------------------------------------- bad inputs


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"hidden_sizes": [8, 12, 16, 24]}, "transformers cannot build it"),
        ({"hidden_sizes": "wide"}, "transformers cannot build it"),
        ({"depths": [1, 1, 1, 2]}, r"\d+ weights are missing: segformer"),
        ({"id2label": {"0": "cat"}}, "transformers cannot build it"),
        ({"id2label": {str(i): f"c{i}" for i in range(256)}}, "it has 256 classes, and a mask of eight bits holds"),
        ({"id2label": {}}, "it has 0 classes"),
        ({"id2label": ["cat"]}, "transformers cannot build it"),
        ({"quantization_config": {"quant_method": "bitsandbytes"}}, "quantised"),
    ],
)
def test_a_config_of_another_model(change, message, saved, tmp_path):
    odd = changed(saved("segformer"), tmp_path / "other", label2id=None, **change)
    with pytest.raises(CheckpointError, match=message) as e:
        saccade.load(odd)
    assert "\n" not in str(e.value)


def test_as_many_classes_as_a_mask_holds(tmp_path):
    labels = {i: f"c{i}" for i in range(255)}
    config = {**tiny("segformer").config.to_dict(), "id2label": labels, "label2id": None}
    hf.SegformerForSemanticSegmentation(hf.SegformerConfig.from_dict(config)).save_pretrained(tmp_path)
    found = saccade.load(tmp_path).predict(PICTURE)
    assert len(found.classes) == 255
    assert found.mask.shape == (61, 83)


def test_a_backbone_that_would_have_to_be_fetched(saved, tmp_path):
    odd = changed(saved("upernet"), tmp_path / "a", backbone="somebody/swin", backbone_config=None)
    with pytest.raises(CheckpointError, match=r"only names its backbone .'somebody/swin'"):
        saccade.load(odd)


def test_a_backbone_that_only_timm_has(saved, tmp_path):
    of_timm = {"model_type": "timm_backbone", "backbone": "swin_tiny_patch4_window7_224"}
    with pytest.raises(CheckpointError, match="transformers cannot build it") as e:
        saccade.load(changed(saved("upernet"), tmp_path / "a", backbone_config=of_timm))
    assert "\n" not in str(e.value)


def test_missing_weights_and_weights_that_nothing_uses(saved, tmp_path):
    folder, name = saved("segformer"), "decode_head.classifier.weight"
    without = changed(folder, tmp_path / "a", lambda w: {k: v for k, v in w.items() if k != name})
    with pytest.raises(CheckpointError, match=f"1 weights are missing: {name}"):
        saccade.load(without)
    more = changed(folder, tmp_path / "b", lambda w: {**w, "box_head.weight": torch.zeros(2)})
    assert any("1 weights of the file are not used: box_head.weight" in note for note in saccade.load(more).notes)


def test_damaged_weights_say_so(saved, tmp_path):
    spoilt = changed(
        saved("segformer"), tmp_path / "a", lambda w: {**w, "decode_head.classifier.bias": torch.full((7,), torch.nan)}
    )
    with pytest.raises(CheckpointError, match="its answer is not a number"):
        saccade.load(spoilt).predict(PICTURE)


def test_weights_are_read_in_fp32(saved, tmp_path):
    half = changed(saved("eomt"), tmp_path / "half", lambda w: {k: v.half() for k, v in w.items()}, dtype="float16")
    assert {p.dtype for p in load_segmenter(half).model.parameters()} == {torch.float32}


def test_pickles_and_code_are_refused_or_left_alone(saved, tmp_path):
    remote = {"AutoModelForSemanticSegmentation": "evil.Model", "AutoConfig": "evil.Config"}
    odd = changed(saved("segformer"), tmp_path / "a", auto_map=remote, attn_implementation="somebody/kernel")
    (odd / "evil.py").write_text("raise SystemExit('ran')")
    assert load_segmenter(odd).model.config._attn_implementation == "sdpa"
    (odd / "model.safetensors").unlink()
    (odd / "pytorch_model.bin").write_bytes(b"\x80\x04.")
    with pytest.raises(CheckpointError, match="a pickle"):
        saccade.load(odd)


def test_cut_short_files(saved, tmp_path):
    folder = changed(saved("segformer"), tmp_path / "a")
    whole = (folder / "config.json").read_text()
    (folder / "config.json").write_text(whole[: len(whole) // 2])
    with pytest.raises(CheckpointError, match=r"config\.json is not readable JSON"):
        saccade.load(folder)
    (folder / "config.json").write_text(whole)
    (folder / "model.safetensors").write_bytes((folder / "model.safetensors").read_bytes()[:-100])
    with pytest.raises(CheckpointError, match="not a complete safetensors file"):
        saccade.load(folder)


def test_without_transformers(saved, monkeypatch):
    folder = saved("segformer")
    monkeypatch.setitem(__import__("sys").modules, "transformers", None)
    with pytest.raises(CheckpointError, match=r"a model of transformers.*pip install 'saccade-attention\[hf\]'"):
        saccade.load(folder)


def test_it_is_quiet(saved, capfd):
    saccade.load(saved("segformer"))
    assert capfd.readouterr() == ("", "")


# ----------------------------------------------------------------------------------------- a panoptic DETR of timm's

_OLD = {
    "bbox_attention.q_proj": "bbox_attention.q_linear", "bbox_attention.k_proj": "bbox_attention.k_linear",
    "mask_head.conv1.conv": "mask_head.lay1", "mask_head.conv1.norm": "mask_head.gn1",
    "mask_head.conv2.conv": "mask_head.lay2", "mask_head.conv2.norm": "mask_head.gn2",
    "mask_head.output_conv": "mask_head.out_lay", "o_proj": "out_proj", ".mlp.fc": ".fc",
    **{f"fpn_stages.{i}.fpn_adapter": f"adapter{i + 1}" for i in range(3)},
    **{f"fpn_stages.{i}.refine.conv": f"lay{i + 3}" for i in range(3)},
    **{f"fpn_stages.{i}.refine.norm": f"gn{i + 3}" for i in range(3)},
}  # fmt: skip


def test_a_panoptic_detr_with_timms_resnet(saved, tmp_path):
    """Under the names that files on the hub have; the same weights as under transformers' own."""
    fields = json.loads((saved("detr") / "config.json").read_text())
    resnet = {"model_type": "resnet", "embedding_size": 64, "hidden_sizes": [64, 128, 256, 512], "layer_type": "basic",
              "depths": [2, 2, 2, 2], "out_features": [f"stage{i}" for i in range(1, 5)]}  # fmt: skip
    twin = hf.DetrForSegmentation(hf.DetrConfig.from_dict({**fields, "backbone_config": resnet})).eval()
    rest = {key: tensor for key, tensor in twin.state_dict().items() if ".backbone." not in key}

    def old(key):
        for now, before in _OLD.items():
            key = key.replace(now, before)
        return key

    backbone = plain("resnet18")
    weights = {old(key): tensor for key, tensor in rest.items()}
    weights |= named(backbone, "detr.model.backbone.conv_encoder.model.")
    save_file(weights, tmp_path / "model.safetensors")
    config = {**fields, "backbone": "resnet18", "use_timm_backbone": True}
    del config["backbone_config"]
    (tmp_path / "config.json").write_text(json.dumps(config))
    shutil.copy(saved("detr") / "preprocessor_config.json", tmp_path)
    task = saccade.load(tmp_path)
    assert task.notes == ["its ResNet is transformers' own in place of timm's: the same network"]
    state = task.model.state_dict()
    assert all(torch.equal(state[key], tensor) for key, tensor in rest.items())
    x, mask = torch.randn(1, 3, 75, 94), torch.ones(1, 75, 94, dtype=torch.int64)
    with torch.no_grad():
        maps = [found for found, _ in task.model.detr.model.backbone(x, mask)]
        for found, expected in zip(maps, backbone(x), strict=True):
            torch.testing.assert_close(found, expected, rtol=0, atol=1e-4)
    assert task.predict(PICTURE).mask.shape == (61, 83)
