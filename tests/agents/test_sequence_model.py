import math

import pytest
import torch

from agents.sequence_model import MAX_OFFSET, SequenceModel, feedback_of, relative_attention


def normal(generator, *shape):
    return torch.randn(*shape, generator=generator, dtype=torch.float64)


def test_relative_attention_is_that_of_the_equations_written_out():
    """Shaw et al. 2018, equations 3 and 4, one query and one key at a time."""
    generator = torch.Generator().manual_seed(0)
    clip, size, width = 3, 9, 4
    query, key, value = (normal(generator, 2, 2, size, width) for _ in range(3))
    offset_key, offset_value = (normal(generator, clip + 1, width) for _ in range(2))
    back = (torch.arange(size)[:, None] - torch.arange(size)).clamp(0, clip)
    hidden = ~torch.ones(2, size, size, dtype=torch.bool).tril()
    hidden[1, :, 2] = True
    hidden[1, 2, 0] = False
    whole = relative_attention(query, key, value, offset_key[back], offset_value[back], hidden)
    for row in range(2):
        for head in range(2):
            q, k, v = query[row, head], key[row, head], value[row, head]
            for i in range(size):
                seen = [j for j in range(i + 1) if not hidden[row, i, j]]
                e = [float(q[i] @ (k[j] + offset_key[min(i - j, clip)])) / math.sqrt(width) for j in seen]
                total = sum(math.exp(x) for x in e)
                z = torch.zeros(width, dtype=torch.float64)
                for x, j in zip(e, seen, strict=True):
                    z += math.exp(x) / total * (v[j] + offset_value[min(i - j, clip)])
                assert torch.allclose(whole[row, head, i], z, atol=1e-5)


def model_and_history(length=40, width=16, seed=0):
    generator = torch.Generator().manual_seed(seed)
    model = SequenceModel(width, 2, 2, length, 20.0, generator)
    with torch.no_grad():
        for layer in model.layers:  # they start at zero
            layer.key_offset.normal_(generator=generator)
            layer.value_offset.normal_(generator=generator)
    return model, torch.randn(1, length, width, generator=generator), torch.zeros(1, length, dtype=torch.long)


def test_order_counts_within_the_clip_and_not_beyond():
    """With one layer, keys further back than the clip are a set; two among the nearer ones are not."""
    model, vectors, feedback = model_and_history()
    model.layers = model.layers[:1]
    valid = torch.ones(1, 40, dtype=torch.bool)

    def last_state(swapped):
        order = torch.arange(40)
        order[list(swapped)] = order[list(reversed(swapped))]
        with torch.no_grad():
            return model(vectors[:, order], feedback, valid, last_only=True)

    unchanged = last_state((0, 0))
    far = 40 - 1 - MAX_OFFSET  # as far back as the clip
    assert torch.allclose(last_state((3, far)), unchanged, atol=1e-5)
    assert not torch.allclose(last_state((3, far + 1)), unchanged, atol=1e-3)


def test_pads_change_nothing():
    """A history of 12 has the same state in a window of 40 as in one of 12: the start is at no distance."""
    model, vectors, feedback = model_and_history()
    valid = torch.arange(40)[None] >= 28
    with torch.no_grad():
        padded = model(vectors, feedback, valid, last_only=True)
        short = model(vectors[:, 28:], feedback[:, 28:], valid[:, 28:], last_only=True)
    assert torch.allclose(padded, short, atol=1e-6)


def test_the_last_state_alone_is_the_last_of_all_states():
    model, vectors, feedback = model_and_history()
    vectors = vectors * torch.arange(1, 6)[:, None, None]
    feedback = feedback.expand(5, -1)
    valid = torch.arange(40) >= torch.tensor([[0], [3], [20], [39], [40]])
    with torch.no_grad():
        every = model(vectors, feedback, valid, last_only=False)
        assert torch.allclose(every[:, -1:], model(vectors, feedback, valid, last_only=True), atol=1e-5)
        changed = vectors.clone()
        changed[:, 20:] = 0  # state k knows the first k positions only
        assert torch.equal(model(changed, feedback, valid, last_only=False)[:, :21], every[:, :21])
        assert not torch.equal(model(changed, feedback, valid, last_only=False)[:, 22], every[:, 22])


@pytest.mark.parametrize(
    ("watch", "positive", "surprising", "kind"),
    [(0.0, False, False, 0), (0.25, False, True, 1), (0.6, True, False, 6), (1.0, True, True, 11)],
)
def test_kinds_of_feedback(watch, positive, surprising, kind):
    columns = torch.tensor([watch]), torch.tensor([positive]), torch.tensor([surprising])
    assert feedback_of(*columns).tolist() == [kind]
