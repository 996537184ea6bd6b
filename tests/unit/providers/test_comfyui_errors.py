"""ComfyUI: how jobs end without a picture, what refusals mean, and what is told of them."""

from __future__ import annotations

import pytest

from fixtures_comfyui import (
    CANARY,
    IMAGE,
    NOT_YET,
    PAGE,
    REFUSED,
    RUN,
    TAKEN,
    UPLOADED,
    comfyui,
    ended,
    everything,
    failed,
    page,
    refused,
    says,
    task,
)
from uncrop import errors
from uncrop.providers.comfyui import provider as module
from uncrop.providers.conversation import Answer
from uncrop.testing.pictures import photo_png
from uncrop.testing.workbench import talk


@pytest.fixture(autouse=True)
def _known_id(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "new_job_id", lambda: RUN)


# --- how jobs end ----------------------------------------------------------------------------------------------------

INTERRUPTED = ["execution_interrupted", {"node_id": CANARY}]
OUT_OF_MEMORY = ["execution_error", {"exception_type": "torch.OutOfMemoryError", "exception_message": CANARY}]
WRONG = ["execution_error", {"exception_type": CANARY, "traceback": [CANARY]}]


@pytest.mark.parametrize(
    ("messages", "code", "text"),
    [
        ([WRONG], "execution_error", "A node of the graph failed in ComfyUI"),
        (
            [["execution_start", {}], OUT_OF_MEMORY],
            "out_of_memory",
            "ComfyUI ran out of memory; a lower max_megapixels makes the frame smaller",
        ),
        ([["execution_start", {}], INTERRUPTED], "execution_interrupted", "The job was interrupted in ComfyUI"),
        ([], "execution_error", "A node of the graph failed in ComfyUI"),
        (["text", [CANARY], ["execution_error", CANARY]], "execution_error", "A node of the graph failed in ComfyUI"),
    ],
)
def test_jobs_end_in_our_words(messages: list[object], code: str, text: str) -> None:
    error = refused(UPLOADED, TAKEN, failed(*messages))
    assert type(error) is errors.ProviderError
    assert error.details == {"provider_status": 200, "provider_code": code}
    assert error.system_message == text


@pytest.mark.parametrize(
    ("words", "kind"),
    [
        ("Request moderated: the input was flagged as sexual", errors.ContentRejected),
        ("Payment Required: please add credits to your account", errors.ProviderQuotaExhausted),
        ("Unauthorized: please login first to use this node", errors.ProviderAuthenticationFailed),
        ("Unknown parameter: 'seed'", errors.ProviderError),
    ],
)
def test_a_node_that_calls_a_maker_itself_is_read_as_that_maker_is(words: str, kind: type[errors.UncropError]) -> None:
    message = ["execution_error", {"exception_type": "Exception", "exception_message": words}]
    error = refused(UPLOADED, TAKEN, failed(message))
    assert type(error) is kind
    assert words not in f"{error.message} {error.system_message} {error.details}"


def test_a_failure_without_messages_is_one_all_the_same() -> None:
    error = refused(UPLOADED, TAKEN, ended({}, {"status_str": "error", "messages": CANARY}))
    assert (error.details or {})["provider_code"] == "execution_error"


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        (says({"other": {}}), "tells of another job"),
        (says({RUN: "text"}), "tells of another job"),
        (ended(status={"status_str": CANARY}), "tells a status that is not known"),
        (ended(status="success"), "tells a status that is not known"),
        (says([]), "is no JSON object"),
        (page(200), f"is {PAGE}"),
        (ended({}), "names no picture"),
        (ended([]), "names no picture"),
        (ended({"picture": []}), "names no picture"),
        (ended({"picture": {"images": []}}), "names no picture"),
        (ended({"picture": {"images": IMAGE}}), "names no picture"),
        (ended({"picture": {"images": ["a.png"]}}), "names no picture"),
        (ended({"other": {"images": [IMAGE]}}), "names no picture"),
        *(
            (ended({"picture": {"images": [{**IMAGE, **wrong}]}}), "names a picture that is no file of ComfyUI's")
            for wrong in (
                {"filename": ""},
                {"filename": "../a.png"},
                {"filename": "a/b.png"},
                {"filename": "http://elsewhere.test/a.png"},
                {"filename": "a&type=input"},
                {"filename": "a" * 256},
                {"filename": "a\n.png"},
                {"subfolder": "a/../.."},
                {"subfolder": "a?b"},
                {"type": "models"},
                {"type": None},
            )
        ),
    ],
)
def test_a_history_that_tells_nothing_usable_is_no_answer(answer: Answer, text: str) -> None:
    error = refused(UPLOADED, TAKEN, answer)
    assert type(error) is errors.ProviderInvalidResponse
    assert error.system_message == f"The provider's answer {text}"


@pytest.mark.parametrize("body", [b"", photo_png(528, 672), photo_png(672, 528)[:-900]])
def test_what_is_no_whole_picture_of_the_shape_is_no_answer(body: bytes) -> None:
    assert isinstance(refused(UPLOADED, TAKEN, ended(), Answer(status=200, body=body)), errors.ProviderInvalidResponse)


