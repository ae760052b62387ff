"""Public models that match text with pictures: CLIP, SigLIP and others, as transformers' checkpoints hold them, and
CLIP and SigLIP as open_clip's do.

Two towers, one of pictures and one of text, whose embeddings are compared. transformers builds the network; weights are
read here (safetensors only), pictures are prepared here, and words by its tokenizer (`tokenizer.py`). No code of a
checkpoint is run. Needs the extra saccade-attention[hf].
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from saccade.checkpoints.family import OPENAI_CLIP, height_width, short_name
from saccade.checkpoints.files import OpenedCheckpoint, open_checkpoint
from saccade.checkpoints.open_clip import CONFIG as OPEN_CLIP_CONFIG
from saccade.checkpoints.open_clip import as_transformers, clip_tokenizer, is_open_clip, open_clip_preprocess
from saccade.checkpoints.open_clip_siglip import canonicalizing_tokenizer, is_open_siglip, siglip_as_transformers
from saccade.checkpoints.processors import center_crop_preprocess, read_processor
from saccade.checkpoints.public import load_network, network_config, quiet_transformers, refuse_quantised
from saccade.checkpoints.tokenizer import read_tokenizer, tokenizer_settings
from saccade.data.preprocess import Preprocess
from saccade.errors import CheckpointError, DataError


@dataclass(frozen=True)
class MatcherFamily:
    """A family of matchers.

    model: transformers' class. pictures: defaults of its image processor. pad_to_max: whether a
    text is padded to the maximum length, as in training, and encoded without a mask.
    """

    model: str
    pictures: str = "CLIP"
    pad_to_max: bool = False


# By the model_type of config.json.
KINDS: Mapping[str, MatcherFamily] = {
    "clip": MatcherFamily("CLIPModel"),
    "siglip": MatcherFamily("SiglipModel", "ViT", pad_to_max=True),
    "altclip": MatcherFamily("AltCLIPModel"),
    "chinese_clip": MatcherFamily("ChineseCLIPModel"),
    "metaclip_2": MatcherFamily("MetaClip2Model"),
}
# Models of text and pictures that are none of these, and why they are not read.
_MIXED = "words and patches attend to one another inside it: saccade.watch shows where"
REFUSED: Mapping[str, str] = {
    **dict.fromkeys(("blip", "bridgetower", "grounding-dino", "vilt"), _MIXED),
    "align": "its picture tower is a convolution: it has no patches that attend",
    "siglip2": "its pictures are prepared as patches of any shape; SigLIP 2 of a fixed size is model_type siglip",
    "xclip": "it matches films, not pictures",
}


@dataclass(frozen=True)
class TokenizedText:
    """A tokenized text. ids (1 n), with special tokens and padding. words: as written, in order. groups: the tokens of
    each word. length: number of tokens without padding."""

    ids: Int64[Tensor, "1 n"]
    words: list[str]
    groups: list[list[int]]
    length: int


@dataclass
class PublicMatcher:
    """A public matcher for inference.

    Attributes:
        model: transformers' network, in fp32 and evaluation mode, for `saccade.watch` too.
        preprocess: from a PIL picture to the model's input.
        tokenizer: of the library tokenizers.
        family: which of KINDS it is.
        max_tokens: maximum number of tokens, special tokens included.
        padding: id of the padding token.
        name: short name for display.
        notes: assumptions made when it was loaded, one sentence each.
    """

    kind: ClassVar[str] = "match"

    model: nn.Module
    preprocess: Preprocess
    tokenizer: Any
    family: str
    max_tokens: int
    padding: int
    name: str
    notes: list[str] = field(default_factory=list)

    @property
    def parameters(self) -> int:
        """Number of parameters."""
        return sum(p.numel() for p in self.model.parameters())

    def read(self, text: str) -> TokenizedText:
        """Tokens and words of a text. Raises DataError for one without words, and for one that is too long."""
        encoded = self.tokenizer.encode(text)
        words, groups = _words(encoded, text)
        if not words:
            raise DataError(f"the text {text!r} has no words to look for")
        if len(encoded.ids) > self.max_tokens:
            marks = len(encoded.ids) - sum(map(len, groups))
            raise DataError(
                f"the text has {len(encoded.ids) - marks} tokens; {self.name} takes {self.max_tokens - marks} besides "
                "its marks of begin and end: use fewer words"
            )
        network: Any = self.model
        count = network.config.text_config.vocab_size
        if max(encoded.ids) >= count:
            raise CheckpointError(
                f"{self.name}: tokenizer.json makes token {max(encoded.ids)}, and the model has {count}: they are not "
                "of the same model"
            )
        fill = self.max_tokens - len(encoded.ids) if KINDS[self.family].pad_to_max else 0
        return TokenizedText(torch.tensor([[*encoded.ids, *[self.padding] * fill]]), words, groups, len(encoded.ids))

    def replace_words_by_padding(self, reading: TokenizedText) -> Int64[Tensor, "1 n"]:
        """The ids with every word replaced by padding; special tokens stay."""
        ids = reading.ids.clone()
        ids[:, [token for group in reading.groups for token in group]] = self.padding
        return ids

    def embed_images(self, pixel_values: Float[Tensor, "b c y x"]) -> Float[Tensor, "b d"]:
        """Embeddings of pictures, not normalised."""
        model: Any = self.model
        return model.get_image_features(pixel_values=pixel_values).pooler_output

    def embed_texts(self, input_ids: Int64[Tensor, "b n"]) -> Float[Tensor, "b d"]:
        """Embeddings of texts, not normalised. Every token is read, padding too."""
        model: Any = self.model
        seen = {} if KINDS[self.family].pad_to_max else {"attention_mask": torch.ones_like(input_ids)}
        return model.get_text_features(input_ids=input_ids, **seen).pooler_output


def is_text_image_model(source: OpenedCheckpoint) -> bool:
    """Whether an opened checkpoint is a complete matcher of KINDS, not one of its towers alone or with a classifier."""
    if is_open_clip(source) or is_open_siglip(source):
        return True
    family = _kind(source)
    if family is None:
        return False
    named = source.config().get("architectures")
    return not named or (isinstance(named, list) and KINDS[family].model in named)


def load_matcher(spec: str | Path | OpenedCheckpoint) -> PublicMatcher:
    """Load a public model of text and pictures.

    spec: "hf:owner/name" (fetched once, then from the cache), a folder with config.json, model.safetensors and
    tokenizer.json or SigLIP's spiece.model, one of open_clip (`saccade.checkpoints.open_clip`), or what
    `open_checkpoint(spec, tokenizer=True)` opened.

    Raises CheckpointError, in one line, for any other family, pickles, damaged or missing weights, a missing
    tokenizer.json, and where transformers is not installed.
    """
    source = spec if isinstance(spec, OpenedCheckpoint) else open_checkpoint(spec, tokenizer=True)
    refuse_quantised(source)
    if is_open_siglip(source):
        return _load_open_siglip(source)
    return _load_open_clip(source) if is_open_clip(source) else _load(source)


def _load(source: OpenedCheckpoint) -> PublicMatcher:
    """A checkpoint as transformers writes it."""
    notes = list[str]()
    family = _kind(source)
    if family is None or not is_text_image_model(source):
        raise CheckpointError(_unknown(source))
    kind = KINDS[family]
    model, config = _network(source, kind.model, source.weights, notes)
    tokenizer, padding = _tokenizer(source, family, config.text_config, notes)
    side = height_width(config.vision_config.image_size) or (224, 224)
    usual = center_crop_preprocess(side, normalise=OPENAI_CLIP) if kind.pictures == "CLIP" else Preprocess(side)
    preprocess = read_processor(source.config("preprocessor_config.json"), usual, kind.pictures, notes)
    max_tokens = _max_tokens(source, config.text_config)
    return PublicMatcher(model, preprocess, tokenizer, family, max_tokens, padding, short_name(source.name), notes)


def _load_open_clip(opened: OpenedCheckpoint) -> PublicMatcher:
    """A checkpoint as open_clip writes it."""
    source, notes = as_transformers(opened), list[str]()
    weights = dict(source.weights)
    bias = weights.pop("logit_bias", None)  # of one that is trained with SigLIP's loss
    model, config = _network(source, KINDS["clip"].model, weights, notes)
    if bias is not None:
        model.logit_bias = nn.Parameter(bias.float())
    if "tokenizer.json" in source.tokenizer:
        tokenizer, padding = _tokenizer(source, "clip", config.text_config, notes)
    else:
        tokenizer, padding = clip_tokenizer(opened), config.text_config.pad_token_id
    preprocess = open_clip_preprocess(opened, notes)
    max_tokens = config.text_config.max_position_embeddings
    return PublicMatcher(model, preprocess, tokenizer, "clip", max_tokens, padding, short_name(source.name), notes)


def _load_open_siglip(opened: OpenedCheckpoint) -> PublicMatcher:
    """A SigLIP as open_clip writes it."""
    source, notes = siglip_as_transformers(opened), list[str]()
    model, config = _network(source, KINDS["siglip"].model, source.weights, notes)
    tokenizer, padding = _tokenizer(source, "siglip", config.text_config, [])  # open_clip lowers texts itself
    preprocess = open_clip_preprocess(opened, notes)
    max_tokens, name = config.text_config.max_position_embeddings, short_name(source.name)
    return PublicMatcher(
        model, preprocess, canonicalizing_tokenizer(opened, tokenizer), "siglip", max_tokens, padding, name, notes
    )


def _network(source: OpenedCheckpoint, name: str, weights: Mapping[str, Tensor], notes: list[str]) -> tuple[Any, Any]:
    """transformers' network of this name, and its config."""
    with quiet_transformers(source.name) as library:
        config = network_config(library, name, dict(source.config()), source.name)
        return load_network(library, name, config, weights, source.name, notes), config


