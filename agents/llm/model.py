"""Loading a causal language model for training or scoring."""

from pathlib import Path
from typing import Any

import torch
import transformers
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer, GenerationConfig

from agents.llm.precision import bf16_pays
from sim.errors import InvalidInput
from sim.random import RandomStream


def compute_dtype(precision: str) -> torch.dtype:
    """The type that matrices are multiplied in.

    Args:
        precision: ``bf16``, ``fp32``, or ``auto``: bf16 where that is measured to be clearly faster
            (``agents.llm.precision``), else fp32.
    """
    if precision == "auto":
        return torch.bfloat16 if bf16_pays() else torch.float32
    return {"bf16": torch.bfloat16, "fp32": torch.float32}[precision]


def load_tokenizer(folder: Path) -> Any:
    """The tokenizer in a weights folder."""
    return AutoTokenizer.from_pretrained(folder, local_files_only=True)


def load_model(folder: Path, dtype: torch.dtype) -> Any:
    """Load weights for evaluation, on the GPU if there is one.

    Args:
        folder: as ``prepare_weights`` gives it.
        dtype: of the weights and of the computation.

    Raises:
        InvalidInput: not a causal language model that transformers supports, weights that are not
            that model's, or an output head that does more than multiply.
    """
    transformers.utils.logging.disable_progress_bar()  # type: ignore[no-untyped-call]  # loading takes half a second
    config = load_config(folder)
    from_pretrained: Any = AutoModelForCausalLM.from_pretrained  # typed without what output_loading_info adds
    try:
        model, loaded = from_pretrained(
            folder, config=config, dtype=dtype, use_safetensors=True, local_files_only=True, output_loading_info=True
        )
    except (OSError, ValueError, RuntimeError) as error:  # RuntimeError: tensors of other shapes
        reason = str(error).strip().splitlines()[0]
        raise InvalidInput("llm.model", str(folder), f"must hold a causal language model ({reason})") from None
    # transformers draws tensors that it misses at random, and drops those that it has no place for.
    for kind in ("missing", "unexpected", "mismatched"):
        if names := sorted(map(str, loaded[f"{kind}_keys"])):
            expected = f"must hold the weights of the {config.model_type} model of its config.json"
            raise InvalidInput("llm.model", str(folder), f"{expected}; {kind}: {names[0]} and {len(names) - 1} more")
    return _ready(model)


def check_context(folder: Path, num_tokens: int) -> None:
    """Check that a model sees as many tokens at once.

    A sliding window counts as the end of what it sees: the scores of all labels at once lay tokens
    out in another order than the window supposes.

    Args:
        folder: of its weights.
        num_tokens: the longest prompt and completion together.

    Raises:
        InvalidInput: it does not.
    """
    config = load_config(folder).get_text_config(decoder=True)
    limits = [getattr(config, "max_position_embeddings", None), _window(config)]
    limit = min((each for each in limits if each), default=num_tokens)
    if num_tokens > limit:
        expected = (
            f"must see {num_tokens} tokens at once, prompt and answer, and sees {limit}; llm.num_keywords shortens both"
        )
        raise InvalidInput("llm.model", str(folder), expected)


def _window(config: Any) -> int | None:
    """Tokens that the model's sliding-window layers see, if it has any."""
    if "sliding_attention" not in (getattr(config, "layer_types", None) or ["sliding_attention"]):
        return None
    return getattr(config, "sliding_window", None)


def load_config(folder: Path) -> Any:
    """The configuration of the causal language model in a folder.

    Raises:
        InvalidInput: there is none, or it is of another kind of model.
    """
    try:
        config = AutoConfig.from_pretrained(folder, local_files_only=True)
    except (OSError, ValueError) as error:
        reason = str(error).strip().splitlines()[0]
        raise InvalidInput("llm.model", str(folder), f"must hold a causal language model ({reason})") from None
    names = config.architectures or ()
    # An encoder such as BERT would load too, with attention in both directions.
    if names and not any(name.endswith(("ForCausalLM", "LMHeadModel", "ForConditionalGeneration")) for name in names):
        raise InvalidInput("llm.model", str(folder), f"must hold a causal language model, not {names[0]}")
    return config


def random_model(folder: Path, rng: RandomStream) -> Any:
    """A model as ``config.json`` describes it, fp32, with random weights: the control twin."""
    config = load_config(folder)
    with torch.random.fork_rng():  # transformers initialises from the global generator only
        torch.manual_seed(rng.integer_seed())
        return _ready(AutoModelForCausalLM.from_config(config, dtype=torch.float32))  # type: ignore[no-untyped-call]


def _ready(model: Any) -> Any:
    # The scoring of the labels multiplies by the head itself, so the head must be a plain product.
    capped = getattr(model.config.get_text_config(decoder=True), "final_logit_softcapping", None)
    if capped or model.get_output_embeddings().bias is not None:
        raise InvalidInput("llm.model", model.config.model_type, "models with a capped or biased output head won't do")
    # Many models come with repetition penalties, which would change greedy generation too.
    own = model.generation_config
    model.generation_config = GenerationConfig(  # type: ignore[no-untyped-call]
        bos_token_id=own.bos_token_id, eos_token_id=own.eos_token_id, pad_token_id=own.pad_token_id
    )
    device = "cuda" if torch.cuda.is_available() else "cpu"
    return model.to(device).eval()
