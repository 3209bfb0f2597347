"""A causal transformer over what users consumed: the network and nothing else.

The exploitation-oriented recommender on which Wang et al. (2024, sections 2 and 3.2) build is a
sequence model with a softmax over the catalog: pi(j | history) ~ exp(h . v_j + b_j). States and item
vectors have a fixed length, so that h . v_j is a multiple of their cosine: a popular item can then
not win by a long vector, only by its bias, and what is left for the vectors is taste. The encoder
here is a pre-norm transformer (Vaswani et al. 2017; Kang and McAuley 2018 for recommendation)
with the relative positions of Shaw et al. 2018, so that position counts from the position that
asks, in training and serving alike.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn.functional import embedding, normalize

CONTENT_WIDTH = 256

MAX_OFFSET = 16
"""k of Shaw et al. 2018: keys further back than this count as this far back."""

NUM_FEEDBACKS = 12
"""Kinds of feedback: four buckets of watched fraction, times not positive, positive, surprising."""


def feedback_of(watch: Tensor, positive: Tensor, surprising: Tensor) -> Tensor:
    """Bucket watched fractions (...) at 1/4, 1/2 and 1, apart for positives and for surprising positives.

    Returns:
        (...) int64 in [0, 12).
    """
    bucket = torch.bucketize(watch.contiguous(), torch.tensor([0.25, 0.5, 1.0]), right=True)
    return bucket + 4 * positive.long() + 4 * (positive & surprising).long()


class SequenceModel(nn.Module):
    """History in, state out; and item content in, item vector out.

    An item's row is ``content @ projection`` plus its learned row in an ``ItemTable``; the first d
    columns are its vector v_j, the last is its bias b_j. Input and output share the vectors.

    Args:
        width: d.
        num_layers: transformer layers.
        num_heads: attention heads; must divide ``width``.
        history: L, consumed items that the model looks at.
        largest_score: h . v_j of a state and an item vector that point the same way.
        generator: draws the initial parameters.
    """

    def __init__(
        self,
        width: int,
        num_layers: int,
        num_heads: int,
        history: int,
        largest_score: float,
        generator: torch.Generator,
    ) -> None:
        super().__init__()
        self.width, self.history = width, history
        self._length = largest_score**0.5
        self.projection = normal(generator, CONTENT_WIDTH, width + 1)
        self.feedback = normal(generator, NUM_FEEDBACKS, width)
        self.base = nn.Parameter(torch.zeros(1))  # part of every item's bias; a softmax does not notice it
        self.start = normal(generator, width)  # stands before the first item
        self.layers = nn.ModuleList(_Layer(width, num_heads, generator) for _ in range(num_layers))
        self.output = _Norm(width)

    def item_rows(self, content: Tensor, learned: Tensor) -> Tensor:
        """Vectors and biases of items, (U, d + 1), from content (U, 256) and table rows (U, d + 1)."""
        rows = content @ self.projection + learned
        vectors, bias = self._of_fixed_length(rows[:, : self.width]), rows[:, self.width :] + self.base
        return torch.cat([vectors, bias], dim=1)

    def forward(self, vectors: Tensor, feedback: Tensor, valid: Tensor, last_only: bool) -> Tensor:
        """Encode histories.

        Args:
            vectors: (B, L, d) of the consumed items, most recent last.
            feedback: (B, L) int64 in [0, NUM_FEEDBACKS).
            valid: (B, L) bool; False pads stand on the left.
            last_only: compute the state after the whole history alone.

        Returns:
            (B, L + 1, d): state k follows the first k positions, so state 0 depends on nothing; or
            (B, 1, d) if ``last_only``.
        """
        tokens = torch.where(valid[:, :, None], vectors + self.feedback[feedback], 0.0)
        tokens = torch.cat([self.start.expand(len(tokens), 1, -1), tokens], dim=1)  # (B, L + 1, d)
        visible = torch.cat([valid.new_ones(len(valid), 1), valid], dim=1)  # (B, L + 1)
        size = tokens.shape[1]
        causal = torch.ones(size, size, dtype=torch.bool).tril()
        hidden = ~(visible[:, None, :] & causal)  # (B, L + 1 queries, L + 1 keys); the start is always seen
        for number, layer in enumerate(self.layers):
            tokens = layer(tokens, hidden, last_only and number == len(self.layers) - 1)
        return self._of_fixed_length(self.output(tokens))

    def _of_fixed_length(self, vectors: Tensor) -> Tensor:
        return torch.as_tensor(normalize(vectors, dim=-1) * self._length)


def relative_attention(
    query: Tensor, key: Tensor, value: Tensor, key_offset: Tensor, value_offset: Tensor, hidden: Tensor
) -> Tensor:
    """Attention with relative positions of keys (Shaw et al. 2018, "Self-attention with relative position
    representations", equations 3 and 4).

    e_ij = q_i . (k_j + aK_ij) / sqrt(d_head),  z_i = sum over j of softmax(e_i)_j (v_j + aV_ij).

    Args:
        query: (B, heads, Q, d_head).
        key, value: (B, heads, T, d_head).
        key_offset, value_offset: (Q, T, d_head), aK_ij and aV_ij, the same in all heads.
        hidden: (B, Q, T) bool, keys that a query must not see; each sees at least one.

    Returns:
        (B, heads, Q, d_head), the z_i.
    """
    logit = query @ key.transpose(2, 3) + torch.einsum("bhqd,qtd->bhqt", query, key_offset)
    logit = (logit / math.sqrt(query.shape[-1])).masked_fill(hidden[:, None], -torch.inf)
    weight = logit.softmax(dim=-1)  # (B, heads, Q, T)
    return weight @ value + torch.einsum("bhqt,qtd->bhqd", weight, value_offset)


class _Layer(nn.Module):
    """Pre-norm attention, then a feed-forward block of twice the width."""

    def __init__(self, width: int, num_heads: int, generator: torch.Generator) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.attention_norm, self.forward_norm = _Norm(width), _Norm(width)
        self.query = normal(generator, width, width)
        self.key_value = normal(generator, width, 2 * width)
        self.merge = normal(generator, width, width)
        self.expand = normal(generator, width, 2 * width)
        self.contract = normal(generator, 2 * width, width)
        # aK and aV, rows 0 .. k by steps back from query to key, which beyond k count as k; the last row
        # is the start's. Nobody is a number of steps away from the start: pads may stand between.
        self.key_offset, self.value_offset = (
            nn.Parameter(torch.zeros(MAX_OFFSET + 2, width // num_heads)) for _ in range(2)
        )

    def forward(self, tokens: Tensor, hidden: Tensor, last_only: bool) -> Tensor:
        """(B, T, d) and (B, T, T) to (B, T, d), or to (B, 1, d) for the last position."""
        normed = self.attention_norm(tokens)
        size = tokens.shape[1]
        if last_only:
            tokens, hidden = tokens[:, -1:], hidden[:, -1:]
        query = self._heads(normed[:, -tokens.shape[1] :] @ self.query)  # (B, heads, Q, d_head)
        key, value = (self._heads(part) for part in (normed @ self.key_value).chunk(2, dim=-1))
        row = _offset_rows(tokens.shape[1], size)
        key_offset, value_offset = embedding(row, self.key_offset), embedding(row, self.value_offset)
        attended = relative_attention(query, key, value, key_offset, value_offset, hidden)
        tokens = tokens + attended.transpose(1, 2).flatten(2) @ self.merge
        return torch.relu(self.forward_norm(tokens) @ self.expand) @ self.contract + tokens

    def _heads(self, part: Tensor) -> Tensor:
        return part.reshape(*part.shape[:2], self.num_heads, -1).transpose(1, 2)


def _offset_rows(num_queries: int, size: int) -> Tensor:
    """(Q, T) int64 rows of the offset tables, for the last Q of T positions, of which the first is the start."""
    place = torch.arange(size)
    row = (place[-num_queries:, None] - place).clamp(0, MAX_OFFSET)  # the future is hidden anyway
    row[:, 0] = MAX_OFFSET + 1
    return row


class _Norm(nn.Module):
    """Layer normalisation with a learned scale and shift."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(width))
        self.shift = nn.Parameter(torch.zeros(width))

    def forward(self, tokens: Tensor) -> Tensor:
        return nn.functional.layer_norm(tokens, self.scale.shape, self.scale, self.shift)


def normal(generator: torch.Generator, *shape: int) -> nn.Parameter:
    """Parameters ~ N(0, 1 / number of inputs), drawn without the global generator."""
    return nn.Parameter(torch.empty(*shape).normal_(0, shape[0] ** -0.5, generator=generator))
