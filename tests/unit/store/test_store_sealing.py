from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from uncrop.store.sealing import CannotUnseal, Sealed, Sealer, key_id

OLD, NEW = "o" * 32, "n" * 32
ONE = Sealer([NEW])


@given(st.text(), st.text())
def test_what_was_sealed_is_read_again_in_its_own_place_alone(text: str, place: str) -> None:
    sealed = ONE.seal(text, belongs_to=place)

    assert ONE.unseal(sealed, belongs_to=place) == text
    with pytest.raises(CannotUnseal):
        ONE.unseal(sealed, belongs_to=f"{place}x")


def test_the_same_text_is_never_sealed_alike() -> None:
    made = {ONE.seal("key", belongs_to="org_a/x").data for _ in range(50)}
    assert len(made) == 50
    assert not any(b"key" in data for data in made)


def test_no_changed_byte_is_accepted() -> None:
    sealed = ONE.seal("a key of a provider", belongs_to="org_a/x")
    for place in range(len(sealed.data)):
        changed = bytearray(sealed.data)
        changed[place] ^= 1
        with pytest.raises(CannotUnseal, match="it is not what was encrypted"):
            ONE.unseal(replace(sealed, data=bytes(changed)), belongs_to="org_a/x")


@pytest.mark.parametrize("length", [0, 5, 12, 27])
def test_what_is_too_short_is_not_accepted(length: int) -> None:
    with pytest.raises(CannotUnseal):
        ONE.unseal(Sealed(key_id=ONE.present_id, data=bytes(length)), belongs_to="org_a/x")


def test_earlier_keys_decrypt_and_the_first_encrypts() -> None:
    before = Sealer([OLD]).seal("secret", belongs_to="p")
    both = Sealer([NEW, OLD])

    assert both.unseal(before, belongs_to="p") == "secret"
    assert both.seal("secret", belongs_to="p").key_id == both.present_id == key_id(NEW)
    assert both.ids == {key_id(NEW), key_id(OLD)}
    with pytest.raises(CannotUnseal, match="its encryption key is not known"):
        ONE.unseal(before, belongs_to="p")


def test_a_secret_that_stands_there_twice_is_one() -> None:
    assert Sealer([NEW, NEW]).ids == {key_id(NEW)}


def test_an_id_does_not_tell_the_key() -> None:
    assert len(key_id(NEW)) == 16
    assert key_id(NEW) not in NEW.encode().hex()
