"""Which files go with a policy file: found by `include` and `--config`, in an order, each once."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from rotator.cli import exits, policy_files
from rotator.cli.failures import Failure
from rotator.errors import PolicyError
from rotator.policy.file.document import MOST_BYTES
from rotator.policy.load import MOST_FILES

HEAD = """\
version: 1
vault: {auth: {token: {env: T}}}
providers: {asr: {type: deepgram, project_id: p-1, credential: {env: K}}}
defaults: {provider: asr, select: {comment: "*"}}
"""


def main_in(folder: Path, *include: str) -> Path:
    main = folder / "config.yaml"
    main.write_text(f"{HEAD}include: {list(include)}\n" if include else f"{HEAD}policies: []\n")
    return main


def put(path: Path, *names: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"policies: [{', '.join(f'{{name: {name}}}' for name in names or (path.stem,))}]\n")
    return path


def names_of(main: Path, *further: Path) -> list[str]:
    return [policy.name for policy in policy_files.read(main, further).load().policies]


def told_of(main: Path, *further: Path) -> list[str]:
    with pytest.raises(PolicyError) as caught:
        names_of(main, *further)
    return [str(problem).replace(f"{main.parent}/", "") for problem in caught.value.problems]


def test_a_glob_takes_files_in_the_order_of_their_names(tmp_path: Path) -> None:
    for name in ("20-b", "10-c", "30-a", "other"):
        put(tmp_path / "p.d" / f"{name}.yaml")
    (tmp_path / "p.d" / "readme.md").write_text("no policy")
    assert names_of(main_in(tmp_path, "p.d/[0-9]*.yaml")) == ["10-c", "20-b", "30-a"]
    assert names_of(main_in(tmp_path, "p.d/other.yaml", "p.d/*.yaml")) == ["other", "10-c", "20-b", "30-a"]


def test_a_glob_may_stand_for_folders_too(tmp_path: Path) -> None:
    put(tmp_path / "teams" / "b" / "policies.yaml", "b")
    put(tmp_path / "teams" / "a" / "policies.yaml", "a")
    (tmp_path / "teams" / "readme").touch()
    assert names_of(main_in(tmp_path, "teams/*/policies.yaml")) == ["a", "b"]


def test_what_is_hidden_is_taken_only_when_it_is_named(tmp_path: Path) -> None:
    put(tmp_path / "p.d" / "a.yaml")
    for name in (".a.yaml", ".#a.yaml", "a.yaml~", "#a.yaml#"):
        (tmp_path / "p.d" / name).write_text("no policy: [")
    put(tmp_path / "p.d" / ".b.yaml", "b")
    assert names_of(main_in(tmp_path, "p.d/*.yaml")) == ["a"]
    assert names_of(main_in(tmp_path, "p.d/.b*")) == ["b"]


def test_folders_that_kubernetes_links_to_are_followed_once(tmp_path: Path) -> None:
    folder = tmp_path / "p.d"
    put(folder / "..2026_01" / "a.yaml", "old")
    put(folder / "..2026_02" / "a.yaml", "new")
    (folder / "..data").symlink_to("..2026_01")
    (folder / "a.yaml").symlink_to("..data/a.yaml")
    main = main_in(tmp_path, "p.d/*")
    assert names_of(main) == ["old"]

    (folder / "..data_tmp").symlink_to("..2026_02")
    (folder / "..data_tmp").rename(folder / "..data")
    assert names_of(main) == ["new"]


def test_a_glob_may_match_nothing_a_path_may_not(tmp_path: Path) -> None:
    (tmp_path / "p.d").mkdir()
    assert names_of(main_in(tmp_path, "p.d/*.yaml")) == []
    assert told_of(main_in(tmp_path, "p.d/a.yaml")) == [
        "p.d/a.yaml: can't be read: No such file or directory"
    ]


def test_a_folder_that_can_not_be_looked_through_is_told(tmp_path: Path) -> None:
    """Not to see any policy there would let its keys expire in silence."""
    do = "see that the folder is there, or take it out of `include`"
    assert told_of(main_in(tmp_path, "p.d/*.yaml")) == [
        f"p.d: can't be read: No such file or directory; {do}"
    ]
    (tmp_path / "p.d").touch()
    assert told_of(main_in(tmp_path, "p.d/*.yaml")) == [f"p.d: can't be read: Not a directory; {do}"]


def test_each_file_is_read_once_and_the_policy_file_never_as_another(tmp_path: Path) -> None:
    large = put(tmp_path / "a.yaml")
    large.write_text(large.read_text() + "#" * (MOST_BYTES // 2))
    assert names_of(main_in(tmp_path, "*.yaml", "a.yaml"), tmp_path / "a.yaml") == ["a"]


def test_further_files_come_after_those_that_are_included(tmp_path: Path) -> None:
    put(tmp_path / "p.d" / "z.yaml")
    further = [put(tmp_path / "elsewhere" / name) for name in ("b.yaml", "a.yaml")]
    assert names_of(main_in(tmp_path, "p.d/*"), *further) == ["z", "b", "a"]
    assert told_of(main_in(tmp_path), tmp_path / "none.yaml") == [
        "none.yaml: can't be read: No such file or directory"
    ]


def test_what_is_no_file_of_text_is_told(tmp_path: Path) -> None:
    folder = tmp_path / "p.d"
    (folder / "a.yaml").mkdir(parents=True)
    os.mkfifo(folder / "b.yaml")
    (folder / "c.yaml").symlink_to("c.yaml")
    (folder / "d.yaml").symlink_to("nowhere")
    (folder / "e.yaml").symlink_to("/dev/zero")
    assert told_of(main_in(tmp_path, "p.d/*")) == [
        "p.d/a.yaml: can't be read: it is not a regular file",
        "p.d/b.yaml: can't be read: it is not a regular file",
        "p.d/c.yaml: can't be read: Too many levels of symbolic links",
        "p.d/d.yaml: can't be read: No such file or directory",
        "p.d/e.yaml: can't be read: it is not a regular file",
    ]


def test_all_files_together_are_of_a_bounded_size(tmp_path: Path) -> None:
    for name in ("a", "b"):
        file = put(tmp_path / "p.d" / f"{name}.yaml")
        file.write_text(file.read_text() + "#" * (MOST_BYTES // 2))
    (tmp_path / "p.d" / "c.yaml").touch()
    os.truncate(tmp_path / "p.d" / "c.yaml", MOST_BYTES + 1)
    told = told_of(main_in(tmp_path, "p.d/*"))
    assert told == [
        "p.d/b.yaml: can't be read: it and the files before it are larger than 10 MiB",
        "p.d/c.yaml: can't be read: it is larger than 10 MiB",
    ]


def test_there_are_so_many_files_at_most(tmp_path: Path) -> None:
    for number in range(MOST_FILES + 5):
        put(tmp_path / "p.d" / f"{number:04}.yaml")
    told = told_of(main_in(tmp_path, "p.d/*"))
    assert told == [f"p.d/{MOST_FILES}.yaml: can't be read: more than 1000 files are included"]


def test_a_policy_file_that_can_not_be_read_is_a_failure_of_its_own(tmp_path: Path) -> None:
    with pytest.raises(Failure) as caught:
        policy_files.read(tmp_path / "none.yaml", ())
    assert (caught.value.status, caught.value.why) == (exits.BAD_POLICY, "No such file or directory")


@pytest.mark.promise("P7")
def test_a_file_that_every_user_can_write_is_not_used(tmp_path: Path) -> None:
    """Whoever writes a policy file chooses which files and variables are sent to which address."""
    main = main_in(tmp_path, "p.d/*.yaml")
    included = put(tmp_path / "p.d" / "a.yaml")
    assert names_of(main) == ["a"]
    included.chmod(0o646)
    (told,) = told_of(main)
    assert told.startswith("p.d/a.yaml: can't be read: every user of this machine can change it")
    included.chmod(0o664)
    main.chmod(0o666)
    with pytest.raises(Failure) as caught:
        names_of(main)
    assert caught.value.status == exits.BAD_POLICY
    assert caught.value.cure == f"take that right from them: chmod o-w {main}"
    main.chmod(0o664)
    assert names_of(main) == ["a"]


@pytest.mark.promise("P7")
def test_a_file_in_a_folder_that_every_user_can_write_into_is_not_used(tmp_path: Path) -> None:
    put(tmp_path / "etc" / "p.d" / "a.yaml")
    main = main_in(tmp_path / "etc", "p.d/*.yaml")
    (tmp_path / "etc" / "p.d").chmod(0o777)
    (told,) = told_of(main)
    assert told.startswith("p.d/a.yaml: can't be read: every user of this machine can change it")
    (tmp_path / "etc" / "p.d").chmod(0o1777)
    assert names_of(main) == ["a"]
    (tmp_path / "etc").chmod(0o777)
    with pytest.raises(Failure) as caught:
        names_of(main)
    assert caught.value.cure == f"take that right from them: chmod o-w {tmp_path / 'etc'}"


def test_a_policy_file_that_stayed_the_same_is_not_parsed_again(tmp_path: Path) -> None:
    put(tmp_path / "p.d" / "a.yaml")
    main = main_in(tmp_path, "p.d/*.yaml")
    first = policy_files.read(main, ())
    parsed = policy_files._included_by.cache_info().misses
    put(tmp_path / "p.d" / "b.yaml")
    later = policy_files.read(main, ())
    assert policy_files._included_by.cache_info().misses == parsed
    assert [len(texts.included) for texts in (first, later)] == [1, 2]
    main.write_text(f"{main.read_text()}\n# changed\n")
    assert policy_files.read(main, ()).digest != later.digest
    assert policy_files._included_by.cache_info().misses == parsed + 1
