"""`tiny`: a language model of 125,000 parameters that is made from a configuration, with weights that know nothing.

It needs no package with weights and no network: for tests, and for seeing whether a run goes through before a model
that can read takes its place. Its tokenizer is learnt from the lines below, its chat template is a plain one.
"""

import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from rewardtree.errors import LanguageError
from rewardtree.language.installed import quietly, require

LINES = (
    "The passage above speaks of the captain, and of nobody else. In short: she said that it was so, and he went home.",
    "Which of the two is better? Reply with one letter, A or B. VERDICT: A. VERDICT: B. READ A passage 1. DONE.",
    "Mr. and Mrs. and Miss and Lady and Sir and Colonel and Admiral and General came to the park, the hall, the abbey.",
    "There was a letter upon the table; they were not to be seen with her sister until the morning had been so long.",
)
SPECIAL = ("<|pad|>", "<|end|>", "<|system|>", "<|user|>", "<|assistant|>")
TEMPLATE = (
    "{% for turn in messages %}<|{{ turn['role'] }}|>{{ turn['content'] }}<|end|>{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)
TOKENS, WIDTH, LAYERS, HEADS, LIMIT = 640, 64, 2, 4, 8192


def byte_pairs(texts: Sequence[str], vocabulary: int, special: Sequence[str]) -> Any:
    """A tokenizer of byte pairs (Sennrich et al. 2016, arXiv 1508.07909), learnt from texts.

    Args:
        texts: to learn from.
        vocabulary: tokens, bytes and special ones among them.
        special: tokens that come first, in order.
    """
    tokenizers = require("tokenizers")
    bytewise = tokenizers.pre_tokenizers.ByteLevel
    found = tokenizers.Tokenizer(tokenizers.models.BPE())
    found.pre_tokenizer, found.decoder = bytewise(add_prefix_space=False), tokenizers.decoders.ByteLevel()
    trainer = tokenizers.trainers.BpeTrainer(
        vocab_size=vocabulary, special_tokens=list(special), initial_alphabet=bytewise.alphabet(), show_progress=False
    )
    found.train_from_iterator(texts, trainer)
    return found


def write_tiny(into: Path) -> None:
    """Write the model as a folder, which appears when it is whole; the same wherever it is made.

    Raises:
        LanguageError: where the extra is not installed, or the folder cannot be written.
    """
    transformers = require("transformers")
    partial = into.with_name(f"{into.name}.{os.getpid()}.partial")
    tokens = byte_pairs(LINES, TOKENS, SPECIAL)
    try:
        with quietly(), torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            tokenizer = transformers.PreTrainedTokenizerFast(
                tokenizer_object=tokens, pad_token=SPECIAL[0], eos_token=SPECIAL[1]
            )
            tokenizer.chat_template = TEMPLATE
            config = transformers.LlamaConfig(
                vocab_size=TOKENS, hidden_size=WIDTH, intermediate_size=2 * WIDTH, num_hidden_layers=LAYERS,
                num_attention_heads=HEADS, num_key_value_heads=HEADS, max_position_embeddings=LIMIT,
                tie_word_embeddings=True, pad_token_id=0, eos_token_id=1, bos_token_id=None,
            )  # fmt: skip
            transformers.LlamaForCausalLM(config).save_pretrained(partial)
            tokenizer.save_pretrained(partial)
        if not into.is_dir():
            partial.rename(into)
    except OSError as error:
        raise LanguageError(
            f"cannot write {into}: {error}; free some space, or set REWARDTREE_CACHE to a folder that can be written"
        ) from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)