def _kind(source: OpenedCheckpoint) -> str | None:
    family = source.config().get("model_type")
    return family if isinstance(family, str) and family in KINDS else None


def _unknown(source: OpenedCheckpoint) -> str:
    family = str(source.config().get("model_type", ""))
    if family in REFUSED:
        return f"{source.name}: text cannot be matched with pictures by a {family} here: {REFUSED[family]}"
    if not family and source.config(OPEN_CLIP_CONFIG):
        return (
            f"{source.name}: of open_clip's models only those whose towers are CLIP's or SigLIP's are read here, and "
            "weights such as visual.conv1.weight or token_embedding.weight are missing: take the model as transformers "
            "writes it, with config.json"
        )
    what = f"a model_type {family!r}" if family else "no config.json with a model_type"
    architectures = ", ".join(map(str, source.config().get("architectures") or [])) if _kind(source) else ""
    return (
        f"{source.name}: it reads no text to match with pictures: {architectures or what}; expected one of "
        f"{', '.join(kind.model for kind in KINDS.values())}"
    )


def _tokenizer(source: OpenedCheckpoint, family: str, config: Any, notes: list[str]) -> tuple[Any, int]:
    """The tokenizer, and the token that stands for no word. Appends to `notes`."""
    tokenizer = read_tokenizer(source, family, notes)
    token = tokenizer_settings(source).get("pad_token")
    name = token.get("content") if isinstance(token, Mapping) else token
    padding = tokenizer.token_to_id(name) if isinstance(name, str) else None
    padding = config.pad_token_id if padding is None else padding
    if not isinstance(padding, int) or not 0 <= padding < config.vocab_size:
        raise CheckpointError(f"{source.name}: neither tokenizer_config.json nor config.json names a token for padding")
    return tokenizer, padding


