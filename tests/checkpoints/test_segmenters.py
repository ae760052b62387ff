"""Public segmenters beside transformers' own: tiny random models, saved there, loaded here, on odd-sized pictures."""

import inspect

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image

import saccade
from saccade.checkpoints.segmenter_scores import argmax_mask
from saccade.checkpoints.segmenters import KINDS, REFUSED, SEMANTIC_TASK, load_segmenter
from saccade.errors import DataError

pytest.importorskip("transformers")
import transformers as hf

from .tiny_segmenters import CONFIGS, NAMES, PROCESSORS, processor, tiny

SIZES = [(61, 83), (97, 41), (31, 199)]  # height, width
SEVERAL = ("segformer", "upernet", "beit", "data2vec-vision", "dpt", "mobilevit", "mobilevitv2", "mobilenet_v2")


def picture(height, width, seed=0):
    pixels = np.random.default_rng(seed).integers(0, 256, (height // 7 + 1, width // 7 + 1, 3), dtype=np.uint8)
    return Image.fromarray(pixels).resize((width, height), Image.Resampling.BICUBIC)


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """The folder of a family and transformers' own model of it, made once."""
    made = {}

    def make(family):
        if family not in made:
            folder, model = tmp_path_factory.mktemp("segmenters") / family, tiny(family)
            model.save_pretrained(folder)
            processor(family).save_pretrained(folder)
            made[family] = folder, type(model).from_pretrained(folder).eval()
        return made[family]

    return make


@pytest.fixture(scope="module")
def loaded(saved):
    """The task that we make of it, made once."""
    made = {}

    def make(family):
        if family not in made:
            made[family] = saccade.load(saved(family)[0])
        return made[family]

    return make


def theirs(family, model, image):
    """What transformers says of one picture: the mask, and the scores (c y x) it is taken from."""
    prepare = processor(family)
    given = dict(prepare(images=[image], return_tensors="pt"))
    if family == "oneformer":
        given["task_inputs"] = torch.tensor([[*SEMANTIC_TASK, *[0] * 70]])
    takes = inspect.signature(model.forward).parameters
    with torch.no_grad():
        out = model(**{name: value for name, value in given.items() if name in takes})
    sizes = [(image.height, image.width)]
    [both] = prepare.post_process_semantic_segmentation(out, target_sizes=sizes, return_segmentation_scores=True)
    return both.segmentation, both.segmentation_scores


def test_every_network_of_transformers_is_read_or_refused():
    auto = hf.models.auto.modeling_auto
    there = {
        **auto.MODEL_FOR_SEMANTIC_SEGMENTATION_MAPPING_NAMES,
        **auto.MODEL_FOR_UNIVERSAL_SEGMENTATION_MAPPING_NAMES,
        **auto.MODEL_FOR_IMAGE_SEGMENTATION_MAPPING_NAMES,
    }
    read = {family: kind.model for family, kind in KINDS.items()}
    assert read == {family: name for family, name in there.items() if name not in REFUSED}
    assert set(REFUSED) <= set(there.values())
    assert set(CONFIGS) == set(PROCESSORS) == set(KINDS)


@pytest.mark.parametrize("family", KINDS)
def test_masks_and_scores_are_theirs_to_the_last_bit(family, saved, loaded):
    """Pictures of several sizes, one after another, and the first again."""
    model, task = saved(family)[1], loaded(family)
    assert (task.labels, task.name, task.segmenter.family, task.kind) == (NAMES, family, family, "segment")
    several = 0
    for size in [*SIZES, SIZES[0]]:
        image = picture(*size)
        mask, scores = theirs(family, model, image)
        ours = task.predict(image)
        assert ours.mask.dtype == torch.uint8
        assert ours.mask.shape == size
        assert torch.equal(ours.mask.long(), mask)
        assert ours.classes == tuple(NAMES)
        own = task.segmenter.scores(image)
        assert torch.equal(F.interpolate(own[None], size=size, mode="bilinear", align_corners=False)[0], scores)
        several += len(mask.unique()) > 1
    assert several or family not in SEVERAL


@pytest.mark.parametrize("family", sorted(set(KINDS) - set(SEVERAL)))
def test_decoded_queries_equal_those_of_transformers(family, loaded):
    """Many queries, large logits, so that every class is somewhere."""
    task, prepare = loaded(family), processor(family)
    for height, width in SIZES[:2]:
        cuts = prepare(images=[picture(height, width)], return_tensors="pt").get("patch_offsets") or None
        b = len(cuts) if cuts else 1
        classes, masks = 4 * torch.randn(b, 23, 8), 3 * torch.randn(b, 23, 13, 17)
        names = ("logits", "pred_masks") if family == "detr" else ("class_queries_logits", "masks_queries_logits")
        out = Answer(zip(names, (classes, masks), strict=True), patch_offsets=cuts)
        [expected] = prepare.post_process_semantic_segmentation(out, target_sizes=[(height, width)])
        assert len(expected.unique()) > 3
        scores = KINDS[family].scores(out, task.segmenter.processor, (height, width))
        assert torch.equal(argmax_mask(scores, (height, width)).long(), expected)


class Answer(dict):
    """As transformers' answers: values by name and as attributes."""

    __getattr__ = dict.__getitem__


@pytest.mark.parametrize("family", KINDS)
def test_pictures_are_prepared_as_they_do(family, loaded):
    for i, size in enumerate(SIZES):
        image = picture(*size, seed=i)
        given, expected = (
            loaded(family).segmenter.preprocess(image),
            processor(family)(images=[image], return_tensors="pt"),
        )
        assert torch.equal(given["pixel_values"], expected["pixel_values"])
        if "pixel_mask" in given:
            assert torch.equal(given["pixel_mask"], expected["pixel_mask"])


@pytest.mark.parametrize("limit", [1, 2 * 61 * 83, 5 * 61 * 83, 7 * 61 * 83, 2**28])
@pytest.mark.parametrize("classes", [1, 2, 7, 17, 255])
def test_the_likeliest_class_is_the_same_however_many_are_resized_at_once(classes, limit):
    scores = torch.randn(classes, 11, 13).round(decimals=1)  # equal ones are there too
    resized = F.interpolate(scores[None], size=(61, 83), mode="bilinear", align_corners=False)[0]
    mask = argmax_mask(scores, (61, 83), limit)
    assert mask.dtype == torch.uint8
    assert torch.equal(mask.long(), resized.argmax(dim=0))


def test_of_equal_classes_the_first_is_taken():
    assert (argmax_mask(torch.zeros(7, 3, 5), (11, 13), limit=1) == 0).all()


@pytest.mark.parametrize("height", [1, 3, 4])
def test_few_rows_are_not_taken_for_channels(height, saved, loaded):
    image = picture(height, 53)
    assert torch.equal(
        loaded("segformer").predict(image).mask.long(), theirs("segformer", saved("segformer")[1], image)[0]
    )


def test_pictures_of_any_kind_and_mode(loaded, tmp_path):
    task, image = loaded("segformer"), picture(61, 83)
    image.save(tmp_path / "a.png")
    sources = [tmp_path / "a.png", image, np.asarray(image), image.convert("RGBA")]
    first, *others = (found.mask for found in task.predict_all(sources))
    assert all(torch.equal(first, other) for other in others)
    task.predict(image.convert("L"))
    with pytest.raises(DataError, match=r"no\.png"):
        task.predict(tmp_path / "no.png")


def test_a_picture_that_cannot_be_prepared(loaded):
    with pytest.raises(DataError, match="pictures of 900 x 1 pixels cannot be prepared for detr"):
        loaded("detr").predict(Image.new("RGB", (900, 1)))


def test_a_picture_of_a_size_that_the_network_cannot_take(loaded):
    """DPT's own network takes squares."""
    task = loaded("dpt")
    wide = load_segmenter_with(task.segmenter, hf.DPTImageProcessorPil(size={"height": 64, "width": 96}))
    with pytest.raises(DataError, match="a picture of 83 x 61 pixels cannot be segmented by dpt") as e:
        wide.segment(picture(61, 83))
    assert "\n" not in str(e.value)


def load_segmenter_with(segmenter, other):
    return type(segmenter)(segmenter.model, segmenter.classes, other, segmenter.family, segmenter.name)


# -------------------------------------------------------------------------------------------------- oneformer


def test_the_task_input_of_oneformer_equals_that_of_its_processor(saved, loaded):
    """Its processor with as much of CLIP's vocabulary as the sentence needs."""
    ids = {"<|startoftext|>": 49406, "<|endoftext|>": 49407, "the</w>": 518, "task</w>": 10549, "is</w>": 533}
    ids |= {"seman": 29119, "tic</w>": 1550}
    merges = [
        "t h",
        "th e</w>",
        "i s</w>",
        "t i",
        "s e",
        "a s",
        "t as",
        "tas k</w>",
        "m a",
        "ma n",
        "ti c</w>",
        "se man",
    ]
    parts = {part for merge in merges for part in (*merge.split(), merge.replace(" ", ""))}
    unused = iter(range(1, 500))
    vocabulary = {**{part: next(unused) for part in sorted(parts - set(ids))}, **ids}
    tokenizer = hf.CLIPTokenizer(vocab=vocabulary, merges=[tuple(merge.split()) for merge in merges])
    image = picture(61, 83)
    whole = hf.OneFormerProcessor(image_processor=processor("oneformer"), tokenizer=tokenizer)
    expected = whole(images=[image], task_inputs=["semantic"], return_tensors="pt")
    given = loaded("oneformer").segmenter.preprocess(image)
    assert torch.equal(given["task_inputs"], expected["task_inputs"])
    assert torch.equal(given["pixel_values"], expected["pixel_values"])


def test_oneformer_fetches_no_description_of_classes(saved, tmp_path, monkeypatch):
    import json
    import shutil

    folder = tmp_path / "oneformer"
    shutil.copytree(saved("oneformer")[0], folder)
    fields = json.loads((folder / "preprocessor_config.json").read_text())
    fields |= {"class_info_file": "ade20k_panoptic.json", "repo_path": "shi-labs/oneformer_demo", "num_text": 134}
    (folder / "preprocessor_config.json").write_text(json.dumps(fields))
    monkeypatch.setattr("huggingface_hub.hf_hub_download", lambda *a, **k: pytest.fail("fetched"))
    image = picture(61, 83)
    expected, _ = theirs("oneformer", saved("oneformer")[1], image)
    assert torch.equal(load_segmenter(folder).segment(image).long(), expected)


# ------------------------------------------------------------------------------------------------------- eomt


def test_eomt_sees_a_long_picture_in_squares(loaded):
    given = loaded("eomt").segmenter.preprocess(picture(31, 199))
    assert given["pixel_values"].shape == (7, 3, 64, 64)
    starts = [offsets[1].item() for offsets in given["patch_offsets"]]
    assert starts == sorted(starts)
    assert len(starts) == 7


# ------------------------------------------------------------------------------------------------ looking inside


def test_the_lens_sees_what_each_family_lets_it_see(loaded):
    """Families whose attention is all fused, in part, not at all; and those that do not attend."""
    seen = {}
    for family in KINDS:
        task = loaded(family)
        unwatched = task.predict(picture(64, 96)).mask
        with saccade.watch(task.model) as trace:
            assert torch.equal(task.predict(picture(64, 96)).mask, unwatched)
        seen[family] = len(trace) > 0, bool(trace.missed)
    assert {family for family, (some, _) in seen.items() if not some} == {"mobilevitv2", "mobilenet_v2"}
    partly = {"mask2former", "oneformer", "detr"}  # its masks are made of attention's weights
    assert {family for family, (some, missed) in seen.items() if some and missed} == partly


def test_segformers_pixels_look_at_fewer_of_them(loaded):
    """Its keys are those of a smaller picture (Xie et al. 2021): rows sum to 1 over it."""
    task = loaded("segformer")
    with saccade.watch(task.model) as trace:
        task.predict(picture(61, 83))
    assert [call.shape for call in trace] == [(1, 1, 256, 4), (1, 2, 64, 4), (1, 2, 16, 4), (1, 2, 4, 4)]
    torch.testing.assert_close(trace[0].weights().sum(-1), torch.ones(1, 1, 256))
