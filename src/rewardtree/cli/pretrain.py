"""`rewardtree pretrain novels`: a small language model, from scratch, on a domain's books."""

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer()
BEGINNING = "It was a fine morning, and"
"""Of the sample that is shown."""


@app.command()
def pretrain(
    domain: Annotated[str, typer.Argument(help="Domain whose books are read; novels has some.")],
    to: Annotated[
        Path | None, typer.Option(help="Folder; if not given, where the model `decoder` is looked for.")
    ] = None,
    books: Annotated[Path | None, typer.Option(help="Folder of books; those that fetch brings if not given.")] = None,
    passes: Annotated[int, typer.Option(min=1, help="Passes through the training books.")] = 3,
    seed: Annotated[int, typer.Option(min=0, help="Of weights, order and new names.")] = 0,
) -> None:
    """Train the language model `decoder`, 1.4 million parameters, on the training books; a killed one goes on."""
    from rewardtree.domains.novels.books import default_folder
    from rewardtree.domains.novels.pretraining import texts_of
    from rewardtree.errors import ConfigError
    from rewardtree.language.embedded import decoder_folder
    from rewardtree.language.pretraining import Recipe, pretrain
    from rewardtree.language.references import ModelRef, digest_of, load

    if domain != "novels":
        raise ConfigError(f"there is nothing to read in {domain!r}; only novels has books")
    shelf, folder = books or default_folder(), to or decoder_folder()
    read = [texts_of(shelf, "train", seed, number) for number in range(passes)]
    card = pretrain(read, texts_of(shelf, "validation", seed), folder, Recipe(seed=seed), typer.echo)
    ref = ModelRef(name=str(folder), digest=digest_of(folder))
    typer.echo(
        f"Held-out perplexity a token: {card['perplexity']:.1f}; bigrams {card['bigram']:.1f}, unigrams "
        f"{card['unigram']:.1f} ({card['words']:,} words in {card['tokens']:,} tokens)"
    )
    typer.echo(f"Sample: {BEGINNING}{_sample(load(ref))}")
    typer.echo(f"{card['parameters']:,} parameters in {folder}, digest {ref.digest}")


def _sample(model: object) -> str:
    """How the model goes on."""
    import torch

    from rewardtree.language.encoding import Encoder, padded
    from rewardtree.language.passes import Sampling, generate
    from rewardtree.language.references import LanguageModel

    assert isinstance(model, LanguageModel)
    encoder = Encoder(model=model, style="plain")
    prompt = padded(encoder.prompts([BEGINNING]))
    sampling = Sampling(tokens=60, temperature=0.7)
    return encoder.texts(generate(model.net, prompt, sampling, model.end, torch.Generator().manual_seed(0)))[0]
