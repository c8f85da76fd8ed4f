"""A tiny language model, made from a configuration: its tokenizer learns from a few lines, its weights are random.

Tests that use it are skipped where the extra `lm` is not installed.
"""

import os
from pathlib import Path

import pytest
import torch

os.environ.update(HF_HUB_OFFLINE="1", TOKENIZERS_PARALLELISM="false")

WORDS = (
    "the captain said that his aunt was at the abbey and the colonel walked to the park with her sister in the morning "
    "rain while nobody knew why he would not answer yes or no to good bad old new short long letters"
)
TEMPLATE = (
    "{% for turn in messages %}<|{{ turn['role'] }}|>{{ turn['content'] }}<|end|>{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)


def needs_lm() -> None:
    """Skip the test, or the module, that calls this where transformers is not installed."""
    pytest.importorskip("transformers", reason="needs the extra: pip install 'rewardtree[lm]'")


def tiny_model(folder: Path, *, chat: bool = True, seed: int = 0, spread: float = 0.2) -> Path:
    """Write a model of 33,000 parameters and its tokenizer into a folder; `spread` is that of its random weights."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    from rewardtree.language.installed import quietly

    with quietly():
        tokens = Tokenizer(models.BPE())
        tokens.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        tokens.decoder = decoders.ByteLevel()
        special = ["<|pad|>", "<|end|>", "<|user|>", "<|assistant|>"]
        alphabet = pre_tokenizers.ByteLevel.alphabet()
        trainer = trainers.BpeTrainer(
            vocab_size=384, special_tokens=special, initial_alphabet=alphabet, show_progress=False
        )
        tokens.train_from_iterator([WORDS], trainer)
        tokenizer = PreTrainedTokenizerFast(tokenizer_object=tokens, pad_token="<|pad|>", eos_token="<|end|>")
        if chat:
            tokenizer.chat_template = TEMPLATE
        torch.manual_seed(seed)
        config = LlamaConfig(
            vocab_size=384, hidden_size=32, intermediate_size=64, num_hidden_layers=2,
            num_attention_heads=2, num_key_value_heads=2, max_position_embeddings=256, tie_word_embeddings=True,
            pad_token_id=0, eos_token_id=1, bos_token_id=None, initializer_range=spread,
        )  # fmt: skip
        LlamaForCausalLM(config).save_pretrained(folder)
        tokenizer.save_pretrained(folder)
    return folder
