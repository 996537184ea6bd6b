import pickle
from collections import Counter

import pytest

from uncrop import errors
from uncrop.server import http_errors


def leaves(of: type[errors.UncropError]) -> list[type[errors.UncropError]]:
    children = of.__subclasses__()
    return [leaf for child in children for leaf in leaves(child)] if children else [of]


ON_THE_WIRE = [of for of in leaves(errors.UncropError) if of is not errors.SettingsError]


def test_every_code_stands_for_one_class() -> None:
    assert [code for code, count in Counter(of.code for of in ON_THE_WIRE).items() if count > 1] == []


@pytest.mark.parametrize("of", ON_THE_WIRE, ids=lambda of: of.code)
def test_the_tree_in_the_docstring_shows_every_class_with_its_code(of: type[errors.UncropError]) -> None:
    lines = [line for line in f"{errors.__doc__}{http_errors.__doc__}".splitlines() if f" {of.__name__} " in line]
    assert len(lines) == 1
    assert of.code in lines[0]


@pytest.mark.parametrize("of", ON_THE_WIRE, ids=lambda of: of.code)
def test_client_errors_are_4xx_and_server_errors_5xx(of: type[errors.UncropError]) -> None:
    expected = "client_error" if of.status < 500 else "server_error"
    assert of.type == expected
    assert issubclass(of, errors.CallerError) == (of.status < 500)


def test_an_error_carries_two_texts_and_its_details() -> None:
    error = errors.ImageTooLarge("Too large", details={"max_allowed": 3}, system_message="30 > 3", retry_after=1.5)
    assert str(error) == "Too large"
    assert error.details == {"max_allowed": 3}
    assert error.system_message == "30 > 3"
    assert error.retry_after == 1.5
    assert isinstance(error, ValueError)


def test_without_texts_the_class_speaks() -> None:
    error = errors.MaskRequired()
    assert error.message == error.system_message == "This provider requires mask for this operation"
    assert error.details is None


def test_a_providers_limit_always_says_when_to_come_back() -> None:
    assert errors.ProviderRateLimited().retry_after == 60
    assert errors.ProviderRateLimited(retry_after=7).retry_after == 7
    assert errors.ProviderError().retry_after is None


def test_a_limit_of_ours_carries_where_one_stands() -> None:
    state = errors.RateLimitState(limit=3, remaining=0, reset=1_800_000_000)
    error = errors.RateLimitExceeded(details={"limit": 3}, retry_after=5, state=state)
    assert (error.state, error.details, error.retry_after) == (state, {"limit": 3}, 5)
    assert errors.RateLimitExceeded().state is None


def test_settings_errors_hold_a_line_each() -> None:
    error = errors.SettingsError(["A: wrong", "B: missing"])
    assert error.problems == ["A: wrong", "B: missing"]
    assert str(error) == "A: wrong; B: missing"


def _example(of: type[errors.UncropError]) -> errors.UncropError:
    if issubclass(of, errors.SettingsError):
        return of(["UNCROP_A: wrong", "UNCROP_B: missing"])
    return of("A text", details={"most": 3}, system_message="30 > 3", retry_after=1.5)


@pytest.mark.parametrize("of", [*ON_THE_WIRE, errors.SettingsError], ids=lambda of: of.__name__)
def test_an_error_comes_whole_out_of_another_process(of: type[errors.UncropError]) -> None:
    sent = _example(of)
    sent.charged = True
    come = pickle.loads(pickle.dumps(sent))
    assert type(come) is of
    assert (str(come), vars(come)) == (str(sent), vars(sent))
