"""Makers with price and sentence, their fields, the quote under the button, and the key."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import httpx2
from playwright.sync_api import expect

from browser.visit import Visit
from fixtures_server import ORGANIZATION

if TYPE_CHECKING:
    from playwright.sync_api import Route

    from browser.visit import House


def choose_maker(page: Visit, name: str) -> None:
    page.find(f"[name=maker][value={name}]").check(force=True)
    page.quoted()


# --- makers ----------------------------------------------------------------------------------------------------------


def test_only_configured_makers_are_offered_each_with_price_and_sentence(
    visit: Callable[..., Visit], house: House
) -> None:
    page = visit()
    rows = [row for row in httpx2.get(f"{house.server.url}/api/v1/providers").json()["providers"] if row["configured"]]
    assert {row["name"] for row in rows} == {"local", "clipdrop", "stability", "sdapi"}
    shown = page.find(".maker").all()
    assert len(shown) == len(rows)
    for row in rows:
        card = page.find(f".maker:has([value={row['name']}])")
        expect(card).to_contain_text(row["title"])
        expect(card).to_contain_text(row["sentence"])
        expect(card.locator(".price")).to_contain_text("credit" if row["bills"] else "Free")
    # What costs nothing comes first, and is chosen.
    expect(page.find("[name=maker]").first).to_be_checked()
    assert [bool(card.locator(".free").count()) for card in shown] == [True, True, False, False]


def test_the_fields_are_those_of_the_row(visit: Callable[..., Visit], house: House) -> None:
    page = visit()
    for row in httpx2.get(f"{house.server.url}/api/v1/providers").json()["providers"]:
        if row["configured"]:
            check_fields(page, row)


def check_fields(page: Visit, maker: dict[str, Any]) -> None:
    choose_maker(page, maker["name"])
    fields = {row["name"]: row for row in maker["fields"]}
    shown = {each.get_attribute("name"): each for each in page.find("#fields [name]").all()}
    assert set(shown) == set(fields) - {"mask_file", "confidence_map", "size"}
    for field, control in shown.items():
        row = fields[str(field)]
        expect(page.find(f"#help-{field}")).to_have_text(row["help"])
        if "maximum" in row:
            assert control.get_attribute("max") == str(row["maximum"])
        if "choices" in row:
            assert control.locator("option").count() == len(row["choices"])
            expect(control).to_have_value(row["default"])


# --- the quote -------------------------------------------------------------------------------------------------------


def test_the_quote_stands_under_the_button_and_follows_what_is_set(visit: Callable[..., Visit]) -> None:
    page = visit()
    expect(page.find("#extend")).to_be_disabled()
    page.choose()
    expect(page.find("#quote")).to_contain_text("Free · 128 × 72")
    choose_maker(page, "stability")
    expect(page.find("#quote")).to_contain_text("4 credits · 128 × 72")
    page.find("#field-variations").select_option("3")
    expect(page.find("#quote")).to_contain_text("12 credits")


def test_what_a_maker_cannot_do_is_told_before_it_is_sent(visit: Callable[..., Visit]) -> None:
    page = visit()
    page.choose()
    choose_maker(page, "clipdrop")
    page.page.fill("[name=seed]", "100001")
    expect(page.find("#quote")).to_contain_text("seed must be between 0 and 100000")
    expect(page.find("#extend")).to_be_disabled()
    page.page.fill("[name=seed]", "7")
    expect(page.find("#quote")).to_contain_text("1 credit")
    expect(page.find("#extend")).to_be_enabled()
    page.page.fill("[name=right]", "2500")
    expect(page.find("#allow-calls")).to_be_visible()
    page.page.click("#allow-calls")
    expect(page.find("#quote")).to_contain_text("2 calls")
    expect(page.find("#extend")).to_be_enabled()


def test_too_many_questions_are_no_reason_not_to_extend(visit: Callable[..., Visit]) -> None:
    page = visit()
    page.expected = "429"

    def refuse(route: Route) -> None:
        error = {"code": "RATE_LIMIT_EXCEEDED", "message": "Too many requests; try again later"}
        route.fulfill(status=429, json={"success": False, "error": error})

    page.page.route("**/quote", refuse)
    page.choose()
    expect(page.find("#quote")).to_contain_text("in a moment")
    expect(page.find("#extend")).to_be_enabled()
    expect(page.find("#error")).to_be_empty()


# --- the key ---------------------------------------------------------------------------------------------------------


def test_with_a_key_in_the_address_nothing_is_asked_and_it_does_not_stay_there(
    visit: Callable[..., Visit], house: House
) -> None:
    page = visit()
    expect(page.find("#key-panel")).to_be_hidden()
    assert page.page.url == f"{house.server.url}/"
    page.page.reload()
    expect(page.find("#key-panel")).to_be_hidden()


def test_without_a_key_it_is_the_first_thing_and_a_wrong_one_is_marked(
    visit: Callable[..., Visit], house: House
) -> None:
    page = visit(address=house.server.url)
    page.expected = "401|403"
    expect(page.find("#organization")).to_be_focused()
    first, stage = page.find("#key-panel").bounding_box(), page.find("#stage").bounding_box()
    assert first is not None
    assert stage is not None
    assert first["y"] < stage["y"]
    page.page.keyboard.press("Enter")
    expect(page.find("#key-error")).to_have_text("The organization is missing.")
    page.page.fill("#organization", ORGANIZATION)
    page.page.fill("#key", "wrong")
    page.page.keyboard.press("Enter")
    expect(page.find("#key")).to_have_attribute("aria-invalid", "true")
    expect(page.find("#key")).to_be_focused()
    expect(page.find("#key-error")).not_to_be_empty()
    page.page.fill("#key", house.server.key)
    page.page.fill("#organization", "org_another")
    page.page.keyboard.press("Enter")
    expect(page.find("#organization")).to_have_attribute("aria-invalid", "true")
    expect(page.find("#key")).to_have_attribute("aria-invalid", "false")
    page.page.fill("#organization", ORGANIZATION)
    page.page.keyboard.press("Enter")
    expect(page.find("#key-panel")).to_be_hidden()
    expect(page.find("#choose")).to_be_focused()
    page.choose()
    expect(page.find("#extend")).to_be_enabled()


def test_a_key_that_is_revoked_is_asked_for_anew_and_nothing_is_lost(visit: Callable[..., Visit], house: House) -> None:
    made = house.server.new_key()
    page = visit(address=f"{house.server.url}/#organization={ORGANIZATION}&key={made.key}")
    page.expected = "401"
    page.choose()
    page.page.fill("[name=right]", "40")
    page.quoted()
    house.server.server.do(house.server.server.service.store.keys.revoke(made.id))
    page.page.click("#extend")
    expect(page.find("#key")).to_have_attribute("aria-invalid", "true")
    expect(page.find("#key-error")).to_contain_text("deactivated")
    assert page.sides() == (16, 40, 0, 0)
    page.page.fill("#key", house.server.key)
    page.page.keyboard.press("Enter")
    expect(page.find("#extend")).to_be_focused()
    page.make()
