"""Language models here against TRL, on the same token ids, number type, batch and thread; the last line is JSON.

    OMP_NUM_THREADS=1 HF_HUB_OFFLINE=1 python benchmarks/language.py [--large] [--repeats 5]

- `reward_ratio`: tokens a second of fitting a reward model, ours over TRL's RewardTrainer, asked 1.0 or more. Tokens
  are those of whole rows, prompts counted with each of their outputs, for both. TRL is timed from the end of its first
  step; `..._sorted_trl` hands it the pairs in order of length, so that it pads little too.
- `five_members`: time of five members over that of one, asked 1.3 or less; and how their spread goes with the error on
  held-out pairs, beside five models that were fitted apart.
- `iteration_ratio`: time of one iteration (generate, score, update), ours over TRL's RLOOTrainer, asked 1.0 or less.
- `node_ratio`: time of one whole iteration of the loop at a node whose policy and helper are language models, over that
  of TRL's RLOOTrainer making as many updates of as many samples, scored by the same reward model; asked 1.0 or less,
  1.1 for the large model. Ours also writes what is compared, and has the helper's claims, the evaluator and the store;
  fitting the reward model is left out on both sides, and `node_ratio_with_fit` counts it in ours.

CPU seconds, medians over repeats in alternating order. `--large` adds SmolLM2-135M with LoRA, which takes some minutes.
"""

import argparse
import json
import statistics
import sys
import tempfile
import time
import warnings
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch
from measured.writing_node import FITTED, Shape, iteration, tree_of
from scipy.stats import spearmanr

from rewardtree.evaluators.calibration import Experience
from rewardtree.language import passes
from rewardtree.language.encoding import Encoder, lengths, padded
from rewardtree.language.installed import quietly, require
from rewardtree.language.passes import Sampling
from rewardtree.language.references import LanguageModel, LoRA, ModelRef, folder_of, load
from rewardtree.policies.gradient import Ascent, improve
from rewardtree.policies.language import LanguageLearner, Outputs, Prompts, Writer
from rewardtree.rewards.language import Fitting, Heads, fit, initial
from rewardtree.tree.evaluating import known

PAIRS = 16
"""A step."""
VOCABULARY = 4096
Compared = tuple[np.ndarray, np.ndarray, np.ndarray]
"""Rows of both outputs, and by how much the first is truly better."""


def tiny(folder: Path) -> ModelRef:
    """A decoder of 1.4 million parameters, as it is made from a configuration; its tokens are bare numbers."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    words = {"<|pad|>": 0, "<|end|>": 1} | {f"w{i}": i for i in range(2, VOCABULARY)}
    tokens = Tokenizer(models.WordLevel(words, unk_token="<|end|>"))
    tokens.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=VOCABULARY, hidden_size=128, intermediate_size=384, num_hidden_layers=4, num_attention_heads=4,
        num_key_value_heads=4, max_position_embeddings=1024, tie_word_embeddings=True, pad_token_id=0, eos_token_id=1,
        bos_token_id=None,
    )  # fmt: skip
    with quietly():
        LlamaForCausalLM(config).save_pretrained(folder)
        PreTrainedTokenizerFast(tokenizer_object=tokens, pad_token="<|pad|>", eos_token="<|end|>").save_pretrained(
            folder
        )
    return ModelRef(name=str(folder))


def compared(model: LanguageModel, count: int, seed: int, *, kinds: int = 400) -> Compared:
    """Pairs of outputs to prompts of 10 to 60 tokens, each of 8 to 64; and how far the first is truly ahead.

    Every token has its worth, an output's is the sum over the root of its length.
    """
    rng, top = np.random.default_rng(seed), min(VOCABULARY, kinds + 2)
    worth = np.random.default_rng(99).normal(size=top)
    prompts = [rng.integers(2, top, rng.integers(10, 60)).tolist() for _ in range(count)]
    sides = [[rng.integers(2, top, rng.integers(8, 64)).tolist() for _ in range(count)] for _ in range(2)]
    values = [np.array([worth[o].sum() / len(o) ** 0.5 for o in side]) for side in sides]
    first, second = (padded([[*p, *o, model.end] for p, o in zip(prompts, side, strict=True)]) for side in sides)
    return first, second, values[0] - values[1]


def medians(runs: dict[str, Callable[[], float]], repeats: int) -> dict[str, float]:
    """Each run's median over repeats, in an order that turns round every time; one run of each to warm up."""
    found: dict[str, list[float]] = {name: [] for name in runs}
    for repeat in range(repeats + 1):
        for name in sorted(runs, reverse=repeat % 2 == 1):
            value = runs[name]()
            if repeat:
                found[name].append(value)
    return {name: statistics.median(values) for name, values in found.items()}


