"""The reference of the policy file, made of the table of options.

`python -m tests.support.policy_pages` writes `docs/reference/policy-file.md` and the JSON Schema beside it; with `--check`
it writes nothing and fails when one of them is stale.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from rotator.policy.file import schema
from rotator.policy.file.auth_options import TOKEN
from rotator.policy.file.document import DEEPEST, MOST_BYTES, MOST_NODES
from rotator.policy.file.kinds import LONGEST_TEXT
from rotator.policy.file.option import Json, Needed, Option, Section, Shape, written
from rotator.policy.file.options import POLICY_FILE
from rotator.policy.file.policy_options import DEFAULTS, PROVIDER
from rotator.policy.load import MOST_FILES
from rotator.policy.names import (
    FIELD_WE_WRITE,
    FILE,
    INCLUDE,
    INSTANCE,
    MOUNT_OF_LOGIN,
    NAME,
    PATH,
    VENDOR_ID,
)

ROOT: Final = Path(__file__).parents[2]
FOLDER: Final = ROOT / "docs" / "reference"

FORMS: Final = "\n".join(
    f"- {form.noun}: {form.rule}"
    for form in (NAME, INSTANCE, VENDOR_ID, FILE, PATH, MOUNT_OF_LOGIN, FIELD_WE_WRITE, INCLUDE)
)

HEAD: Final = f"""\
# The policy file

<!-- Written by `python -m tests.support.policy_pages`; `make check` fails when it is stale. -->

`config.example.yaml` shows the same options in a file that loads beside a folder `policies.d`, which may be empty. `rotator check --offline` names everything that is
wrong with a file, each with its line. `rotator schema` prints the JSON Schema that stands beside this page; an editor
with a YAML language server uses it after this first line:

    # yaml-language-server: $schema=PATH/policy-file.schema.json

The schema does not know what only the whole installation shows: whether a provider that is named exists, whether times
work together, whether a name or a destination is used twice. The loader knows, and says so.

- **Durations** are `90s`, `15m`, `12h`, `7d`, `2w`, sums such as `1d12h`, or ISO 8601 such as `PT12H`. Numbers without a
  unit, months and years are refused.
- **Secrets** are never written in the file, only where they are kept: `{{env: NAME}}`, `{{file: PATH}}`, `{{systemd: NAME}}`
  (a credential that systemd passes), and for a provider's credential
  `{{vault: {{mount: MOUNT, path: PATH, field: FIELD}}}}`. No message shows what stands at such a place.
- **Texts** are taken as they are written; nothing is expanded (`${{...}}` is refused). Tags and merge keys of YAML are
  not used.
- **Several files**: `--config` may be given again, and `include` names files too. Each further file holds `policies` only,
  is completed by the `defaults` of the first, and is read once.
- **Limits**: {MOST_BYTES // 1024 // 1024} MiB and {MOST_NODES:,} values in all files together, aliases unfolded; {DEEPEST} levels;
  {MOST_FILES:,} further files; {LONGEST_TEXT:,} characters in a text.

What the tables call

{FORMS}
"""

PLACE: Final = {Shape.MAPPING: "{}", Shape.CHOICE: "{}", Shape.NAMED: "{}.NAME", Shape.LISTED: "{}[]"}
"""How the place of what is inside a section is written."""


def page() -> str:
    """Return the page."""
    return HEAD + "".join(_section(POLICY_FILE, "", 2))


def schema_page() -> str:
    """Return the schema as `rotator schema` prints it."""
    return schema.text() + "\n"


def options(
    section: Section = POLICY_FILE, place: str = ""
) -> Iterator[tuple[str, Option[Any] | Needed[Any]]]:
    """Yield every option with its place in the document, such as `policies[].overlap`."""
    for part in section.parts:
        below = f"{place}.{part.name}".lstrip(".")
        if isinstance(part, Section):
            yield from options(part, PLACE[part.shape].format(below))
        else:
            yield below, part


def _section(section: Section, place: str, level: int) -> Iterator[str]:
    """Yield the table of a section, and those of the sections in it."""
    inside = PLACE[section.shape].format(place)
    yield f"\n{'#' * level} {f'`{inside}`' if inside else 'At the top'}\n\n{section.why}\n"
    if section is DEFAULTS:
        return
    rows = [_row(part) for part in section.parts if not isinstance(part, Section)]
    if rows:
        yield "\n| option | what | default | why |\n|---|---|---|---|\n"
        yield from rows
    for part in section.parts:
        if isinstance(part, Section):
            yield from _section(part, f"{inside}.{part.name}".lstrip("."), level + bool(inside))


def _row(part: Option[Any] | Needed[Any]) -> str:
    cells = (f"`{part.name}`", part.kind.words, _default(part), part.why)
    return f"| {' | '.join(cell.replace('|', '/') for cell in cells)} |\n"


def _default(part: Option[Any] | Needed[Any]) -> str:
    if part is PROVIDER:
        return "needed, here or in `defaults`"
    if part is TOKEN:
        return "this or a section below"
    if isinstance(part, Needed):
        return "needed"
    default = written(part.default)
    if default is None:
        return part.otherwise or "none"
    return f"`{_yaml(default)}`"


def _yaml(value: Json) -> str:
    if isinstance(value, dict):
        return f"{{{', '.join(f'{name}: {_yaml(inner)}' for name, inner in value.items())}}}"
    return str(value)


PAGES: Final = {
    FOLDER / "policy-file.md": page,
    FOLDER / "policy-file.schema.json": schema_page,
}


def main() -> int:
    """Write or check the pages."""
    parser = argparse.ArgumentParser(prog="python -m tests.support.policy_pages")
    parser.add_argument("--check", action="store_true", help="write nothing; fail when a page is stale")
    check = parser.parse_args().check
    stale = [file for file, wanted in PAGES.items() if not file.exists() or file.read_text() != wanted()]
    for file in stale:
        if check:
            sys.stderr.write(
                f"{file.relative_to(ROOT)} is stale: run `python -m tests.support.policy_pages`\n"
            )
        else:
            file.write_text(PAGES[file]())
    return 1 if check and stale else 0


if __name__ == "__main__":
    sys.exit(main())
