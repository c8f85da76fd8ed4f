"""One tree of errors; whatever a user can mend is one sentence with its remedy and is shown without a traceback."""

from pathlib import Path


class RewardtreeError(Exception):
    """Base of every error that a user can mend. Its text names the problem and the remedy."""


class ConfigError(RewardtreeError):
    """A configuration value, flag or key is wrong."""


class TreeError(RewardtreeError):
    """A tree of nodes is ill-formed: a cycle, a missing helper, a name used twice."""


class BudgetError(RewardtreeError):
    """A label or reading budget cannot be met."""


class TaskError(RewardtreeError):
    """A task, exhibit or claim breaks its contract."""


class StoreError(RewardtreeError):
    """The preference store cannot be opened, read or written."""


class NoRunError(StoreError):
    """A store holds no run under the key that was given."""


class AccountError(RewardtreeError):
    """A labeller's account, invitation, password or session is not as it must be."""


class LeaseError(StoreError):
    """A comparison is not, or no longer, this labeller's to answer."""


class RunError(RewardtreeError):
    """A run directory is missing, in use, or belongs to another run."""


class LanguageError(RewardtreeError):
    """A language model cannot be had, is damaged, or lacks what is asked of it."""


class InputFileError(RewardtreeError):
    """A user's input file is broken.

    Args:
        path: the file.
        line: 1-based line number, or None where the whole file is meant.
        problem: what is wrong there.
        remedy: what to do about it.
    """

    def __init__(self, path: Path | str, line: int | None, problem: str, remedy: str) -> None:
        place = f"{path}:{line}" if line is not None else str(path)
        super().__init__(f"{place}: {problem}; {remedy}")
        self.path, self.line, self.problem, self.remedy = Path(path), line, problem, remedy

    def __reduce__(self) -> tuple[type["InputFileError"], tuple[Path, int | None, str, str]]:
        """For going from one process to another; an exception's own way would make it of its text alone."""
        return type(self), (self.path, self.line, self.problem, self.remedy)
