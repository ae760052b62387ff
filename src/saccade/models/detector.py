"""Object detection as set prediction: object queries are the targets, the encoded image is the source.

Every patch token of the image proposes a box. The best proposals become object queries, and a short decoder refines
them: each query attends to the other queries, and to the image around its own box (DETR, Carion et al. 2020; two-stage
query selection, Zhu et al. 2021, 4.2; box-relative position bias, Lin et al. 2023). There are no anchors and there is
no non-maximum suppression.
"""

from typing import ClassVar, NamedTuple

import torch
from jaxtyping import Bool, Float, Int64
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor, nn

from saccade.layers import NORMS, BoxBias, Decoder, DecoderBlock
from saccade.models.masks import MaskFeatures, MaskHead
from saccade.models.relations import RelationHead
from saccade.models.renamed_keys import rename_old_keys
from saccade.models.vit import ViT, ViTConfig

PRIOR_LOGIT = -4.6  # a probability of 1 %: most queries match no object (RetinaNet, Lin et al. 2017, 4.1)
FREQUENCIES = 8  # of the sinusoidal embedding of boxes: the finest turns by pi over 1/128 of the image
INITIAL_SIDE = 0.2  # side of the box that an untrained token proposes, as a fraction of the image


class DetectorConfig(BaseModel):
    """An encoder, and a decoder of `depth` blocks like the encoder's. relations: number of relation classes between
    objects; 0 for none. mask_channels: features per pixel from which masks are made; 0 for boxes alone."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    vit: ViTConfig
    classes: int = Field(gt=0, le=100_000)
    queries: int = Field(40, gt=0, le=10_000, description="maximum number of objects in an image")
    depth: int = Field(3, gt=0, le=100)
    relations: int = Field(0, ge=0, le=10_000)
    mask_channels: int = Field(0, ge=0, le=1024, multiple_of=8)


class Proposals(NamedTuple):
    """Proposals of the encoder, one per patch token.

    dense: class logits supervised on every token inside an object. query: class logits supervised on one token per
    object, by which queries are selected. boxes: centre x, centre y, width, height, relative to the image. centres: x,
    y of the centre of each patch, relative to the image.
    """

    dense: Float[Tensor, "b m classes"]
    query: Float[Tensor, "b m classes"]
    boxes: Float[Tensor, "b m 4"]
    centres: Float[Tensor, "m 2"]


class DenoisingQueries(NamedTuple):
    """Ground-truth objects with noise added, which the decoder learns to reconstruct (DN-DETR, Li et al. 2022).

    boxes: centre x, centre y, width, height, relative to the image. labels: class indices; 0 for padding.
    group: queries attend to one another only within a group; -1 for padding.
    """

    boxes: Float[Tensor, "b p 4"]
    labels: Int64[Tensor, "b p"]
    group: Int64[Tensor, "b p"]


class DetectorOutput(NamedTuple):
    """Class logits and boxes after each decoder block: denoising queries first (in training), then object queries.
    relations: logits of (subject, object, relation) between the object queries. masks: of the queries of the last
    block."""

    logits: list[Float[Tensor, "b q classes"]]
    boxes: list[Float[Tensor, "b q 4"]]
    proposals: Proposals
    relations: Float[Tensor, "b n n r"] | None
    masks: MaskFeatures | None = None


class Detector(nn.Module):
    """Images in, sets of boxes out."""

    old_keys: ClassVar[dict[str, str]] = {
        r"propose\.within\.": "proposal_head.dense.",
        r"propose\.chosen\.": "proposal_head.query.",
        r"propose\.shift\.": "proposal_head.refine.",
        r"query\.": "query_projection.",
        r"known\.": "label_embedding.",
        r"place\.": "position_embedding.",
        r"bias\.": "box_bias.",
        r"heads\.(\d+)\.shift\.": r"heads.\1.refine.",
        r"relate\.": "relation_head.",
    }

    def __init__(self, config: DetectorConfig):
        super().__init__()
        self.config = config
        self.vit = ViT(config.vit)
        block, width = config.vit.block, config.vit.block.width
        self.proposal_head = ProposalHead(width, config.classes)
        self.query_projection = nn.Linear(width, width)
        self.label_embedding = nn.Embedding(config.classes + 1, width)  # the last row is not used; saved models have it
        self.position_embedding = nn.Sequential(nn.Linear(8 * FREQUENCIES, width), nn.GELU(), nn.Linear(width, width))
        self.decoder = Decoder(block, config.depth)
        self.box_bias = nn.ModuleList(BoxBias(block.heads) for _ in range(config.depth))
        self.heads = nn.ModuleList(PredictionHead(width, config.classes) for _ in range(config.depth))
        self.relation_head = RelationHead(width, config.depth, config.relations) if config.relations else None
        self.mask_head = None
        if config.mask_channels:
            self.mask_head = MaskHead(width, config.vit.patch, config.mask_channels, config.vit.channels)
        self.register_load_state_dict_pre_hook(rename_old_keys)

    def forward(self, images: Float[Tensor, "b c y x"], denoising: DenoisingQueries | None = None) -> DetectorOutput:
        grid = self.vit.grid(images)
        source = self.vit(images)[:, self.vit.prefix :]
        proposals = self.proposal_head(source, grid)
        x, boxes = self.select_queries(source, proposals)
        queries, mask = x.shape[1], None
        if denoising is not None:
            x = torch.cat([self.label_embedding(denoising.labels), x], dim=1)
            boxes = torch.cat([denoising.boxes, boxes], dim=1)
            mask = _attention_mask(denoising.group, queries)
        logits, refined, queries_and_keys = [], [], []
        for block, bias, head in zip(self.decoder.blocks, self.box_bias, self.heads, strict=True):
            assert isinstance(block, DecoderBlock)
            position = self.position_embedding(sinusoidal_embedding(boxes, FREQUENCIES))
            if self.relation_head is not None:
                queries_and_keys.append(block.self_queries_and_keys(x[:, -queries:], position[:, -queries:]))
            x = block(x, position, source, bias(boxes, grid), mask)
            class_logits, boxes = head(x, boxes)
            logits.append(class_logits)
            refined.append(boxes)
            boxes = boxes.detach()  # each block refines its input boxes; gradients stay within the block
        relations = None
        if self.relation_head is not None:
            relations = self.relation_head(queries_and_keys, boxes[:, -queries:])
        masks = None
        if self.mask_head is not None:
            seen = images[..., : grid[0] * self.vit.config.patch, : grid[1] * self.vit.config.patch]
            masks = self.mask_head(x, source.unflatten(1, grid), seen)
        return DetectorOutput(logits, refined, proposals, relations, masks)

    def select_queries(
        self, source: Float[Tensor, "b m d"], proposals: Proposals
    ) -> tuple[Float[Tensor, "b n d"], Float[Tensor, "b n 4"]]:
        """The tokens with the highest query scores and their boxes. The selection itself carries no gradient."""
        scores = proposals.query.detach().amax(dim=-1)
        order = scores.topk(min(self.config.queries, scores.shape[1]), dim=1).indices[..., None]
        boxes = proposals.boxes.detach().gather(1, order.expand(-1, -1, 4))
        x = self.query_projection(source.gather(1, order.expand(-1, -1, source.shape[2])))
        return x.float(), boxes  # the residual stream stays in fp32 under autocast, as in the encoder


class ProposalHead(nn.Module):
    """Class logits and a box for every patch token."""

    def __init__(self, width: int, classes: int):
        super().__init__()
        self.dense, self.query = _classifier(width, classes), _classifier(width, classes)
        self.refine = BoxRefinement(width)

    def forward(self, tokens: Float[Tensor, "b m d"], grid: tuple[int, int]) -> Proposals:
        rows, columns = ((torch.arange(n, device=tokens.device) + 0.5) / n for n in grid)
        y, x = torch.meshgrid(rows, columns, indexing="ij")
        centres = torch.stack([x, y], dim=-1).flatten(0, 1)
        initial = torch.cat([centres, torch.full_like(centres, INITIAL_SIDE)], dim=-1)
        return Proposals(self.dense(tokens).float(), self.query(tokens).float(), self.refine(tokens, initial), centres)


class PredictionHead(nn.Module):
    """Class logits and a refined box for every query."""

    def __init__(self, width: int, classes: int):
        super().__init__()
        self.norm = NORMS["rms"](width)
        self.classify, self.refine = _classifier(width, classes), BoxRefinement(width)

    def forward(
        self, x: Float[Tensor, "b n d"], boxes: Float[Tensor, "b n 4"]
    ) -> tuple[Float[Tensor, "b n classes"], Float[Tensor, "b n 4"]]:
        x = self.norm(x)
        return self.classify(x).float(), self.refine(x, boxes)


class BoxRefinement(nn.Module):
    """Predict a delta for each box from its token. The delta is zero at initialization."""

    def __init__(self, width: int):
        super().__init__()
        self.hidden = nn.Sequential(nn.Linear(width, width), nn.GELU(), nn.Linear(width, width), nn.GELU())
        self.last = nn.Linear(width, 4)
        nn.init.zeros_(self.last.weight)
        nn.init.zeros_(self.last.bias)

    def forward(self, x: Float[Tensor, "b n d"], boxes: Float[Tensor, "*#b 4"]) -> Float[Tensor, "b n 4"]:
        hidden = self.hidden(x)
        with torch.autocast(x.device.type, enabled=False):  # box edges need sub-pixel precision
            return refine_boxes(boxes, self.last(hidden.float()))


def refine_boxes(boxes: Float[Tensor, "*#b 4"], delta: Float[Tensor, "*#b 4"]) -> Float[Tensor, "*#b 4"]:
    """Add `delta` to relative boxes in logit space, so that the result stays between 0 and 1 (Deformable DETR, Zhu et
    al. 2021, A.4)."""
    return torch.sigmoid(torch.logit(boxes, eps=1e-4) + delta)


def sinusoidal_embedding(boxes: Float[Tensor, "b n 4"], frequencies: int) -> Float[Tensor, "b n e"]:
    """Sines and cosines of the four box coordinates at `frequencies` octaves; the lowest turns by pi over the image."""
    frequency = torch.pi * 2.0 ** torch.arange(frequencies, device=boxes.device)
    angle = (boxes[..., None] * frequency).flatten(-2)
    return torch.cat([angle.sin(), angle.cos()], dim=-1)


def _classifier(width: int, classes: int) -> nn.Linear:
    head = nn.Linear(width, classes)
    nn.init.normal_(head.weight, std=0.01)
    nn.init.constant_(head.bias, PRIOR_LOGIT)
    return head


def _attention_mask(group: Int64[Tensor, "b p"], queries: int) -> Bool[Tensor, "b 1 n n"]:
    """Denoising queries attend within their group, object queries to one another: ground truth must not leak to the
    queries that are trained to predict it."""
    own = group.new_full((len(group), queries), -2)
    groups = torch.cat([group, own], dim=1)
    return (groups[:, :, None] == groups[:, None, :])[:, None]
