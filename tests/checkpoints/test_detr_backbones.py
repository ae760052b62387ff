"""ResNets under timm's names: beside one written out plainly here, and through a whole detector."""

import json

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import nn

from saccade.checkpoints.detectors import load_detector
from saccade.checkpoints.detr_backbones import timm_backbone, without_timm
from saccade.errors import CheckpointError

hf = pytest.importorskip("transformers")

SHAPES = {
    "resnet18": ([2, 2, 2, 2], "basic"), "resnet34": ([3, 4, 6, 3], "basic"), "resnet50": ([3, 4, 6, 3], "bottleneck"),
    "resnet101": ([3, 4, 23, 3], "bottleneck"), "resnet152": ([3, 8, 36, 3], "bottleneck"),
}  # fmt: skip
DETR = {
    "model_type": "detr", "d_model": 32, "encoder_layers": 1, "decoder_layers": 1, "encoder_attention_heads": 2,
    "decoder_attention_heads": 2, "encoder_ffn_dim": 37, "decoder_ffn_dim": 37, "num_queries": 7,
    "id2label": {"0": "cat", "1": "dog"}, "label2id": {"cat": 0, "dog": 1},
}  # fmt: skip


def _conv(width, wide, kernel, stride=1):
    return nn.Conv2d(width, wide, kernel, stride, kernel // 2, bias=False)


class Layer(nn.Module):
    """One layer of a ResNet as He et al. 2016 draw it, its parts named as timm names them."""

    def __init__(self, kind, width, wide, stride):
        super().__init__()
        narrow = wide if kind == "basic" else wide // 4
        kernels = [(3, stride), (3, 1)] if kind == "basic" else [(1, 1), (3, stride), (1, 1)]
        widths = [width, *[narrow] * (len(kernels) - 1), wide]
        for i, (kernel, step) in enumerate(kernels, start=1):
            self.add_module(f"conv{i}", _conv(widths[i - 1], widths[i], kernel, step))
            self.add_module(f"bn{i}", nn.BatchNorm2d(widths[i]))
        self.downsample = nn.Sequential()
        if stride > 1 or width != wide:
            self.downsample = nn.Sequential(_conv(width, wide, 1, stride), nn.BatchNorm2d(wide))
        self.last = len(kernels)

    def forward(self, x):
        y = x
        for i in range(1, self.last + 1):
            y = getattr(self, f"bn{i}")(getattr(self, f"conv{i}")(y))
            y = F.relu(y) if i < self.last else y
        return F.relu(y + self.downsample(x))


class ResNet(nn.Module):
    """All maps of the four stages."""

    def __init__(self, name):
        super().__init__()
        depths, kind = SHAPES[name]
        self.conv1, self.bn1, width = _conv(3, 64, 7, 2), nn.BatchNorm2d(64), 64
        for stage, depth in enumerate(depths):
            wide = 64 * 2**stage * (1 if kind == "basic" else 4)
            layers = []
            for i in range(depth):
                layers.append(Layer(kind, width, wide, 2 if stage and not i else 1))
                width = wide
            self.add_module(f"layer{stage + 1}", nn.Sequential(*layers))

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.bn1(self.conv1(x))), 3, 2, 1)
        maps = []
        for stage in range(1, 5):
            x = getattr(self, f"layer{stage}")(x)
            maps.append(x)
        return maps


def plain(name):
    """With statistics and scales away from their first values, and maps that neither vanish nor explode."""
    model = ResNet(name).eval()
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.running_mean, -0.2, 0.2)
            nn.init.uniform_(module.running_var, 0.7, 1.4)
            nn.init.uniform_(module.weight, 0.3, 0.6)
            nn.init.uniform_(module.bias, -0.2, 0.2)
    return model


def named(model, prefix):
    return {f"{prefix}{name}": tensor for name, tensor in model.state_dict().items()}


@pytest.mark.parametrize("prefix", ["model.backbone.conv_encoder.model.", "model.backbone.model."])
@pytest.mark.parametrize("name", ["resnet18", "resnet50"])
@torch.no_grad()
def test_maps_of_every_stage_are_those_of_a_plain_resnet(name, prefix):
    model = plain(name)
    config = {"backbone": name, "use_timm_backbone": True}
    changed, weights = without_timm(config, named(model, prefix), [1, 2, 3, 4], "here")
    kept = {key.removeprefix(prefix): t for key, t in weights.items() if not key.endswith("num_batches_tracked")}
    fields = {key: value for key, value in changed["backbone_config"].items() if key != "model_type"}
    theirs = hf.ResNetBackbone(hf.ResNetConfig(**fields)).eval()
    missing, unexpected = theirs.load_state_dict(kept, strict=False)
    assert not unexpected
    assert all(key.endswith("num_batches_tracked") for key in missing)
    x = torch.randn(1, 3, 75, 94)
    for expected, found in zip(model(x), theirs(x).feature_maps, strict=True):
        assert expected.std() > 0.01
        torch.testing.assert_close(found, expected, rtol=0, atol=1e-5 * float(expected.abs().max()))