def quiet_arguments(kind: Any, folder: str, **chosen: Any) -> Any:
    """TRL's arguments without its defaults for accelerators, and without its files."""
    return kind(
        output_dir=folder, use_cpu=True, bf16=False, gradient_checkpointing=False, report_to="none", save_strategy="no",
        logging_steps=10_000, disable_tqdm=True, **chosen,
    )  # fmt: skip


def adapters(kind: str) -> Any:
    """What `LoRA()` is, for TRL."""
    return require("peft").LoraConfig(r=16, lora_alpha=32, target_modules=["q_proj", "v_proj"], task_type=kind)


def clock() -> tuple[Any, list[float]]:
    """A callback that notes when each step ended, and the notes."""
    from transformers import TrainerCallback

    ends: list[float] = []

    class Clock(TrainerCallback):
        def on_step_end(self, *arguments: Any, **named: Any) -> None:
            ends.append(time.process_time())

    return Clock(), ends


def trl_reward(model: LanguageModel, first: np.ndarray, second: np.ndarray, *, in_order: bool, lora: bool) -> float:
    """Tokens a second of TRL's RewardTrainer, from the end of its first step."""
    trl, datasets, transformers = require("trl"), require("datasets"), require("transformers")
    rows = [
        {"chosen_ids": a[a >= 0].tolist(), "rejected_ids": b[b >= 0].tolist()}
        for a, b in zip(first, second, strict=True)
    ]

    with quietly(), tempfile.TemporaryDirectory() as folder:
        net = transformers.AutoModelForSequenceClassification.from_pretrained(
            folder_of(model.ref), num_labels=1, dtype=model.net.dtype
        )
        net.config.pad_token_id = model.tokenizer.pad_token_id
        peft = adapters("SEQ_CLS")
        callback, ends = clock()
        arguments = quiet_arguments(
            trl.RewardConfig, folder, per_device_train_batch_size=PAIRS, num_train_epochs=1, learning_rate=1e-4,
            train_sampling_strategy="sequential" if in_order else "random",
        )  # fmt: skip
        trainer = trl.RewardTrainer(
            model=net, args=arguments, train_dataset=datasets.Dataset.from_list(rows), processing_class=model.tokenizer,
            callbacks=[callback], peft_config=peft if lora else None,
        )  # fmt: skip
        trainer.remove_callback(transformers.PrinterCallback)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # of transformers' renamings, which TRL still uses
            trainer.train()
    tokens = int(lengths(first).sum() + lengths(second).sum())
    return tokens * (len(ends) - 1) / len(ends) / (ends[-1] - ends[0])


def our_reward(model: LanguageModel, pairs: Compared, heads: Heads, fitting: Fitting) -> float:
    """Tokens a second of one epoch of ours, everything in it counted."""
    first, second, ahead = pairs
    generator = torch.Generator().manual_seed(0)
    start = initial(model, heads, generator)
    began = time.process_time()
    fit(start, first, second, (ahead > 0) * 1.0, generator=generator, fitting=fitting)
    return int(lengths(first).sum() + lengths(second).sum()) / (time.process_time() - began)


