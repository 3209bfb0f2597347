"""Loading a causal language model for training or scoring."""

from pathlib import Path
from typing import Any

import torch
import transformers
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

from sim.errors import InvalidInput
from sim.random import RandomStream


def compute_dtype(precision: str) -> torch.dtype:
    """The type that matrices are multiplied in.

    Args:
        precision: ``bf16``, ``fp32``, or ``auto``: bf16 where the processor multiplies it in
            hardware (CUDA from compute capability 8, AVX512-BF16 or AMX), else fp32.
    """
    if precision == "auto":
        if torch.cuda.is_available():
            fast = torch.cuda.get_device_capability()[0] >= 8
        else:
            fast = torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
        return torch.bfloat16 if fast else torch.float32
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
        InvalidInput: not a causal language model that transformers knows, or its output head
            does more than multiply.
    """
    transformers.utils.logging.disable_progress_bar()  # type: ignore[no-untyped-call]  # loading takes half a second
    try:
        model = AutoModelForCausalLM.from_pretrained(folder, dtype=dtype, use_safetensors=True, local_files_only=True)
    except (OSError, ValueError) as error:
        raise InvalidInput("llm.model", str(folder), f"must hold a causal language model ({error})") from None
    return _ready(model)


def random_model(folder: Path, rng: RandomStream) -> Any:
    """A model as ``config.json`` describes it, fp32, with random weights: the control twin."""
    config = AutoConfig.from_pretrained(folder, local_files_only=True)
    with torch.random.fork_rng():  # transformers initialises from the global generator only
        torch.manual_seed(rng.integer_seed())
        return _ready(AutoModelForCausalLM.from_config(config, dtype=torch.float32))  # type: ignore[no-untyped-call]


def _ready(model: Any) -> Any:
    # The scoring of the labels multiplies by the head itself, so the head must be a plain product.
    if getattr(model.config, "final_logit_softcapping", None) or model.get_output_embeddings().bias is not None:
        raise InvalidInput("llm.model", model.config.model_type, "models with a capped or biased output head won't do")
    device = "cuda" if torch.cuda.is_available() else "cpu"
    return model.to(device).eval()
