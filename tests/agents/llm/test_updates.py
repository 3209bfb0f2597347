import numpy as np
import pytest
import torch

import agents.llm.updates
from agents.llm.evaluation import Samples, label_loss, label_tokens
from agents.llm.model import load_model, load_tokenizer
from agents.llm.prompt import tokenise_prompts
from agents.llm.updates import Updates

BATCH = Samples(np.array([0, 1, 2, 3, 4]), np.array([5, 6, 7, 8, 9]), np.array([1, 2, 3, 4, 5]))


@pytest.fixture
def start(small_weights, clusters):
    """Makes updates of the small model with frozen embeddings; gives them with the prompts."""
    prompts = tokenise_prompts(clusters, 3, load_tokenizer(small_weights))

    def make(dtype=torch.float32, micro_batch_size=16, rate=0.01):
        model = load_model(small_weights, torch.float32)
        model.get_input_embeddings().weight.requires_grad_(False)
        return Updates(model, prompts, dtype, rate, micro_batch_size), prompts

    return make


def gradient(updates, batch=BATCH):
    updates.gradients(batch)
    return torch.cat([p.grad.double().flatten() for p in updates.trained.values()])


def plain_loss(model, prompts, batch):
    """Mean over all label tokens, sample by sample, with the library's own loss over the whole vocabulary."""
    total, tokens = 0.0, 0
    for c1, c2, c in zip(batch.first.tolist(), batch.second.tolist(), batch.label.tolist(), strict=True):
        prompt, label = prompts.prompt(c1, c2), prompts.label[c]
        ids, target = torch.tensor([prompt + label]), torch.tensor([(-100,) * len(prompt) + label])
        total = total + model(input_ids=ids, labels=target).loss * len(label)
        tokens += len(label)
    return total / tokens


def test_the_gradient_is_the_plain_losss(start):
    updates, prompts = start()
    ours = gradient(updates)
    model = updates.model
    model.zero_grad()
    loss = plain_loss(model, prompts, BATCH)
    loss.backward()
    plain = torch.cat([p.grad.double().flatten() for p in updates.trained.values()])
    assert (ours - plain).norm() <= 1e-5 * plain.norm()
    assert updates.gradients(BATCH) == pytest.approx(loss.item(), rel=1e-5)
    assert label_loss(model, prompts, BATCH)[0] == pytest.approx(loss.item(), rel=1e-5)


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.bfloat16, 2e-2)])
@pytest.mark.parametrize("size", [1, 2, 3])
def test_passes_add_up_to_the_whole_batch(start, dtype, tolerance, size):
    """Labels have different numbers of tokens, so a mean of the passes' means would be another gradient."""
    whole, prompts = start(dtype)
    parts, _ = start(dtype, micro_batch_size=size)
    assert len({len(prompts.label[c]) for c in BATCH.label}) > 1
    a, b = gradient(whole), gradient(parts)
    assert (a - b).norm() <= tolerance * a.norm()
    assert parts.gradients(BATCH) == pytest.approx(whole.gradients(BATCH), rel=tolerance)


def test_a_second_batch_does_not_add_to_the_first(start):
    for dtype in (torch.float32, torch.bfloat16):
        updates, _ = start(dtype, micro_batch_size=2)
        assert (gradient(updates) == gradient(updates)).all()


def test_gradients_in_bf16_are_near_fp32s(start):
    exact, rounded = gradient(start()[0]), gradient(start(torch.bfloat16)[0])
    assert (exact - rounded).norm() <= 0.1 * exact.norm()


def test_small_updates_are_not_rounded_away(start):
    """In bf16 alone, a step of a thousandth of a weight's size would leave the weight as it is."""
    updates, _ = start(torch.bfloat16, rate=1e-5)
    before = {name: p.detach().clone() for name, p in updates.trained.items()}
    rounded = {name: p.detach().clone() for name, p in updates.served.named_parameters()}
    for _ in range(3):
        updates.apply(BATCH, 1.0)
    moved = sum(int((p != before[name]).sum()) for name, p in updates.trained.items())
    unmoved = sum(int((p == rounded[name]).sum()) for name, p in updates.served.named_parameters())
    assert moved > 0.9 * sum(p.numel() for p in before.values())
    assert unmoved > 0.9 * sum(p.numel() for p in rounded.values())
    for name, p in updates.served.named_parameters():
        assert p.dtype == torch.bfloat16
        assert (p == dict(updates.model.named_parameters())[name].to(torch.bfloat16)).all()


def test_the_gradient_is_clipped(start, monkeypatch):
    """Adam forgets the gradient's size, but its moments tell: the first is a tenth of the clipped gradient."""
    updates, _ = start()
    norm = gradient(updates).norm().item()
    assert norm > 0.05
    monkeypatch.setattr(agents.llm.updates, "_CLIP_NORM", 0.05)
    updates.apply(BATCH, 1.0)
    moment = torch.cat([updates.optimizer.state[p]["exp_avg"].flatten() for p in updates.trained.values()])
    assert moment.norm().item() == pytest.approx(0.1 * 0.05, rel=1e-4)


def test_a_step_goes_downhill(start):
    for dtype in (torch.float32, torch.bfloat16):
        updates, prompts = start(dtype)
        losses = [updates.apply(BATCH, 1.0) for _ in range(5)]
        assert losses[-1] < losses[0] - 0.05
        assert label_loss(updates.served, prompts, BATCH)[0] < losses[-1]


def test_tokens_that_count(start):
    _, prompts = start()
    assert label_tokens(prompts, BATCH) == sum(len(prompts.label[c]) for c in (1, 2, 3, 4, 5))


@pytest.mark.slow
def test_the_real_models_gradient_in_bf16(weights, clusters):
    prompts = tokenise_prompts(clusters, 3, load_tokenizer(weights))

    def of(dtype):
        model = load_model(weights, torch.float32)
        model.get_input_embeddings().weight.requires_grad_(False)
        return gradient(Updates(model, prompts, dtype, 1e-4, 16), BATCH.where(slice(2)))

    exact, rounded = of(torch.float32), of(torch.bfloat16)
    assert torch.nn.functional.cosine_similarity(exact, rounded, dim=0) > 0.99
    assert (exact - rounded).norm() <= 0.12 * exact.norm()