# --- refusals --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "kind", "text"),
    [
        (says({}, 400), errors.ProviderRejectedRequest, "The provider answered with status 400"),
        (says({}, 413), errors.ProviderRejectedRequest, "The provider answered with status 413"),
        (says({}, 500), errors.ProviderError, "The provider answered with status 500"),
        (
            says({"name": 7, "subfolder": ""}),
            errors.ProviderInvalidResponse,
            "The provider's answer names no uploaded file",
        ),
        (says({"name": "a.png"}), errors.ProviderInvalidResponse, "The provider's answer names no uploaded file"),
        (
            page(200),
            errors.ProviderInvalidResponse,
            f"The provider's answer is {PAGE}",
        ),
        *(
            (
                page(status),
                kind,
                f"The provider answered with status {status} and {PAGE}",
            )
            for status, kind in (
                (400, errors.ProviderInvalidResponse),
                (401, errors.ProviderAuthenticationFailed),
                (404, errors.ProviderError),
                (405, errors.ProviderError),
                (422, errors.ProviderInvalidResponse),
                (502, errors.ProviderError),
            )
        ),
    ],
)
def test_an_upload_that_is_refused_goes_by_its_status_and_a_page_is_told(
    answer: Answer, kind: type[errors.UncropError], text: str
) -> None:
    error = refused(answer)
    assert type(error) is kind
    assert error.system_message == text


def test_every_page_that_is_no_request_of_the_callers_is_a_bad_gateway() -> None:
    assert {
        refused(page(status)).status for status in (200, 302, 400, 401, 403, 404, 405, 413, 422, 500, 502, 503)
    } == {502}


def test_a_page_is_known_by_its_beginning_too() -> None:
    error = refused(Answer(status=404, body=b"\n <!DOCTYPE html>"))
    assert error.system_message.endswith("may not be that of ComfyUI's server")


@pytest.mark.parametrize(
    "answer",
    [says({"number": 1}), says({"prompt_id": "../../x"}), says({"prompt_id": 7}), says({"prompt_id": ""})],
)
def test_a_submit_that_names_no_run_is_no_answer(answer: Answer) -> None:
    error = refused(UPLOADED, answer)
    assert type(error) is errors.ProviderInvalidResponse
    assert error.system_message == "The provider's answer names no job"


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (says({}, 404), errors.ProviderError),
        (says({}, 429), errors.ProviderRateLimited),
        (says({}, 403), errors.ProviderAuthenticationFailed),
        (page(502), errors.ProviderError),
        (page(302), errors.ProviderInvalidResponse),
    ],
)
def test_a_look_that_is_refused_goes_by_its_status(answer: Answer, kind: type[errors.UncropError]) -> None:
    for looks in ([answer], [NOT_YET, answer]):
        assert type(refused(UPLOADED, TAKEN, *looks)) is kind


# --- graphs that are refused -----------------------------------------------------------------------------------------


def graph_refused(answer: Answer, looked: Answer) -> errors.UncropError:
    with pytest.raises(errors.UncropError) as found:
        talk(comfyui(), task(), UPLOADED, answer, looked)
    assert CANARY not in f"{found.value.message} {found.value.system_message} {found.value.details}"
    return found.value


def validation(node_errors: object = None, kind: object = "prompt_outputs_failed_validation") -> Answer:
    return says({"error": {"type": kind, "message": CANARY}, "node_errors": node_errors}, 400)


def test_a_graph_that_is_refused_is_told_to_the_operator_with_what_is_missing() -> None:
    error = graph_refused(validation(), says({"LoadImage": {}}))
    assert type(error) is errors.ProviderNotConfigured
    assert error.details == {"provider_status": 400, "provider_code": "prompt_outputs_failed_validation"}
    assert error.system_message.startswith(
        "ComfyUI does not have the node UNETLoader; the node DifferentialDiffusion; "
    )


@pytest.mark.parametrize(
    ("node_errors", "text"),
    [
        (
            {
                "sampler": {"errors": [{"type": "value_smaller_than_min"}, {"type": CANARY}, {"type": 7}, "text"]},
                "vae": {"errors": [{"type": "value_not_in_list"}, {"type": "required_input_missing"}]},
                CANARY: {"errors": [{"type": "value_not_in_list"}]},
                "clip": {"errors": CANARY},
                "model": CANARY,
            },
            f"{REFUSED}: KSampler: value_smaller_than_min; VAELoader: required_input_missing, value_not_in_list",
        ),
        ({}, REFUSED),
        ([CANARY], REFUSED),
    ],
)
def test_where_nothing_is_missing_the_nodes_are_told(node_errors: object, text: str) -> None:
    error = graph_refused(validation(node_errors), everything())
    assert type(error) is errors.ProviderNotConfigured
    assert error.system_message == text


@pytest.mark.parametrize("looked", [page(404), says({}, 500), says([])])
def test_where_comfyui_does_not_tell_what_it_has_the_refusal_stands(looked: Answer) -> None:
    assert graph_refused(validation(), looked).system_message == "ComfyUI refuses the graph"


@pytest.mark.parametrize("answer", [validation(kind=CANARY), validation(kind=7), says({"error": CANARY}, 400)])
def test_what_is_not_about_the_graph_is_a_refusal_like_any_other(answer: Answer) -> None:
    assert type(refused(UPLOADED, answer)) is errors.ProviderRejectedRequest