def _max_tokens(source: OpenedCheckpoint, config: Any) -> int:
    """Maximum number of tokens of a text: that of positions, or less if the tokenizer is configured so."""
    # RoBERTa's positions are counted from the padding's number on
    shifted = config.pad_token_id + 1 if config.model_type == "altclip_text_model" else 0
    configured = tokenizer_settings(source).get("model_max_length")
    position_count = config.max_position_embeddings - shifted
    if not isinstance(configured, int | float) or configured <= 0:
        return position_count
    return min(position_count, int(configured))


def _words(encoded: Any, text: str) -> tuple[list[str], list[list[int]]]:
    """The words that a tokenizer saw before it cut them into pieces, as they are written, and the tokens of each.

    Some tokenizers cut no words before pieces: spaces part these. Tokens that share a character are of one word.
    """
    groups, spans, last = list[list[int]](), list[tuple[int, int]](), None
    for token, (word, mark) in enumerate(zip(encoded.word_ids, encoded.special_tokens_mask, strict=True)):
        start, end = encoded.offsets[token]
        written = text[start:end].strip()
        if word is None or mark or not written:
            continue
        start = text.index(written, start)
        end = start + len(written)
        before = spans[-1][1] if spans else 0
        if not spans or (start >= before and (word != last or text[before:start].isspace())):
            groups.append([])
            spans.append((start, end))
        groups[-1].append(token)
        spans[-1] = spans[-1][0], max(spans[-1][1], end)
        last = word
    return [text[start:end] for start, end in spans], groups
