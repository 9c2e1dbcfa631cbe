"""CS-Att: lesion detection with 3D contextual and spatial attention, on 3DCE.

Tao et al., "Improving Deep Lesion Detection Using 3D Contextual and Spatial Attention", MICCAI 2019; 3DCE:
Yan et al., MICCAI 2018.

3 M neighbouring slices are M images of three slices, the key slice in the middle of the middle one. All pass
one backbone; the features of each place are weighted against those of the other images (contextual
attention) and within their own image (spatial attention), turned into position-sensitive maps, concatenated,
and pooled for every region that the proposal network finds in the key image. With both attentions off this is
3DCE, with M = 1 also R-FCN on three slices.

Decisions where the papers are silent:
- The proposal network sees the key image's features before any attention: which regions are looked at does
  not depend on what the switches are set to.
- Embeddings phi start near zero, so that training starts from 3DCE.
- Equation 5 reads S_i = phi_S(X_i), while text and figure 1 feed the spatial attention the refined features
  X'_i of equation 4. The figure is followed; `spatial_from="input"` takes the equation literally.
- Softmax with temperature T is softmax(x / T); divided by its maximum it is exp((x - max x) / T), which is
  how it is computed: nothing underflows over large maps.
- The compact size works at stride 4 with pixels of 0.8 mm: a lesion of 6 mm is two cells wide there and less
  than one at the paper's stride of 8. It has batch normalisation (see :mod:`.sfan`), reads boxes without
  rounding, and takes an anchor for a lesion from IoU 0.5 on, as small boxes rarely reach 0.7.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .cs_att_config import SIZES, SLICES_PER_IMAGE, CsAttConfig
from .parts.blocks import Halving, initialise
from .parts.boxes import (
    BACKGROUND,
    box_iou,
    cell_anchors,
    clip_boxes,
    decode_boxes,
    encode_boxes,
    grid_anchors,
    jittered,
    match_boxes,
    middle_in,
    nms,
    nms_mask,
    sample_matches,
)
from .parts.peak_softmax import Weights, peak_softmax
from .parts.ps_roi import ps_roi_align, ps_roi_pool


class CsAttention(NamedTuple):
    """The attention of one window.

    Attributes:
        contextual: (B, M, C, h, w), 0..1, its maximum over M is 1 (equation 3); None where switched off.
        spatial: (B, M, C, h, w), 0..1, its maximum over h, w is 1 (equation 7); None where switched off.
    """

    contextual: Tensor | None
    spatial: Tensor | None


class Detections(NamedTuple):
    """Boxes of one image, best first.

    Attributes:
        boxes: (n, 4) y0, x0, y1, x1, px, inside the image.
        scores: (n,) probability of a lesion.
    """

    boxes: Tensor
    scores: Tensor


class CsAttOutput(NamedTuple):
    """Result of :class:`CsAtt`.

    Attributes:
        detections: one per image of the batch.
        attention: only where asked for.
    """

    detections: list[Detections]
    attention: CsAttention | None = None


@dataclass(frozen=True)
class DetectSettings:
    """How boxes are chosen.

    Attributes:
        before, after: proposals that enter and leave suppression; proposal_overlap: its IoU.
        overlap: IoU of the final suppression; least_score, most: of the boxes handed out.
    """

    before: int = 300
    after: int = 100
    proposal_overlap: float = 0.7
    overlap: float = 0.3
    least_score: float = 0.02
    most: int = 40


def embedded(phi: nn.Conv2d, x: Tensor, temperature: float) -> Tensor:
    """phi(x) / temperature (equations 1 and 5), (N, C, h, w); the weights are divided, not the larger map."""
    assert phi.bias is not None
    return _pointwise(x, phi.weight / temperature, phi.bias / temperature).permute(0, 3, 1, 2)


def _pointwise(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """A 1 x 1 convolution of (N, C, h, w), as (N, h, w, C'): in channels_last memory a matrix product.

    PyTorch's own convolution unfolds it first where it has one thread, which takes four times as long.
    """
    return F.linear(x.permute(0, 2, 3, 1), weight.flatten(1), bias)


class CsAtt(nn.Module):
    """The network. Input: (B, 3 M, H, W), H and W multiples of its stride, values about -1..1."""

    def __init__(self, config: CsAttConfig = SIZES["compact"]) -> None:
        super().__init__()
        self.config = config
        self.backbone = _backbone(config)
        channels = config.widths[-1]
        # One image alone has nothing to be weighted against.
        weighted = config.contextual and config.images > 1
        self.phi_contextual = nn.Conv2d(channels, channels, 1) if weighted else None
        self.phi_spatial = nn.Conv2d(channels, channels, 1) if config.spatial else None
        self.contextual_weights, self.spatial_weights = Weights(), Weights()
        anchors = len(config.anchor_sizes) * len(config.anchor_ratios)
        self.propose_hidden = nn.Conv2d(channels, config.proposal_width, 3, padding=1)
        self.propose_score = nn.Conv2d(config.proposal_width, anchors, 1)
        self.propose_box = nn.Conv2d(config.proposal_width, 4 * anchors, 1)
        self.position_maps = nn.Conv2d(channels, config.roi_channels * config.roi_bins**2, 1)
        pooled = config.images * config.roi_channels * config.roi_bins**2
        self.hidden = nn.Linear(pooled, config.head_width)
        self.score = nn.Linear(config.head_width, 2)
        self.box = nn.Linear(config.head_width, 4)
        initialise(self)
        for layer in (self.propose_score, self.propose_box, self.score, self.box):
            nn.init.normal_(layer.weight, std=0.01)
        for phi in (self.phi_contextual, self.phi_spatial):
            if phi is not None:
                nn.init.normal_(phi.weight, std=0.01)

    @property
    def multiple(self) -> int:
        """Height and width of the input must be multiples of this: the stride of the features."""
        return 2 ** sum(self.config.pooled)

    @property
    def offsets(self) -> tuple[int, ...]:
        """Middle slices of the window's images, relative to the key slice."""
        half = self.config.images // 2
        return tuple(SLICES_PER_IMAGE * i for i in range(-half, half + 1))

    @property
    def replaced(self) -> bool:
        """Whether :meth:`attend` applies other weights than its own: shorter ways are then none."""
        return self.contextual_weights.instead is not None or self.spatial_weights.instead is not None

    def features(self, images: Tensor) -> Tensor:
        """Backbone: (N, 3, H, W) -> (N, C, H / stride, W / stride); each image once for all its windows."""
        return self.backbone(images)

    def context_scores(self, features: Tensor) -> Tensor | None:
        """Equation 1 over the temperature, for images (N, C, h, w), whatever window they are in.

        None where contextual attention is off.
        """
        if self.phi_contextual is None:
            return None
        return embedded(self.phi_contextual, features, self.config.contextual_temperature)

    def attend(self, x: Tensor) -> tuple[Tensor, CsAttention]:
        """Equations 1 to 8 on a window's features (B, M, C, h, w)."""
        contextual = None
        scores = self.context_scores(x.flatten(0, 1))
        if scores is not None:
            contextual = self.contextual_weights(peak_softmax(scores.unflatten(0, x.shape[:2]), 1))
        asked = x
        if contextual is not None:
            x = contextual * x
        if self.config.spatial_from == "refined":
            asked = x
        if self.phi_spatial is None:
            return x, CsAttention(contextual, None)
        flat = embedded(self.phi_spatial, asked.flatten(0, 1), self.config.spatial_temperature)
        spatial = self.spatial_weights(peak_softmax(flat.unflatten(0, x.shape[:2]), (3, 4)))
        return spatial * x, CsAttention(contextual, spatial)

    def maps(self, x: Tensor) -> Tensor:
        """Position-sensitive maps of every image of a window: (B, M, C, h, w) -> (B * M, K * K * D, h, w)."""
        return self.position_maps(x.flatten(0, 1))

    def propose(self, key: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Proposal network on the key image's features (B, C, h, w).

        Returns:
            (scores (B, N) logits, deltas (B, N, 4), anchors (N, 4)), float32 at least; N = h * w * anchors
            a cell.
        """
        hidden = F.relu(self.propose_hidden(key))
        scores = _wide(_pointwise(hidden, self.propose_score.weight, self.propose_score.bias)).flatten(1)
        deltas = _wide(_pointwise(hidden, self.propose_box.weight, self.propose_box.bias))
        deltas = deltas.reshape(len(key), -1, 4)
        cells = cell_anchors(self.config.anchor_sizes, self.config.anchor_ratios).to(deltas)
        return scores, deltas, grid_anchors(cells, tuple(key.shape[-2:]), self.multiple)  # type: ignore[arg-type]

    def classify(self, maps: Tensor, boxes: Tensor, images: Tensor) -> tuple[Tensor, Tensor]:
        """Head: boxes (R, 4) of the windows `images` (R,) -> (logits (R, 2), deltas (R, 4)), float32 or more.

        A box is pooled from all M images of its window, and what they give is concatenated (3DCE).
        """
        pool = ps_roi_align if self.config.aligned else ps_roi_pool
        count = self.config.images
        every = (images[:, None] * count + torch.arange(count, device=images.device)).flatten()
        pooled = pool(maps, boxes.repeat_interleave(count, 0), every, self.config.roi_bins, self.multiple)
        return self.judge(pooled.reshape(len(boxes), self.hidden.in_features))

    def judge(self, pooled: Tensor) -> tuple[Tensor, Tensor]:
        """Head on what was pooled, (R, M * D * K * K): logits (R, 2) and deltas (R, 4)."""
        hidden = F.relu(self.hidden(pooled.to(self.hidden.weight.dtype)))
        return _wide(self.score(hidden)), _wide(self.box(hidden))

    def regions(
        self, scores: Tensor, deltas: Tensor, anchors: Tensor, size_yx: tuple[int, int], how: DetectSettings
    ) -> tuple[Tensor, Tensor]:
        """Proposals after suppression: boxes (R, 4) and the image (R,) of each."""
        count = min(how.before, scores.shape[1])
        order = scores.topk(count, dim=1).indices
        boxes = decode_boxes(deltas.gather(1, order[..., None].expand(-1, -1, 4)), anchors[order])
        boxes = clip_boxes(boxes, size_yx)
        whole = (boxes[..., 2:] - boxes[..., :2]).amin(dim=-1) >= 1.0
        kept = nms_mask(boxes, how.proposal_overlap, whole)
        kept &= kept.cumsum(dim=1) <= how.after
        images, number = kept.nonzero(as_tuple=True)
        return boxes[images, number], images

    def detect(
        self,
        x: Tensor,
        size_yx: tuple[int, int],
        how: DetectSettings = DetectSettings(),
    ) -> tuple[list[Detections], CsAttention]:
        """From a window's features (B, M, C, h, w) to boxes; `size_yx` is the images' unpadded size."""
        objects, deltas, anchors = self.propose(x[:, x.shape[1] // 2])
        boxes, images = self.regions(objects, deltas, anchors, size_yx, how)
        attended, attention = self.attend(x)
        logits, moves = self.classify(self.maps(attended), boxes, images)
        each = [images == image for image in range(len(x))]
        return [self.pick(boxes[i], logits[i], moves[i], size_yx, how) for i in each], attention

    def pick(
        self, boxes: Tensor, logits: Tensor, moves: Tensor, size_yx: tuple[int, int], how: DetectSettings
    ) -> Detections:
        """What is handed out of one image's judged proposals."""
        probability = logits.softmax(dim=1)[:, 1]
        boxes = clip_boxes(decode_boxes(moves, boxes), size_yx)
        sure = probability >= how.least_score
        boxes, probability = boxes[sure], probability[sure]
        keep = nms(boxes, probability, how.overlap, limit=how.most)
        return Detections(boxes[keep], probability[keep])

    def window(self, images: Tensor) -> Tensor:
        """(B, 3 M, H, W) -> the window's features (B, M, C, h, w)."""
        batch, slices, height, width = images.shape
        each = images.reshape(-1, SLICES_PER_IMAGE, height, width)
        features = self.features(each.contiguous(memory_format=torch.channels_last))
        return features.reshape(batch, slices // SLICES_PER_IMAGE, *features.shape[1:])

    def forward(self, images: Tensor, return_attention: bool = False) -> CsAttOutput:
        """Boxes on the key slices of (B, 3 M, H, W)."""
        found, attention = self.detect(self.window(images), tuple(images.shape[-2:]))  # type: ignore[arg-type]
        return CsAttOutput(found, attention if return_attention else None)

    def losses(
        self,
        images: Tensor,
        truths: Sequence[Tensor],
        unknown: Tensor,
        generator: torch.Generator,
        how: DetectSettings = DetectSettings(before=200, after=64),
    ) -> dict[str, Tensor]:
        """What training minimises: RPN and head, each classification and box regression (weights 1 and 10).

        Args:
            images: (B, 3 M, H, W).
            truths: of every image (G, 4) boxes.
            unknown: (B, H, W) bool; what has its middle there is taken neither for a lesion nor for none.
            generator: on the CPU; chooses the 32 anchors (half of them lesions at most) and 32 boxes (25 %).
        """
        size_yx = (images.shape[-2], images.shape[-1])
        return self.window_losses(self.window(images), size_yx, truths, unknown, generator, how)

    def window_losses(
        self,
        x: Tensor,
        size_yx: tuple[int, int],
        truths: Sequence[Tensor],
        unknown: Tensor,
        generator: torch.Generator,
        how: DetectSettings = DetectSettings(before=200, after=64),
    ) -> dict[str, Tensor]:
        """:meth:`losses` from the windows' features (B, M, C, h, w) of images of size `size_yx`."""
        scores, deltas, anchors = self.propose(x[:, x.shape[1] // 2])
        score_loss, box_loss = [], []
        for image, truth in enumerate(truths):
            high, low = self.config.anchor_overlap
            matched = match_boxes(box_iou(truth, anchors), high, low, best_always=True)
            matched[(matched == BACKGROUND) & middle_in(unknown[image], anchors)] = BACKGROUND - 1
            positive, negative = sample_matches(matched, 32, 0.5, generator)
            chosen = torch.cat([positive, negative])
            wanted = torch.cat([torch.ones(len(positive)), torch.zeros(len(negative))]).to(scores)
            asked = F.binary_cross_entropy_with_logits(scores[image, chosen], wanted, reduction="sum")
            # An image of which nothing is known has nothing to choose from.
            score_loss.append(asked / max(1, len(chosen)))
            moves = encode_boxes(truth[matched[positive]], anchors[positive])
            box_loss.append(
                F.smooth_l1_loss(deltas[image, positive], moves, beta=1 / 9, reduction="sum") / 32
            )
        with torch.no_grad():
            proposed, owner = self.regions(scores.detach(), deltas.detach(), anchors, size_yx, how)
        boxes, owners, labels, moves = [], [], [], []
        for image, truth in enumerate(truths):
            # The true boxes and their neighbourhood are regions too: the head learns from the first step on.
            near = jittered(truth, generator, size_yx)
            candidates = torch.cat([proposed[owner == image], truth, near])
            matched = match_boxes(box_iou(truth, candidates), 0.5, 0.5)
            matched[(matched == BACKGROUND) & middle_in(unknown[image], candidates)] = BACKGROUND - 1
            positive, negative = sample_matches(matched, 32, 0.25, generator)
            boxes.append(torch.cat([candidates[positive], candidates[negative]]))
            owners.append(torch.full((len(boxes[-1]),), image, device=x.device))
            labels.append(torch.cat([torch.ones_like(positive), torch.zeros_like(negative)]))
            moves.append(encode_boxes(truth[matched[positive]], candidates[positive]))
        attended, _ = self.attend(x)
        wanted = torch.cat(labels)
        logits, found = self.classify(self.maps(attended), torch.cat(boxes), torch.cat(owners))
        regression = F.smooth_l1_loss(found[wanted == 1], torch.cat(moves), beta=1 / 9, reduction="sum")
        return {
            "proposal score": torch.stack(score_loss).mean(),
            "proposal box": torch.stack(box_loss).mean(),
            "score": F.cross_entropy(logits, wanted, reduction="sum") / max(1, len(wanted)),
            "box": 10.0 * regression / max(1, len(wanted)),
        }


def _wide(x: Tensor) -> Tensor:
    """Float32 at least: coordinates and scores need more digits than half precision has."""
    return x.to(torch.promote_types(x.dtype, torch.float32))


def _backbone(config: CsAttConfig) -> nn.Sequential:
    layers: list[nn.Module] = []
    channels = SLICES_PER_IMAGE
    blocks = list(zip(config.widths, config.convolutions, config.pooled, strict=True))
    for number, (width, convolutions, pooled) in enumerate(blocks):
        if pooled:
            layers.append(Halving())
        reach = config.dilation if number == len(blocks) - 1 else 1
        for _ in range(convolutions):
            bias = config.norm == "none"
            layers.append(nn.Conv2d(channels, width, 3, padding=reach, dilation=reach, bias=bias))
            if config.norm == "batch":
                layers.append(nn.BatchNorm2d(width))
            layers.append(nn.ReLU(inplace=True))
            channels = width
    return nn.Sequential(*layers)


def build(config: CsAttConfig) -> CsAtt:
    """The network for a configuration, as the manifest's loader calls it."""
    return CsAtt(config)


CONFIG = CsAttConfig
