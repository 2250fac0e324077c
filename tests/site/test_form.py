"""What may stand in a site file, who may add to it, and what is said of a mistake."""

import json
import tomllib
from pathlib import Path

import pytest

from lumienv.errors import ManifestError
from lumienv.site import Setting, Site, SiteBind, load_site
from lumienv.site.form import check_site
from lumienv.site.presets import preset_named, shipped_presets

SHIPPED = [
    Path(load_site.__code__.co_filename).parent / f"{name}.toml" for name in ("lumi", "generic", "presets")
]


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_the_sites_that_come_with_lumienv_have_the_form_of_one(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    check_site(tomllib.loads(text), path, text)


def entries() -> list[tuple[str, dict[str, object]]]:
    """Each fact of LUMI's: (where it stands, its table)."""
    lumi, _, general = (tomllib.loads(path.read_text(encoding="utf-8")) for path in SHIPPED)
    found = []
    for key in ("bind", "family", "set"):
        found += [(f"{key} {entry}", entry) for entry in lumi[key]]
    for data in (lumi, general):
        for name, preset in data["preset"].items():
            found += [(f"{name} {entry}", entry) for entry in (*preset["set"], *preset.get("srun", []))]
    found += [(key, lumi[key]) for key in ("images", "cache", "login", "scratch", "slurm", "limits")]
    return [(where, entry) for where, entry in found if entry.get("value") is not False]


@pytest.mark.parametrize(("where", "entry"), entries())
def test_each_fact_of_a_site_has_its_source(where: str, entry: dict[str, object]) -> None:
    assert str(entry.get("source", "")), where


def test_a_family_that_an_entry_names_is_one() -> None:
    site = load_site({"LUMIENV_SITE": "lumi", "HOME": "/home/ada"})
    known = {family.name for family in site.families}
    settings = [*site.settings, *(one for preset in site.presets.values() for one in preset.settings)]
    named = {name for entry in (*settings, *site.binds) for name in entry.families}
    assert named == known


@pytest.mark.parametrize(
    ("prefix", "family"),
    [
        ("/opt/miniconda3/envs/pytorch", "amd"),
        ("/opt/miniconda3", "amd"),
        ("/opt/venv", "laif"),
        ("/opt/venvironment", ""),
        ("/opt/cotainr/conda/envs/conda_container_env", ""),
        ("/usr", ""),
        ("", ""),
    ],
)
def test_the_family_of_an_image_is_told_by_where_its_python_lies(prefix: str, family: str) -> None:
    assert load_site({"LUMIENV_SITE": "lumi", "HOME": "/home/ada"}).family_of(prefix) == family


# -- the user's own file ---------------------------------------------------------------------------------


def loaded(folder: Path, own: str, site: str = "") -> Site:
    """The site with the user's file."""
    (folder / "site.toml").write_text(site or 'name = "here"\n', encoding="utf-8")
    config = folder / "config" / "lumienv"
    config.mkdir(parents=True, exist_ok=True)
    (config / "site.toml").write_text(own, encoding="utf-8")
    places = {"XDG_CONFIG_HOME": str(folder / "config"), "HOME": str(folder / "home")}
    return load_site({"LUMIENV_SITE": str(folder / "site.toml"), **places})


def test_a_user_adds_binds_folders_variables_and_presets_to_whatever_site_it_is(tmp_path: Path) -> None:
    site = loaded(
        tmp_path,
        """
        [images]
        folders = ["/mine"]
        [[bind]]
        path = "/data"
        source = "our group"
        [[set]]
        name = "HF_HOME"
        value = "/data/hf"
        [preset.ours]
        set = [{ name = "A", value = 1 }]
        """,
        'name = "here"\n[images]\nfolders = ["/site"]\n[[bind]]\npath = "/scratch"\n'
        '[[set]]\nname = "B"\nvalue = "2"\n'
        '[preset.theirs]\nset = [{ name = "A", value = "x" }]\n',
    )
    assert site.name == "here"
    assert site.image_folders == (Path("/site"), Path("/mine"))
    assert site.binds == (SiteBind("/scratch"), SiteBind("/data", source="our group"))
    assert site.settings == (Setting("B", "2"), Setting("HF_HOME", "/data/hf"))
    assert set(site.presets) == {"theirs", "ours"}
    assert site.presets["ours"].settings == (Setting("A", "1"),)


def test_a_users_preset_replaces_the_one_of_that_name_and_plain_facts_override(tmp_path: Path) -> None:
    site = loaded(
        tmp_path,
        '[preset.theirs]\nabout = "mine"\n[scratch]\nfolder = "/c"\n[limits]\nloop-devices = 8\n',
        '[preset.theirs]\nset = [{ name = "A", value = "x" }]\n[scratch]\nfolder = "/s"\nsource = "a"\n',
    )
    assert (site.presets["theirs"].about, site.presets["theirs"].settings) == ("mine", ())
    assert site.node_local == Path("/c")
    assert site.loop_devices == 8


def test_a_users_preset_goes_before_one_that_every_site_has(tmp_path: Path) -> None:
    site = loaded(tmp_path, '[preset.torch-srun]\nabout = "mine"\n')
    assert preset_named(site, {}, "torch-srun").about == "mine"
    assert preset_named(site, shipped_presets(), "torch-srun").about != "mine"


def test_the_users_file_is_looked_for_in_the_home_directory(tmp_path: Path) -> None:
    folder = tmp_path / ".config" / "lumienv"
    folder.mkdir(parents=True)
    (folder / "site.toml").write_text('[[bind]]\npath = "/data"\n')
    site = load_site({"LUMIENV_SITE": "generic", "HOME": str(tmp_path)})
    assert site.binds == (SiteBind("/data"),)


def test_a_site_without_a_name_keeps_that_of_its_file(tmp_path: Path) -> None:
    (tmp_path / "theirs.toml").write_text("")
    (tmp_path / "lumienv").mkdir()
    (tmp_path / "lumienv" / "site.toml").write_text('[[bind]]\npath = "/data"\n')
    environ = {"LUMIENV_SITE": str(tmp_path / "theirs.toml"), "XDG_CONFIG_HOME": str(tmp_path)}
    assert load_site(environ).name == "theirs"


def test_a_users_file_cannot_say_which_site_it_is(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match="name says which site this is") as caught:
        loaded(tmp_path, 'name = "mine"\n')
    assert "LUMIENV_SITE=" in (caught.value.hint or "")


# -- mistakes --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "said", "way_out"),
    [
        ('[[bind]]\npaht = "/a"\n', r"site\.toml:1: bind has an entry without path", "mend"),
        (
            '[[bind]]\npath = "/a"\nfamilie = "amd"\n',
            r"site\.toml:3: bind\.familie is not a key",
            "families?",
        ),
        ("[imagse]\nfolders = []\n", r"site\.toml:1: imagse is not a key", "images?"),
        ('[images]\nfolders = "/a"\n', r"site\.toml:2: images\.folders takes a list of texts", "mend"),
        (
            '[limits]\nloop-devices = "8"\n',
            r"site\.toml:2: limits\.loop-devices takes a number above 0",
            "mend",
        ),
        ('[bind]\npath = "/a"\n', r"site\.toml:1: bind is a list of tables: write \[\[bind\]\]", "mend"),
        ('[[set]]\nname = "A B"\nvalue = "1"\n', r"site\.toml:2: set\.name is A B, which no shell", "mend"),
        ('[[set]]\nname = "A"\nvalue = true\n', r"site\.toml:\d: set\.value takes text or a number", "mend"),
        (
            '[[set]]\nname = "A"\nvalue = "{first-nod}"\n',
            r"set\.value of A has \{first-nod\}, which nothing fills",
            "{first-node}?",
        ),
        (
            '[preset.p]\nset = [{ name = "A", value = "1", when = "whole-nod" }]\n',
            r"site\.toml:2: preset\.p\.set\.when names whole-nod, which is no condition",
            "whole-node?",
        ),
        (
            '[preset.p]\nsrun = [{ option = "--hint", value = "x y" }, { option = "a=b", value = 1 }]\n',
            r"preset\.p\.srun\.option is a=b",
            "mend",
        ),
        (
            '[preset.p]\nsrun = [{ option = "ntasks", value = "{first-node}" }]\n',
            r"preset\.p\.srun\.value of ntasks has \{first-node\}",
            "these are filled: nodes",
        ),
        ("[preset.p]\ngpu = true\n", r"site\.toml:2: preset\.p\.gpu is not a key", "gpus?"),
        ('preset = "p"\n', r"site\.toml:1: preset must be a table", "mend"),
    ],
)
def test_a_mistake_in_a_site_file_names_file_line_and_entry(
    tmp_path: Path, text: str, said: str, way_out: str
) -> None:
    for site, own in ((text, ""), ("", text)):
        with pytest.raises(ManifestError, match=said) as caught:
            loaded(tmp_path, own, site)
        assert way_out in (caught.value.hint or "")


def test_a_file_that_is_no_toml_names_itself(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match=r"site\.toml is not valid TOML") as caught:
        loaded(tmp_path, "[[bind]\n")
    assert "lumi.toml" in (caught.value.hint or "")


def test_a_value_may_hold_any_text(tmp_path: Path) -> None:
    text = "a\"b'c\\d $(id)"
    site = loaded(tmp_path, f"[[set]]\nname = 'A'\nvalue = {json.dumps(text)}\n")
    assert site.settings == (Setting("A", text),)
