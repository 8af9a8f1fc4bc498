"""The table of options, as a whole: what a policy file and a file that it includes may hold."""

from __future__ import annotations

from rotator.policy.file.option import Section
from rotator.policy.file.policy_options import DEFAULTS, POLICIES
from rotator.policy.file.settings_options import (
    INCLUDED_FILES,
    INSTANCE_NAME,
    LIMITS,
    PROVIDERS,
    RUNTIME,
    VAULT,
    VERSION,
)

POLICY_FILE = Section(
    name="",
    why="What the operator of one installation of rotator wants.",
    parts=(
        VERSION,
        INSTANCE_NAME,
        VAULT,
        RUNTIME,
        LIMITS,
        PROVIDERS,
        DEFAULTS,
        INCLUDED_FILES,
        POLICIES,
    ),
)

INCLUDED_FILE = Section(
    name="",
    why="Policies of the same installation, in a file of their own.",
    parts=(POLICIES,),
    refused={
        part.name: ("this belongs into the main policy file", "here only `policies` can be")
        for part in POLICY_FILE.parts
        if part is not POLICIES
    },
)
