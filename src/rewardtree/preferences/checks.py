"""Checks that the store's values make at birth; each raises StoreError with the remedy."""

import math
import operator
import re

import orjson

from rewardtree.errors import StoreError

ID_LENGTH = 32
LARGEST_COUNT = 2**31 - 1

_JSON = (
    orjson.OPT_SORT_KEYS
    | orjson.OPT_PASSTHROUGH_SUBCLASS
    | orjson.OPT_PASSTHROUGH_DATACLASS
    | orjson.OPT_PASSTHROUGH_DATETIME
)
_HEX = frozenset("0123456789abcdef")
_WITHOUT_SURROGATES = re.compile("[^\ud800-\udfff]*").fullmatch


def canonical_json(value: object, what: str = "value") -> bytes:
    """Encodes a JSON-able value as UTF-8 JSON with sorted keys, the same bytes for the same value.

    Args:
        value: dictionaries with text keys, lists, tuples (they come back as lists), text, finite numbers
            (integers of at most 64 bits), booleans and None.
        what: how the value is called in the error.

    Returns:
        The JSON text, holding no line break.

    Raises:
        StoreError: the value is not JSON-able: a NumPy number or array, a NaN, a key that is not text.
    """
    try:
        body = orjson.dumps(value, option=_JSON)
    except TypeError as error:
        raise StoreError(
            f"{what} cannot be stored as JSON ({error}); convert arrays with .tolist() and keys to text"
        ) from error
    # orjson writes NaN and infinities as null, so only a text that holds a null needs the slow look.
    if b"null" in body and _holds_non_finite(value):
        raise StoreError(f"{what} holds a NaN or an infinity; replace it by null or leave it out")
    return body


def check_id(name: object) -> None:
    """Checks that a comparison's id looks like one from `comparison_id`."""
    if not (isinstance(name, str) and len(name) == ID_LENGTH and _HEX.issuperset(name)):
        raise StoreError(f"comparison id {name!r} is not 32 hexadecimal digits; make it with comparison_id")


def check_name(what: str, name: object) -> None:
    """Checks that a name is a text that is not empty and that every database can keep."""
    if type(name) is str and name and name.isascii() and "\0" not in name:
        return
    if not isinstance(name, str) or not name:
        raise StoreError(f"{what} is {name!r}; give a text that is not empty")
    check_text(what, name)


def check_text(what: str, text: object) -> None:
    """Checks that a text is one that every database can keep."""
    if not isinstance(text, str):
        raise StoreError(f"{what} is {text!r}; give a text")
    if "\0" in text or not (text.isascii() or _WITHOUT_SURROGATES(text)):
        raise StoreError(f"{what} holds a NUL or half a surrogate pair; remove it, no database can keep it")


def check_versions(versions: object) -> None:
    """Checks that versions are a dictionary from text to text."""
    if not isinstance(versions, dict):
        raise StoreError(f"policy_versions is {versions!r}; give a dictionary from policy names to versions")
    for text in (*versions, *versions.values()):
        check_text("a name or version in policy_versions", text)


def count(what: str, number: object) -> int:
    """Returns a whole number of at least 0, also one of NumPy's, as an int."""
    try:
        whole = operator.index(number)  # type: ignore[arg-type]
    except TypeError:
        raise StoreError(f"{what} is {number!r}; give a whole number of at least 0") from None
    if not 0 <= whole <= LARGEST_COUNT:
        raise StoreError(f"{what} is {whole}; give a whole number from 0 to {LARGEST_COUNT}")
    return whole


def at_least_0(what: str, number: object) -> float:
    """Returns a finite number of at least 0, also one of NumPy's, as a float."""
    value = finite(what, number)
    if value < 0:
        raise StoreError(f"{what} is {value}; give a number of at least 0")
    return value


def finite(what: str, number: object) -> float:
    """Returns a finite number, also one of NumPy's, as a float."""
    if type(number) is float and math.isfinite(number):  # the common case, without the detours
        return number
    try:
        value = float(number)  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        value = math.nan
    if not math.isfinite(value) or isinstance(number, str):
        raise StoreError(f"{what} is {number!r}; give a finite number")
    return value


def positions(given: object) -> tuple[int, ...]:
    """Returns positions in a list as a tuple of whole numbers."""
    try:
        found = tuple(map(operator.index, given))  # type: ignore[call-overload]
    except TypeError:
        found = (-1,)
    if found and min(found) < 0:
        raise StoreError(f"claims_seen is {given!r}; give the positions of the claims that were opened")
    return found


def _holds_non_finite(value: object) -> bool:
    if isinstance(value, float):
        return not math.isfinite(value)
    if isinstance(value, dict):
        return any(_holds_non_finite(part) for part in value.values())
    if isinstance(value, list | tuple):
        return any(_holds_non_finite(part) for part in value)
    return False