@pytest.mark.parametrize("name", SHAPES)
def test_every_resnet_has_the_shapes_of_a_plain_one(name):
    prefix = "model.backbone.conv_encoder.model."
    with torch.device("meta"):
        weights = {key: t for key, t in named(ResNet(name), prefix).items() if "num_batches" not in key}
        changed, renamed = without_timm({"backbone": name}, weights, [4], "here")
        fields = {key: value for key, value in changed["backbone_config"].items() if key != "model_type"}
        theirs = hf.ResNetBackbone(hf.ResNetConfig(**fields)).state_dict()
    expected = {f"{prefix}{key}": t.shape for key, t in theirs.items() if "num_batches" not in key}
    assert {key: t.shape for key, t in renamed.items()} == expected


# Forms of config.json over the years.
SAID = [
    {"backbone": "resnet18", "dilation": False},
    {"backbone": "resnet18", "use_timm_backbone": True, "backbone_config": None, "use_pretrained_backbone": True,
     "backbone_kwargs": {"in_chans": 3, "out_indices": [1, 2, 3, 4]}},
    {"backbone_config": {"model_type": "timm_backbone", "backbone": "resnet18", "out_indices": [1, 2, 3, 4],
                         "features_only": True, "num_channels": 3, "use_pretrained_backbone": False}},
]  # fmt: skip


@pytest.mark.parametrize("fields", SAID)
@torch.no_grad()
def test_a_detector_with_timm_s_resnet(fields, tmp_path):
    """The same as one with the same weights under transformers' own names; its maps are the plain ResNet's."""
    resnet = plain("resnet18")
    config = {"model_type": "resnet", "embedding_size": 64, "hidden_sizes": [64, 128, 256, 512], "layer_type": "basic",
              "depths": [2, 2, 2, 2], "out_features": ["stage4"]}  # fmt: skip
    twin = hf.DetrForObjectDetection(hf.DetrConfig.from_dict({**DETR, "backbone_config": config})).eval()
    rest = {key: t for key, t in twin.state_dict().items() if ".backbone." not in key}
    # as in the files on the hub, whose names are older than transformers 5
    old = {key.replace("o_proj", "out_proj").replace(".mlp.fc", ".fc"): tensor for key, tensor in rest.items()} | named(
        resnet, "model.backbone.conv_encoder.model."
    )
    save_file(old, tmp_path / "model.safetensors")
    (tmp_path / "config.json").write_text(json.dumps({**DETR, **fields}))
    ours = load_detector(tmp_path)
    assert ["in place of timm's" in note for note in ours.notes] == [True, False]  # and no word of unused weights
    assert "no preprocessor_config.json" in ours.notes[1]
    state = ours.model.state_dict()
    assert all(torch.equal(state[key], tensor) for key, tensor in rest.items())
    x = torch.randn(1, 3, 75, 94)
    mask = torch.ones(1, 75, 94, dtype=torch.int64)
    found, _ = ours.model.model.backbone(x, mask)[-1]
    torch.testing.assert_close(found, resnet(x)[-1], rtol=0, atol=1e-4)


@pytest.mark.parametrize(
    ("config", "name"),
    [
        ({}, "resnet50"),
        ({"backbone": "resnet101"}, "resnet101"),
        ({"use_timm_backbone": False}, None),
        ({"use_timm_backbone": True, "backbone": "resnet34", "backbone_config": None}, "resnet34"),
        ({"backbone_config": {"model_type": "resnet"}}, None),
        ({"backbone_config": {"model_type": "timm_backbone", "backbone": "resnet18"}}, "resnet18"),
    ],
)
def test_which_backbone_a_config_takes(config, name):
    assert timm_backbone(config) == name


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"backbone": "resnet50", "dilation": True}, "timm's resnet50 with dilation; only plain resnet18"),
        ({"backbone": "efficientnet_b0"}, "timm's efficientnet_b0; only plain"),
        ({"backbone_config": {"model_type": "timm_backbone", "backbone": "resnet50", "output_stride": 16}}, "dilation"),
    ],
)
def test_other_backbones_are_refused_by_name(config, message):
    with pytest.raises(CheckpointError, match=message):
        without_timm(config, {}, [4], "here")


def test_stages_are_those_the_config_says():
    converted = without_timm({"backbone": "resnet18", "backbone_kwargs": {"out_indices": [3, 4]}}, {}, [1], "here")[0]
    assert converted["backbone_config"]["out_features"] == ["stage3", "stage4"]
    usual = without_timm({"backbone": "resnet18"}, {}, [2, 3, 4], "here")[0]
    assert usual["backbone_config"]["out_features"] == ["stage2", "stage3", "stage4"]
