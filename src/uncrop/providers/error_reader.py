"""The one reader of makers' errors: what an answer says becomes one error of ours, by each maker's vocabulary.

What is said comes before the status: a refusal may come with any number, 200 and 500 among them, and a number alone
often means several things. Only where nothing known is said does the status decide, see ``refusal``. Of what is said,
only codes that stand in a vocabulary are told on.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

from uncrop.errors import ProviderError, ProviderInvalidResponse, ProviderRejectedRequest, UncropError
from uncrop.providers.answers import read_object, read_text
from uncrop.providers.jobs import read_submitted
from uncrop.providers.picture import read_picture
from uncrop.providers.refusal import BY_STATUS, kind_of_status, refuse, refuse_poll
from uncrop.providers.said import Said, plain, read_said
from uncrop.providers.vocabulary import CODES, VAGUE, WORDS

if TYPE_CHECKING:
    from collections.abc import Generator

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
    kind, code, said = _meaning(answer, vocabulary)
    return None if kind is None else _refuse(answer, kind, code, said)


def refused(answer: Answer, vocabulary: Vocabulary) -> UncropError:
    """Turn an answer whose status is not that of success into an error, by what it says, else by its status."""
    kind, code, said = _meaning(answer, vocabulary)
    return _refuse(answer, kind or vocabulary.statuses.get(answer.status), code, said)


def refused_poll(answer: Answer, vocabulary: Vocabulary) -> UncropError:
    """Turn a poll's answer that is none of a job into an error.

    The request itself had been accepted: what speaks against its form, not its contents, is the provider's fault here.
    """
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
    kind, code, said = _meaning(answer, vocabulary)
    return _refuse(answer, kind or otherwise, code or status, said)


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


def _refuse(answer: Answer, kind: type[UncropError] | None, code: str | None, said: Said) -> UncropError:
    if said.retry_after is not None and "retry-after" not in answer.headers:
        answer = replace(answer, headers={**answer.headers, "retry-after": str(said.retry_after)})
    return refuse(answer, error=kind, code=code)


def _meaning(answer: Answer, vocabulary: Vocabulary) -> tuple[type[UncropError] | None, str | None, Said]:
    """Return the kind of error, and its code where one is known, both ``None`` where nothing known is said."""
    if answer.status < 200 or 300 <= answer.status < 400:
        return None, None, Said()
    said = read_said(answer.body)
    kind, code = _by_code(said, vocabulary.codes, CODES)
    kind = kind or _by_words(said, vocabulary.words, WORDS)
    if kind is None and answer.status not in {*BY_STATUS, *vocabulary.statuses}:
        kind, code = _by_code(said, vocabulary.vague, VAGUE)
    if kind is None and answer.status < 300 and said.status is not None:
        kind = kind_of_status(said.status)
    return kind, code, said


def _by_code(said: Said, *tables: Meanings) -> tuple[type[UncropError] | None, str | None]:
    found = (
        (kind, code) for table in tables for code, kind in table.items() if said.codes and plain(code) in said.codes
    )
    return next(found, (None, None))


def _by_words(said: Said, *tables: Meanings) -> type[UncropError] | None:
    if not said.words:
        return None
    return next((kind for table in tables for words, kind in table.items() if re.search(words, said.words)), None)
