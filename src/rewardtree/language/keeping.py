"""Answers of endpoints on disk, named by what was asked, so that nothing is paid for twice.

A file an answer, written aside and then moved into place: whole or not there at all, whoever is killed, and any number
of processes may share a folder. Two that ask the same at the same time both pay, and keep one.
"""

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from threading import get_ident
from typing import Any

from rewardtree.errors import LanguageError


def name_of(asked: Mapping[str, Any]) -> str:
    """The name under which an answer is kept: SHA-256 of all that was asked, as canonical JSON."""
    return hashlib.sha256(json.dumps(asked, sort_keys=True, ensure_ascii=False).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Kept:
    """A folder of answers.

    Attributes:
        folder: made when the first answer comes.
    """

    folder: Path

    def get(self, name: str) -> dict[str, Any] | None:
        """An answer by its name, or None; a damaged one is as good as none."""
        try:
            found: dict[str, Any] = json.loads(self._path(name).read_bytes())["answer"]
        except (OSError, ValueError, KeyError, TypeError):
            return None
        return found

    def put(self, name: str, asked: Mapping[str, Any], answer: Mapping[str, Any]) -> None:
        """Keep an answer with what was asked.

        Raises:
            LanguageError: where it cannot be written.
        """
        path = self._path(name)
        partial = path.with_name(f"{name}.{os.getpid()}-{get_ident()}.partial")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with partial.open("w", encoding="utf-8") as file:
                json.dump({"asked": asked, "answer": answer}, file, ensure_ascii=False)
                file.flush()
                os.fsync(file.fileno())
            partial.replace(path)
        except OSError as error:
            raise LanguageError(f"cannot keep answers in {self.folder}: {error.strerror}; free some space or choose "
                                "another folder, then go on") from error  # fmt: skip

    def _path(self, name: str) -> Path:
        return self.folder / name[:2] / f"{name}.json"
