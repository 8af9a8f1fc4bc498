"""How many calls each stage of a key's life costs. The figures are exact, so that no call creeps in unseen.

A call more is a cost for every key of everybody: change a figure here only together with what makes it worth that.
"""

from __future__ import annotations

from rotator.model.secret import Secret
from rotator.simulator.vault_server import VaultServer
from tests.support.calls import Cost, life

SURVEY = {"read what is paused": 1, "list the records": 1}
"""What a sweep asks of Vault whatever is due; of each project it asks for one list."""


async def test_what_a_life_costs(server: VaultServer, token: Secret, place: str) -> None:
    lived = await life(server, token, place, lineages=3)

    assert lived.take_in == Cost(
        provider={"list the keys": 1, "try a secret": 2, "read a key": 2},
        vault={
            **SURVEY,
            "read what is paused": 3,
            "read a record": 1,
            "read an entry": 1,
            "write a record": 1,
        },
    )
    assert lived.rotate == Cost(
        provider={"list the keys": 1, "try a secret": 2, "create a key": 1, "read a key": 1},
        vault={
            **SURVEY,
            "read what is paused": 2,
            "read a record": 2,
            "read an entry": 4,
            "ask for our rights": 1,
            "read the settings of an entry": 1,
            "read the settings of the mount": 1,
            "look our token up": 1,
            "write a record": 2,
            "write an entry": 1,
        },
    )
    assert lived.retire == Cost(
        provider={"list the keys": 4, "try a secret": 2, "delete a key": 1},
        vault={
            **SURVEY,
            "read what is paused": 2,
            "read a record": 1,
            "read an entry": 2,
            "write a record": 2,
        },
    )
    # As decision 0011 says.
    assert [sum(calls) for calls in zip(lived.rotate.total, lived.retire.total, strict=True)] == [12, 24]


async def test_a_sweep_with_nothing_to_do_asks_each_project_for_one_list_and_looks_at_each_lineage_once(
    server: VaultServer, token: Secret, place: str
) -> None:
    lived = await life(server, token, place, lineages=4)

    assert lived.idle == Cost(
        provider={"list the keys": 1, "try a secret": 4},
        vault={**SURVEY, "read a record": 4, "read an entry": 4},
    )
