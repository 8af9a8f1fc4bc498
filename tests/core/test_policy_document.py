from __future__ import annotations

import pytest

from rotator.errors import PolicyError
from rotator.policy.file.document import DEEPEST, MOST_BYTES, MOST_NODES, Mapping, Scalar, Sequence, parse
from tests.support.canary import CANARY


def refusal(text: bytes | str) -> str:
    content = text.encode() if isinstance(text, str) else text
    with pytest.raises(PolicyError) as caught:
        parse(content, file="p.yaml", begins="version: 1")
    (problem,) = caught.value.problems
    return str(problem)


def test_nodes_know_their_line_column_and_path() -> None:
    document = parse(
        "\ufeffä: 1\nb:\n  - x\n  - {c: 'é', d: no}\n".encode(), file="p.yaml", begins="version: 1"
    )
    assert isinstance(document, Mapping)
    listed = document.values["b"]
    assert isinstance(listed, Sequence)
    inner = listed.items[1]
    assert isinstance(inner, Mapping)
    assert inner.values["d"] == Scalar(file="p.yaml", line=4, column=17, path="b[1].d", text="no", plain=True)
    assert inner.values["c"] == Scalar(file="p.yaml", line=4, column=9, path="b[1].c", text="é", plain=False)
    assert document.values["ä"].path == "?"


def test_no_scalar_is_guessed_at() -> None:
    texts = ["no", "on", "12:30", "014", "2026-12-20", "1_000", "0x1f", "1.10", "=", "~"]
    document = parse("\n".join(f"- {text}" for text in texts).encode(), file="p.yaml", begins="version: 1")
    assert isinstance(document, Sequence)
    assert [item.text for item in document.items if isinstance(item, Scalar)] == texts


def test_an_alias_stands_where_its_anchor_is() -> None:
    document = parse(b"a: &x {k: v}\nb: *x\n", file="p.yaml", begins="version: 1")
    assert isinstance(document, Mapping)
    assert document.values["b"] is document.values["a"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"", "p.yaml: the file is empty (it begins with `version: 1`)"),
        (b"# nothing\n\n", "p.yaml: the file is empty (it begins with `version: 1`)"),
        (b"\xff\xfea\x00", "p.yaml:1:1: UTF-16 or UTF-32 text (save the file as UTF-8)"),
        (b"\xfe\xff\x00a", "p.yaml:1:1: UTF-16 or UTF-32 text (save the file as UTF-8)"),
        (b"a: 1\nb: \xff", "p.yaml:2:4: not UTF-8 text (save the file as UTF-8)"),
        (b"a: 1\nb\x00", "p.yaml:2:2: a control character, which YAML does not allow"),
        (b"a: \x1b[31m", "p.yaml:1:4: a control character, which YAML does not allow"),
        (
            b"a: 1\n---\nb: 1\n",
            "p.yaml:2:1: a second document (one file holds one document: remove the `---`)",
        ),
        (
            b"a: !!python/object:os.system x",
            "p.yaml:1:4: a tag (`!...`) (tags are not used here; for a text write quotes)",
        ),
        (b"a: !!str 1", "p.yaml:1:4: a tag (`!...`) (tags are not used here; for a text write quotes)"),
        (b"? [a]\n: 1", "p.yaml:1:3: a key that is not a text"),
        (b"'': 1", "p.yaml:1:1: a key that is not a text"),
        (b"a: *x", "p.yaml:1:4: an alias (`*...`) without its anchor (`&...`) above it"),
        (b"a: &x [*x]", "p.yaml:1:8: an alias (`*...`) without its anchor (`&...`) above it"),
        (
            b"a: b: c",
            "p.yaml:1:5: not valid YAML: a `:` where none can be; quote the text or mend the indentation",
        ),
        (
            b"a:\n\t- b",
            "p.yaml:2:1: not valid YAML: a text can't begin with this character (a tab, `@`, `%` or a backquote); quote it",
        ),
        (b"a: [1, 2", "p.yaml:2:1: not valid YAML: a list in `[ ]` is not closed, or lacks a `,`"),
        (b"a: 'x", "p.yaml:1:6: not valid YAML: a quoted text is not closed"),
        (
            b"%YAML 3.0\n---\na: 1",
            "p.yaml:1:1: not valid YAML: a YAML version that is not known here; remove the `%YAML` line",
        ),
    ],
)
def test_what_is_no_document(text: bytes, message: str) -> None:
    assert refusal(text) == message


@pytest.mark.parametrize(
    ("text", "column"),
    [
        ("é:\n  {address: ${VAULT_ADDR}}", 13),
        ("a:\n  {b: {env: ${A:-x}}, c: 1}\n", 13),
        ("\ufeffa: 1\nb: [${A}, c]", 5),
    ],
)
def test_an_expansion_that_breaks_a_flow_is_told_as_such(text: str, column: int) -> None:
    hint = "write the value itself; a secret is referred to as `{env: NAME}`"
    assert refusal(text) == f"p.yaml:2:{column}: `${{...}}` is not expanded ({hint})"


def test_a_large_file_is_not_even_parsed() -> None:
    assert refusal(b"#" * (MOST_BYTES + 1)) == "p.yaml: larger than 10 MiB"


def test_aliases_that_unfold_to_very_much_are_refused() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 10)]
    message = refusal("\n".join(lines))
    assert f"more than {MOST_NODES} values, with aliases unfolded" in message


def test_aliases_that_unfold_very_deeply_are_refused() -> None:
    lines = ["a0: &a0 [x]"]
    lines += [f"a{n}: &a{n} [*a{n - 1}]" for n in range(1, DEEPEST + 1)]
    assert f"more than {DEEPEST} levels, with aliases unfolded" in refusal("\n".join(lines))


def test_deep_nesting_ends_early() -> None:
    assert f"more than {DEEPEST} levels" in refusal("[" * 100_000)


@pytest.mark.promise("P7")
@pytest.mark.parametrize(
    "text",
    [
        f"credential: {CANARY}: x",
        f"credential: '{CANARY}",
        f'credential: "{CANARY}\\q"',
        f"credential: *{CANARY}",
        f"credential: !{CANARY} x",
        f"credential: !{CANARY}!x x",
        f"credential: !!{CANARY} x",
        f"credential: &{CANARY} &{CANARY} x",
        f"credential: @{CANARY}",
        f"credential: [{CANARY}",
        f"credential: {{{CANARY}",
        f"? [{CANARY}]\n: 1",
        f"credential:\n  {CANARY}\n {CANARY}\n{CANARY}",
        f"credential: |\n  {CANARY}\n x\n",
        f"credential: {CANARY}\n---\n{CANARY}",
        f"credential: {CANARY}\x00",
    ],
)
def test_an_unreadable_file_shows_nothing_of_its_text(text: str) -> None:
    assert CANARY not in refusal(text)