def rewards(model: LanguageModel, *, pairs: int, repeats: int, lora: bool) -> dict[str, float]:
    """Speeds of fitting."""
    drawn = compared(model, pairs, 0)
    first, second, _ = drawn
    order = np.argsort(np.maximum(lengths(first), lengths(second)), kind="stable")
    once = Fitting(epochs=1, pairs=PAIRS, held_out=0.0, rate=1e-4)
    one = Heads(members=1)

    def whole_rows() -> float:
        kept, passes.WORTH = passes.WORTH, 9.0
        try:
            return our_reward(model, drawn, one, replace(once, bucketed=False))
        finally:
            passes.WORTH = kept

    found = medians(
        {
            "trl": lambda: trl_reward(model, first, second, in_order=False, lora=lora),
            "trl, sorted by length": lambda: trl_reward(model, first[order], second[order], in_order=True, lora=lora),
            "ours": lambda: our_reward(model, drawn, one, once),
            "ours, five members": lambda: our_reward(model, drawn, Heads(members=5), once),
            "ours, no buckets": lambda: our_reward(model, drawn, one, replace(once, bucketed=False)),
            "ours, no buckets, whole rows": whole_rows,
        },
        repeats,
    )
    for name, value in found.items():
        print(f"  {name:32}{value:10,.0f} tokens/s")
    return {
        "reward_ratio": found["ours"] / found["trl"],
        "reward_ratio_sorted_trl": found["ours"] / found["trl, sorted by length"],
        "buckets_buy": found["ours"] / found["ours, no buckets"],
        "shared_beginnings_buy": found["ours, no buckets"] / found["ours, no buckets, whole rows"],
        "five_members": found["ours"] / found["ours, five members"],
    }


def spread(model: LanguageModel, *, pairs: int) -> dict[str, float]:
    """How the members' spread goes with the error on held-out pairs, beside members that were fitted apart.

    Spearman's correlation of the spread of a difference with how far its mean is from the truth.
    """
    first, second, ahead = compared(model, pairs, 1, kinds=40)
    rng = np.random.default_rng(2)
    votes = (rng.random(pairs) < 1 / (1 + np.exp(-2 * ahead))).astype(float)
    held = compared(model, 600, 3, kinds=40)
    fitting = Fitting(epochs=4, pairs=PAIRS, rate=1e-3)

    def differences(heads: Heads, seed: int, weight: np.ndarray | None) -> np.ndarray:
        generator = torch.Generator().manual_seed(seed)
        learnt, _ = fit(initial(model, heads, generator), first, second, votes, generator=generator, weight=weight,
                        fitting=fitting)  # fmt: skip
        return learnt.score_members(held[0]) - learnt.score_members(held[1])

    def told(name: str, members: np.ndarray) -> dict[str, float]:
        mean, deviation = members.mean(0), members.std(0)
        right = float((np.sign(mean) == np.sign(held[2])).mean())
        error = np.abs(mean - 2 * held[2])
        together = float(spearmanr(deviation, error).statistic)
        print(
            f"  {name:32}right {right:.3f}, spread {deviation.mean():.2f}, error {error.mean():.2f}, rho {together:.3f}"
        )
        return {"right": right, "spread": float(deviation.mean()), "rho": together}

    ours = told("five heads", differences(Heads(members=5), 0, None))
    alone = [
        differences(Heads(members=1, prior=0.0), k, np.random.default_rng(k).poisson(1, pairs) * 1.0) for k in range(5)
    ]
    apart = told("five models fitted apart", np.concatenate(alone))
    return {
        "spread_rho": ours["rho"],
        "spread_rho_apart": apart["rho"],
        "spread_size": ours["spread"] / apart["spread"],
    }


