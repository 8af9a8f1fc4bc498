"""From the bytes of a policy file to frozen values, or to a list of all that is wrong with them."""

from __future__ import annotations

from rotator.errors import PolicyError
from rotator.policy.combinations import check_arithmetic, check_destinations, check_names
from rotator.policy.document import Mapping, parse
from rotator.policy.fields import Complaints, Fields, describe
from rotator.policy.policy_reader import read_policies
from rotator.policy.scalars import read_integer
from rotator.policy.settings import LimitSettings, PolicyFile
from rotator.policy.settings_reader import read_instance, read_providers, read_runtime, read_vault

_LATER = {
    "include": "write all policies into this file",
    "limits": "this version starts what is due, `runtime.concurrency` at a time",
}


def load(text: bytes, *, name: str) -> PolicyFile:
    """Return what the policy file `text` says; `name` is what messages call it.

    Raise PolicyError with every problem, in the order of the file. What can't be parsed at all gives one.
    No message shows anything that stands where a secret is expected.
    """
    complaints = Complaints(name)
    document = parse(text, file=name)
    if not isinstance(document, Mapping):
        complaints.tell(
            document, f"{describe(document)} where a mapping is expected", "it starts with `version: 1`"
        )
        raise PolicyError(complaints.in_file_order())
    policy_file = _read(document, complaints)
    problems = complaints.in_file_order()
    if problems:
        raise PolicyError(problems)
    return policy_file


def _read(document: Mapping, complaints: Complaints) -> PolicyFile:
    top = Fields(document, complaints, later=_LATER)
    top.need(document, "version", read_integer(1, 1), 1, hint="write `version: 1`")
    instance = read_instance(top)
    vault = read_vault(top, document, instance)
    runtime = read_runtime(top)
    providers = read_providers(top, document)
    read = read_policies(top, document, [provider.name for provider in providers])
    top.close()
    for one in read:
        check_arithmetic(one, complaints)
    check_names(read, complaints)
    check_destinations(read, {provider.name: provider for provider in providers}, vault, complaints)
    return PolicyFile(
        instance=instance,
        vault=vault,
        runtime=runtime,
        limits=LimitSettings(),
        providers=providers,
        policies=tuple(one.policy for one in read),
    )
