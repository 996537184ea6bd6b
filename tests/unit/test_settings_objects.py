"""Where results are kept, by the settings and by the variables that all programs share for a bucket."""

from __future__ import annotations

from pathlib import Path

import pytest

from uncrop.errors import SettingsError
from uncrop.objects.place import BucketPlace, FolderPlace
from uncrop.settings import Settings, load

VARIABLES = ("ACCESS_KEY_ID", "SECRET_ACCESS_KEY", "SESSION_TOKEN", "REGION", "DEFAULT_REGION", "ENDPOINT_URL")


@pytest.fixture(autouse=True)
def _bare(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (*VARIABLES, "ENDPOINT_URL_S3"):
        monkeypatch.delenv(f"AWS_{name}", raising=False)


def settings(url: str = "", folder: str = "/data") -> Settings:
    return load(rows={}, data_dir=Path(folder), objects_url=url, _env_file=None)


def test_a_folder_of_the_data_folder() -> None:
    assert settings().objects_place("answers") == FolderPlace(folder=Path("/data/objects/answers"))


@pytest.mark.parametrize(
    ("url", "bucket", "prefix"),
    [
        ("s3://results", "results", "answers"),
        ("s3://results/", "results", "answers"),
        ("s3://my.results-1/a/b_c/", "my.results-1", "a/b_c/answers"),
    ],
)
def test_a_bucket(url: str, bucket: str, prefix: str) -> None:
    assert settings(url).objects_place("answers") == BucketPlace(bucket=bucket, prefix=prefix)


def test_a_buckets_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    values = {
        "AWS_ACCESS_KEY_ID": "AKIA",
        "AWS_SECRET_ACCESS_KEY": "canary",
        "AWS_SESSION_TOKEN": "token",
        "AWS_DEFAULT_REGION": "eu-2",
        "AWS_REGION": "eu-1",
        "AWS_ENDPOINT_URL": "https://all.example",
        "AWS_ENDPOINT_URL_S3": "http://127.0.0.1:9000/",
    }
    for name, value in values.items():
        monkeypatch.setenv(name, value)
    place = settings("s3://results").objects_place("x")
    assert place == BucketPlace(
        bucket="results",
        prefix="x",
        endpoint="http://127.0.0.1:9000/",
        region="eu-1",
        access_key_id="AKIA",
        secret_access_key="canary",
        session_token="token",
    )
    assert "canary" not in repr(place)


@pytest.mark.parametrize(
    "url",
    [
        "results",
        "s3://",
        "s3://ab",
        "s3:///prefix",
        "s3://Results",
        "s3://results/a b",
        "s3://results/%41",
        "gs://results",
    ],
)
def test_what_names_no_bucket(url: str) -> None:
    with pytest.raises(SettingsError, match="UNCROP_OBJECTS_URL: must be s3://bucket"):
        settings(url)


@pytest.mark.parametrize("name", ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"])
def test_half_a_pair_of_keys(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(name, "canary")
    assert settings().objects_place("x"), "a folder needs none"
    with pytest.raises(SettingsError, match="one is set, the other is missing") as caught:
        settings("s3://results").objects_place("x")
    assert "canary" not in str(caught.value)


@pytest.mark.parametrize("address", ["127.0.0.1:9000", "ftp://a", "https://user:canary@a", "https://a/path"])
def test_an_address_that_is_none(monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", address)
    with pytest.raises(SettingsError, match="AWS_ENDPOINT_URL: must be") as caught:
        settings("s3://results").objects_place("x")
    assert "canary" not in str(caught.value)