@dataclass(frozen=True, kw_only=True)
class Iteration:
    """One iteration: so many prompts of so many words, samples of each, tokens of a sample."""

    prompts: int
    words: int
    samples: int
    tokens: int


def asked(model: LanguageModel, shape: Iteration, count: int) -> list[str]:
    """Prompts of common words, up to twice as long as the mean."""
    rng, words = np.random.default_rng(0), common(model)
    return [" ".join(rng.choice(words, rng.integers(4, 2 * shape.words - 4))) for _ in range(count)]


def common(model: LanguageModel) -> list[str]:
    """Words that are one token each."""
    every = sorted((token, word.strip("\u0120")) for word, token in model.tokenizer.get_vocab().items())
    return [word for token, word in every if word.isalnum() and token > 400][:3000]


def even(completion_ids: list[list[int]], **_: Any) -> list[float]:
    """A reward that costs nothing: the share of tokens with an even number."""
    return [sum(token % 2 == 0 for token in ids) / max(len(ids), 1) for ids in completion_ids]


def trl_iteration(
    model: LanguageModel, shape: Iteration, steps: int, *, lora: bool, score: Callable[..., list[float]] = even
) -> float:
    """Seconds of one of TRL's RLOO iterations, from the end of its first."""
    trl, datasets = require("trl"), require("datasets")

    with quietly(), tempfile.TemporaryDirectory() as folder:
        peft = adapters("CAUSAL_LM")
        callback, ends = clock()
        arguments = quiet_arguments(
            trl.RLOOConfig, folder, per_device_train_batch_size=shape.prompts * shape.samples, beta=0.05,
            num_generations=shape.samples, max_completion_length=shape.tokens, max_steps=steps + 1, learning_rate=1e-4,
            temperature=1.0, model_init_kwargs={"dtype": str(model.net.dtype).removeprefix("torch.")},
        )  # fmt: skip
        rows = [{"prompt": text} for text in asked(model, shape, 4 * shape.prompts * (steps + 1))]
        trainer = trl.RLOOTrainer(
            model=str(folder_of(model.ref)), reward_funcs=score, args=arguments, processing_class=model.tokenizer,
            train_dataset=datasets.Dataset.from_list(rows), callbacks=[callback], peft_config=peft if lora else None,
        )  # fmt: skip
        trainer.remove_callback(require("transformers").PrinterCallback)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)
            trainer.train()
    return (ends[-1] - ends[0]) / (len(ends) - 1)


def our_iteration(model: LanguageModel, shape: Iteration, steps: int) -> float:
    """Seconds of one of ours: generate, score, and a step up the gradient."""
    encoder = Encoder(model=model, style="plain")
    inputs = Prompts(ids=padded(encoder.prompts(asked(model, shape, 4 * shape.prompts * (steps + 1)))))
    rng = np.random.default_rng(0)
    sampling = Sampling(tokens=shape.tokens)
    policy = LanguageLearner(model=model, policy=partial(Writer, sampling=sampling)).initial(rng)

    def rewards_of(_: Prompts, outputs: Outputs) -> np.ndarray:
        return ((outputs.ids >= 0) & (outputs.ids % 2 == 0)).sum(1) / lengths(outputs.ids)

    began = time.process_time()
    ascent = Ascent(updates=steps, inputs=shape.prompts, samples=shape.samples, beta=0.05, rate=1e-4)
    improve(
        policy, {}, rewards_of, lambda chance, count: inputs.take(chance.integers(len(inputs), size=count)), rng,
        version="improved", ascent=ascent,
    )  # fmt: skip
    return (time.process_time() - began) / steps


def iterations(model: LanguageModel, shape: Iteration, *, steps: int, repeats: int, lora: bool) -> dict[str, float]:
    """Times of an iteration."""
    found = medians(
        {
            "trl": lambda: trl_iteration(model, shape, steps, lora=lora),
            "ours": lambda: our_iteration(model, shape, steps),
        },
        repeats,
    )
    print(f"  an iteration of {shape}: ours {found['ours']:.3f} s, TRL {found['trl']:.3f} s")
    return {"iteration_ratio": found["ours"] / found["trl"]}


