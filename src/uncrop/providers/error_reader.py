"""The one reader of makers' errors: what an answer says becomes one error of ours, by each maker's vocabulary.

What is said comes before the status: a refusal may come with any number, 200 and 500 among them, and a number alone
often means several things. Only where nothing known is said does the status decide, see ``refusal``. Of what is said,
only codes that stand in a vocabulary are told on.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from http import HTTPStatus
from typing import TYPE_CHECKING

from uncrop.errors import ProviderError, ProviderInvalidResponse, ProviderRejectedRequest, UncropError
from uncrop.providers.answers import is_page, read_object, read_text, unusable
from uncrop.providers.jobs import read_submitted
from uncrop.providers.picture import read_picture
from uncrop.providers.refusal import BY_STATUS, kind_of_status, refuse, refuse_poll
from uncrop.providers.said import Said, plain, read_said
from uncrop.providers.vocabulary import CODES, VAGUE, WORDS

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping

    import numpy as np
    from numpy.typing import NDArray

    from uncrop.model import ImageHeader, Placement
    from uncrop.providers.conversation import Answer, Step
    from uncrop.providers.jobs import Submitted
    from uncrop.providers.vocabulary import Meanings, Vocabulary


def error_in(answer: Answer, vocabulary: Vocabulary) -> UncropError | None:
    """Return the error that an answer tells in its body, whatever its status; ``None`` where none is known.

    Parameters
    ----------
    answer
        One in which no picture, job or file was found.
    vocabulary
        What the maker's codes and words mean.
    """
    meaning = _meaning(answer, vocabulary)
    return None if meaning.kind is None else _refuse(answer, meaning, vocabulary)


def refused(answer: Answer, vocabulary: Vocabulary) -> UncropError:
    """Turn an answer whose status is not that of success into an error, by what it says, else by its status."""
    if vocabulary.page and is_page(answer):
        return _refused_by_page(answer, vocabulary)
    return _refuse(answer, _meaning(answer, vocabulary), vocabulary)


def refused_poll(answer: Answer, vocabulary: Vocabulary) -> UncropError:
    """Turn a poll's answer that is none of a job into an error.

    The request itself had been accepted: what speaks against its form, not its contents, is the provider's fault here.
    """
    if vocabulary.page and is_page(answer):
        return _refused_by_page(answer, vocabulary)
    error = error_in(answer, vocabulary)
    return refuse_poll(answer) if error is None or isinstance(error, ProviderRejectedRequest) else error


def refused_job(
    answer: Answer, vocabulary: Vocabulary, status: str, *, otherwise: type[UncropError] = ProviderError
) -> UncropError:
    """Turn a job that ended without a picture into an error.

    Parameters
    ----------
    answer
        The poll's answer.
    vocabulary
        What the maker's codes and words mean; the job's status is one of them, where it says why.
    status
        The job's status, which is told where no code is known.
    otherwise
        The error where nothing known is said.
    """
    meaning = _meaning(answer, vocabulary)
    told = replace(meaning, kind=meaning.kind or otherwise, code=meaning.code or status)
    error = _refuse(answer, told, vocabulary)
    error.charged = False  # whoever tells that there is no picture does not bill for one
    return error


def object_in(answer: Answer, vocabulary: Vocabulary) -> Mapping[str, object]:
    """Return the JSON object that an answer with status 200 is.

    Raises
    ------
    ProviderInvalidResponse
        It is none; where it is a web page, what that tells of the address.
    """
    body = read_object(answer.body)
    if body is not None:
        return body
    raise unusable(f"is a web page: {vocabulary.page}" if vocabulary.page and is_page(answer) else "is no JSON object")


def submitted_in(answer: Answer, vocabulary: Vocabulary, *, name: str, address: str) -> Submitted:
    """Read the answer to a submit, as ``read_submitted`` does.

    Raises
    ------
    UncropError
        It names no job: the error that it tells instead, or ``ProviderInvalidResponse``.
    """
    try:
        return read_submitted(answer, name=name, address=address)
    except ProviderInvalidResponse as error:
        raise error_in(answer, vocabulary) or error from None


def picture_in(
    answer: Answer, vocabulary: Vocabulary, canvas: Placement, photo: ImageHeader
) -> Generator[Step, object, NDArray[np.uint8]]:
    """Have the picture of a canvas decoded that an answer is, as ``read_picture`` does.

    Raises
    ------
    UncropError
        It is none: the error that it tells instead, or ``ProviderInvalidResponse``.
    """
    try:
        return (yield from read_picture(answer.body, canvas.width, canvas.height, photo))
    except ProviderInvalidResponse as error:
        raise error_in(answer, vocabulary) or error from None


def text_in(answer: Answer, vocabulary: Vocabulary, *way: str, missing: str) -> str:
    """Return a text of an answer's JSON, as ``read_text`` does.

    Raises
    ------
    UncropError
        It holds none: the error that it tells instead, or ``ProviderInvalidResponse``.
    """
    try:
        return read_text(read_object(answer.body) or {}, *way, missing=missing)
    except ProviderInvalidResponse as error:
        raise error_in(answer, vocabulary) or error from None


@dataclass(frozen=True, kw_only=True, slots=True)
class _Meaning:
    """What an answer says: the kind of error, its code, and the regular expression that found it, where known."""

    kind: type[UncropError] | None = None
    code: str | None = None
    words: str | None = None
    said: Said = field(default_factory=Said)


def _refuse(answer: Answer, meaning: _Meaning, vocabulary: Vocabulary) -> UncropError:
    wait, hints = meaning.said.retry_after, vocabulary.hints
    if wait is not None and "retry-after" not in answer.headers:
        answer = replace(answer, headers={**answer.headers, "retry-after": str(wait)})
    kind = meaning.kind or vocabulary.statuses.get(answer.status)
    hint = next((hints[key] for key in (meaning.code, meaning.words, answer.status) if key and key in hints), None)
    return refuse(answer, error=kind, code=meaning.code, hint=hint)


def _refused_by_page(answer: Answer, vocabulary: Vocabulary) -> UncropError:
    """Turn a web page into an error by its status alone; no page of the operator's server is the caller's fault."""
    otherwise = ProviderError if answer.status >= HTTPStatus.INTERNAL_SERVER_ERROR else ProviderInvalidResponse
    error = refuse(answer, error=BY_STATUS.get(answer.status, otherwise))
    error.system_message += f" and a web page: {vocabulary.page}"
    return error


def _meaning(answer: Answer, vocabulary: Vocabulary) -> _Meaning:
    """Return what is known of what an answer says: the maker's own codes and words before those of all."""
    if answer.status < 200 or 300 <= answer.status < 400:
        return _Meaning()
    said = read_said(answer.body)
    if answer.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        failure = next((code for words, code in vocabulary.failures.items() if re.search(words, said.words)), None)
        if failure is not None:
            return _Meaning(kind=vocabulary.codes[failure], code=failure, said=said)
    for codes, words in ((vocabulary.codes, vocabulary.words), (CODES, WORDS)):
        found = _by_code(said, codes) or _by_words(said, words)
        if found is not None:
            return replace(found, said=said)
    if answer.status not in {*BY_STATUS, *vocabulary.statuses}:
        found = _by_code(said, vocabulary.vague) or _by_code(said, VAGUE)
        if found is not None:
            return replace(found, said=said)
    told = kind_of_status(said.status) if answer.status < 300 and said.status is not None else None
    return _Meaning(kind=told, said=said)


def _by_code(said: Said, meanings: Meanings) -> _Meaning | None:
    found = (_Meaning(kind=kind, code=code) for code, kind in meanings.items() if plain(code) in said.codes)
    return next(found, None)


def _by_words(said: Said, meanings: Meanings) -> _Meaning | None:
    if not said.words:
        return None
    found = (_Meaning(kind=kind, words=words) for words, kind in meanings.items() if re.search(words, said.words))
    return next(found, None)
