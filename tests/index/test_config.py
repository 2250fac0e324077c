"""Which index is the default: pip's configuration in pip's order, then uv's."""

from pathlib import Path

import pytest

from lumienv.errors import PackageIndexError
from lumienv.index import settings as settings_of
from lumienv.index.certificates import certificate_bundle
from lumienv.index.config import default_index, index_source
from lumienv.index.credentials import Credentials
from lumienv.index.settings import PipConfiguration
from lumienv.runtime import process


@pytest.fixture
def environ(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    monkeypatch.setattr(settings_of, "SYSTEM_FILE", tmp_path / "etc-pip.conf")
    home = tmp_path / "pip-home"
    (home / ".pip").mkdir(parents=True)
    (home / ".config" / "pip").mkdir(parents=True)
    (tmp_path / "xdg" / "pip").mkdir(parents=True)
    (tmp_path / "venv").mkdir()
    return {
        "HOME": str(home),
        "XDG_CONFIG_DIRS": str(tmp_path / "xdg"),
        "VIRTUAL_ENV": str(tmp_path / "venv"),
        "PATH": "/usr/bin:/bin",
    }


def address(name: str) -> str:
    return f"https://{name}.example.org/simple"


def test_each_place_of_pips_configuration_beats_the_one_before(
    environ: dict[str, str], tmp_path: Path
) -> None:
    home = Path(environ["HOME"])
    places = {
        "site-wide": tmp_path / "xdg" / "pip" / "pip.conf",
        "system": tmp_path / "etc-pip.conf",
        "legacy": home / ".pip" / "pip.conf",
        "user": home / ".config" / "pip" / "pip.conf",
        "venv": tmp_path / "venv" / "pip.conf",
        "named": tmp_path / "named.conf",
    }
    environ["PIP_CONFIG_FILE"] = str(places["named"])
    for name, path in places.items():
        path.write_text(f"[global]\nindex-url = {address(name)}\n")
        assert default_index(environ=environ).url == address(name)
    places["legacy"].write_text(f"[install]\nindex_url = {address('section')}\n")
    assert default_index(environ=environ).url == address("section")
    environ["PIP_INDEX_URL"] = address("variable")
    assert default_index(environ=environ).url == address("variable")


def test_an_extra_index_and_find_links_do_not_count(environ: dict[str, str]) -> None:
    Path(environ["HOME"], ".config/pip/pip.conf").write_text(
        f"[global]\nextra-index-url = {address('extra')}\nfind-links = /opt/x\nindex-url =\n"
    )
    environ["PIP_EXTRA_INDEX_URL"] = address("extra")
    assert PipConfiguration(environ).get("index-url") is None


def test_no_configuration_file_is_read_when_it_is_dev_null(environ: dict[str, str]) -> None:
    environ["PIP_CONFIG_FILE"] = "/dev/null"
    assert PipConfiguration(environ).files() == []


def test_a_broken_configuration_file_is_named_and_not_quoted(environ: dict[str, str]) -> None:
    path = Path(environ["HOME"], ".config/pip/pip.conf")
    path.write_text("index-url = https://user:hidden-word@packages.example.org\n")
    with pytest.raises(PackageIndexError, match="cannot read pip's configuration") as caught:
        default_index(environ=environ)
    assert str(path) in caught.value.message
    assert "hidden-word" not in str(caught.value)


def test_the_password_of_pips_index_is_kept_apart(environ: dict[str, str]) -> None:
    environ["PIP_INDEX_URL"] = "https://user:hidden-word@packages.example.org/simple/"
    source = default_index(environ=environ)
    assert source.url == "https://packages.example.org/simple"
    assert source.credentials == Credentials("user", "hidden-word")
    assert "hidden-word" not in repr(source)


@pytest.mark.parametrize("variable", ["UV_DEFAULT_INDEX", "UV_INDEX_URL"])
def test_uvs_variables_count_when_pip_names_no_index(environ: dict[str, str], variable: str) -> None:
    environ[variable] = address("uv")
    assert PipConfiguration({**environ}).get("index-url") is None
    assert default_index(environ=environ).url == address("uv")


def test_uvs_configuration_file_is_asked_through_uv_and_cached_until_it_changes(
    environ: dict[str, str], cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = Path(environ["HOME"], ".config/uv/uv.toml")
    settings.parent.mkdir()
    asked = []
    original = process.capture

    def counting(*args: object, **options: object) -> object:
        asked.append(args)
        return original(*args, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(process, "capture", counting)
    for name in ("one", "one", "another"):
        if not settings.exists() or name not in settings.read_text():
            settings.write_text(f'[[index]]\nurl = "{address(name)}"\ndefault = true\n')
        assert default_index(cache, environ).url == address(name)
    assert len(asked) == 2


def test_uvs_answer_with_a_password_is_used_and_not_cached(environ: dict[str, str], cache: Path) -> None:
    settings = Path(environ["HOME"], ".config/uv/uv.toml")
    settings.parent.mkdir()
    settings.write_text('[[index]]\nurl = "https://u:hidden-word@uv.example.org/simple"\ndefault = true\n')
    source = default_index(cache, environ)
    assert (source.url, source.credentials) == (address("uv"), Credentials("u", "hidden-word"))
    assert not cache.exists() or not any(b"hidden-word" in p.read_bytes() for p in cache.iterdir())


def test_uvs_own_default_is_taken_when_nothing_is_configured(environ: dict[str, str], cache: Path) -> None:
    assert default_index(cache, environ).url.startswith("https://")


@pytest.mark.parametrize("text", ["this is no TOML", "deep = " + "[" * 3000])
def test_uv_that_gives_no_answer_is_said(environ: dict[str, str], text: str) -> None:
    settings = Path(environ["HOME"], ".config/uv/uv.toml")
    settings.parent.mkdir()
    settings.write_text(text)
    with pytest.raises(PackageIndexError, match="uv gives no answer"):
        default_index(None, environ)


@pytest.mark.parametrize("url", ["packages.example.org/simple", "ftp://x/simple", "", "https://", "http://["])
def test_an_address_that_is_none_is_said_without_repeating_it(url: str) -> None:
    with pytest.raises(PackageIndexError, match="index group has no usable address"):
        index_source(url, name="group")


def test_a_path_is_a_local_index() -> None:
    assert index_source("/opt/my index").url == "file:///opt/my%20index"


def test_the_ca_bundle_in_the_order_of_its_settings(environ: dict[str, str]) -> None:
    assert certificate_bundle(PipConfiguration({**environ, "PIP_CONFIG_FILE": "/dev/null"}), environ) is None
    environ["CURL_CA_BUNDLE"] = "/u.pem"
    assert certificate_bundle(PipConfiguration(environ), environ) == ("/u.pem", "CURL_CA_BUNDLE")
    environ["REQUESTS_CA_BUNDLE"] = "/r.pem"
    assert certificate_bundle(PipConfiguration(environ), environ) == ("/r.pem", "REQUESTS_CA_BUNDLE")
    environ["SSL_CERT_FILE"] = "/s.pem"
    assert certificate_bundle(PipConfiguration(environ), environ) == ("/s.pem", "SSL_CERT_FILE")
    Path(environ["HOME"], ".config/pip/pip.conf").write_text("[global]\ncert = /c.pem\n")
    found = certificate_bundle(PipConfiguration(environ), environ)
    assert found == ("/c.pem", "`cert` in pip's configuration")
    environ["PIP_CERT"] = "/p.pem"
    assert certificate_bundle(PipConfiguration(environ), environ) == ("/p.pem", "PIP_CERT")
