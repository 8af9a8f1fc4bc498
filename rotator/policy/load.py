"""From the bytes of a policy file, and of those that go with it, to frozen values or to all that is wrong with them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from rotator.errors import PolicyError, Problem
from rotator.policy.file.arithmetic import check_arithmetic
from rotator.policy.file.clashes import check_destinations, check_names
from rotator.policy.file.document import Budget, Mapping, Node, parse
from rotator.policy.file.fields import Fields
from rotator.policy.file.options import INCLUDED_FILE, POLICY_FILE
from rotator.policy.file.policy_reader import items_of, read_policies
from rotator.policy.file.problems import Complaints, describe
from rotator.policy.file.settings_options import INCLUDED_FILES, INSTANCE_NAME, VERSION
from rotator.policy.file.settings_reader import read_limits, read_providers, read_runtime, read_vault
from rotator.policy.settings import PolicyFile

MOST_FILES = 1000
"""So many files of policies may go with one policy file."""

_MAIN_BEGINS = "version: 1"
_INCLUDED_BEGINS = "policies:"


@dataclass(frozen=True, slots=True, kw_only=True)
class Included:
    """A file of policies that goes with the policy file. `name` is what messages call it.

    `unread` says why it could not be read, "" where it could.
    """

    name: str
    text: bytes = field(default=b"", repr=False)
    unread: str = ""


def included_by(text: bytes, *, name: str) -> tuple[str, ...]:
    """Return the paths and globs below `include`, without any that `load` refuses. Raise nothing: `load` tells."""
    complaints = Complaints((name,))
    document = _parsed(text, name, _MAIN_BEGINS, complaints, Budget())
    return Fields(document, POLICY_FILE, complaints).take(INCLUDED_FILES)


def load(text: bytes, *, name: str, included: Sequence[Included] = ()) -> PolicyFile:
    """Return what the policy file `text` says, completed by the policies of `included`, in their order.

    Raise PolicyError with every problem, in the order of the files. What can't be parsed at all gives one.
    No message shows anything that stands where a secret is expected.
    """
    complaints = Complaints((name, *(one.name for one in included)))
    budget = Budget()
    document = _parsed(text, name, _MAIN_BEGINS, complaints, budget)
    others = list(_documents(included, complaints, budget))
    if document is None:
        raise PolicyError(complaints.in_file_order())
    policy_file = _read(document, others, complaints)
    complaints.raise_any()
    return policy_file


def _documents(included: Iterable[Included], complaints: Complaints, budget: Budget) -> Iterable[Mapping]:
    """Yield those that can be parsed."""
    for one in included:
        if one.unread:
            what = f"can't be read: {one.unread}"
            complaints.add(Problem(file=one.name, line=0, column=0, path="", what=what))
            continue
        document = _parsed(one.text, one.name, _INCLUDED_BEGINS, complaints, budget)
        if document is not None:
            yield document


def _parsed(text: bytes, name: str, begins: str, complaints: Complaints, budget: Budget) -> Mapping | None:
    """Return the mapping that a file is, None after telling that it is none."""
    try:
        node = parse(text, file=name, begins=begins, budget=budget)
    except PolicyError as error:
        for problem in error.problems:
            complaints.add(problem)
        return None
    if isinstance(node, Mapping):
        return node
    complaints.tell(node, f"{describe(node)} where a mapping is expected", f"it begins with `{begins}`")
    return None


def _read(document: Mapping, others: Sequence[Mapping], complaints: Complaints) -> PolicyFile:
    top = Fields(document, POLICY_FILE, complaints)
    top.take(VERSION)
    instance = top.take(INSTANCE_NAME)
    vault = read_vault(top, document, instance)
    runtime, limits = read_runtime(top), read_limits(top)
    providers = read_providers(top, document)
    include = top.node(INCLUDED_FILES.name)
    top.take(INCLUDED_FILES)
    items: list[Node] = [*items_of(top, document, needed=include is None and not others)]
    for other in others:
        fields = Fields(other, INCLUDED_FILE, complaints)
        items += items_of(fields, other, needed=True)
        fields.close()
    read = read_policies(top, items, tuple(provider.name for provider in providers))
    top.close()
    for one in read:
        check_arithmetic(one)
    check_names(read, complaints)
    check_destinations(read, {provider.name: provider for provider in providers}, vault, complaints)
    return PolicyFile(
        instance=instance,
        vault=vault,
        runtime=runtime,
        limits=limits,
        providers=providers,
        policies=tuple(one.policy for one in read),
    )