def node(
    model: LanguageModel, shape: Iteration, *, labels: int, updates: int, repeats: int, lora: bool
) -> dict[str, float]:
    """A whole iteration at a node against TRL's updates alone, and what it is made of."""
    encoder, parts = Encoder(model=model, style="plain"), Counter[str]()
    scorer = initial(model, Heads(members=5), torch.Generator().manual_seed(0))
    tokens = [encoder.outputs([f" {word}"], finished=False)[0][-1] for word in common(model)]
    ascent = Ascent(updates=updates, inputs=shape.prompts, samples=shape.samples, beta=0.05, rate=1e-4)
    sizes = Shape(labels=labels, tokens=shape.tokens, ascent=ascent)
    tree = tree_of(model, asked(model, shape, 200), (min(tokens), max(tokens)), sizes)
    experiences: dict[str, Experience] = {}
    known(experiences, tree, tree.nodes["words"], 0)

    def scored(prompts: list[str], completion_ids: list[list[int]], **_: Any) -> list[float]:
        return scorer.score(encoder.joined(encoder.prompts(prompts), completion_ids))[0].tolist()

    def ours() -> float:
        spent = iteration(tree, experiences)
        parts.update(spent)
        return sum(spent.values()) - spent[FITTED]

    def trl() -> float:
        return updates * trl_iteration(model, shape, updates, lora=lora, score=scored)

    found = medians({"ours": ours, "trl": trl}, repeats)
    fit_too = found["ours"] + parts[FITTED] / (repeats + 1)
    print(f"  a node of {labels} labels and {updates} updates of {shape}: ours {found['ours']:.2f} s, with the reward "
          f"model's fit {fit_too:.2f} s, TRL's updates alone {found['trl']:.2f} s; of ours:")  # fmt: skip
    for name, seconds in parts.most_common():
        print(f"    {name:32}{seconds / sum(parts.values()):6.0%}")
    return {"node_ratio": found["ours"] / found["trl"], "node_ratio_with_fit": fit_too / found["trl"]}


def main() -> None:
    chosen = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    chosen.add_argument("--large", action="store_true")
    chosen.add_argument("--repeats", type=int, default=5)
    options = chosen.parse_args()
    if find_spec("trl") is None:
        print(json.dumps({"skipped": "needs the extra: pip install 'rewardtree[lm]'"}))
        return
    torch.set_num_threads(1)
    require("datasets").disable_progress_bars()
    found: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        model = load(tiny(Path(folder)))
        print(f"1.4M parameters, {model.net.dtype}, all learnt")
        found |= rewards(model, pairs=20 * PAIRS, repeats=options.repeats, lora=False)
        shape = Iteration(prompts=16, words=24, samples=4, tokens=24)
        found |= iterations(model, shape, steps=6, repeats=options.repeats, lora=False)
        found |= node(model, shape, labels=32, updates=6, repeats=options.repeats, lora=False)
        found |= spread(model, pairs=400)
    if options.large:
        model = load(ModelRef(name="smollm2"), adapters=LoRA())
        print(f"SmolLM2-135M, {model.net.dtype}, LoRA of rank 16")
        shape, repeats = Iteration(prompts=4, words=32, samples=4, tokens=16), max(1, options.repeats // 2)
        large = iterations(model, shape, steps=3, repeats=repeats, lora=True)
        large |= node(model, shape, labels=8, updates=3, repeats=repeats, lora=True)
        large |= rewards(model, pairs=3 * PAIRS, repeats=repeats, lora=True)
        found |= {f"large_{name}": value for name, value in large.items()}
    print(json.dumps({name: round(value, 3) for name, value in found.items()}))


if __name__ == "__main__":
    sys.exit(main())
