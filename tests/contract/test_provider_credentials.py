"""Secrets under proof, our own credential, and ids that lead elsewhere, on the simulated Deepgram over real HTTP."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from rotator.errors import Denied, NotFound, Rejected
from rotator.model.secret import Secret
from rotator.simulator.rights import Role
from rotator.simulator.world import Quirks
from tests.contract.provider_bench import Bench, bench, request
from tests.support.canary import CANARY

DAY = timedelta(days=1)
UNKNOWN_ID = "00000000-0000-4000-8000-000000000000"


@pytest.fixture
async def deepgram() -> AsyncIterator[Bench]:
    async with bench() as made:
        yield made


class TestProve:
    @pytest.mark.promise("P3")
    async def test_an_accepted_secret_says_whose_it_is(self, deepgram: Bench) -> None:
        made = deepgram.key()
        proof = await deepgram.provider.prove(made.secret)
        assert (proof.accepted, proof.key_id) == (True, made.key_id)

    async def test_a_silent_self_check_accepts_without_an_id(self, deepgram: Bench) -> None:
        deepgram.world.quirks = Quirks(self_check_says_id=False)
        proof = await deepgram.provider.prove(deepgram.key().secret)
        assert (proof.accepted, proof.key_id) == (True, None)

    async def test_a_wrong_secret_is_refused(self, deepgram: Bench) -> None:
        proof = await deepgram.provider.prove(Secret(f"{CANARY}-of-nobody"))
        assert (proof.accepted, proof.key_id) == (False, None)

    async def test_an_expired_secret_is_refused(self, deepgram: Bench) -> None:
        made = deepgram.key(lifetime=DAY)
        deepgram.clock.advance(DAY)
        assert not (await deepgram.provider.prove(made.secret)).accepted

    async def test_a_deleted_secret_is_refused(self, deepgram: Bench) -> None:
        made = deepgram.key()
        deepgram.world.person_deletes(made.key_id)
        assert not (await deepgram.provider.prove(made.secret)).accepted

    async def test_trap_10_a_new_secret_may_be_accepted_late(self, deepgram: Bench) -> None:
        deepgram.world.quirks = Quirks(accept_lag=timedelta(seconds=20))
        minted = await deepgram.provider.create_key(request())
        assert not (await deepgram.provider.prove(minted.secret)).accepted
        deepgram.clock.advance(timedelta(seconds=20))
        assert (await deepgram.provider.prove(minted.secret)).accepted

    async def test_trap_14_removing_a_member_ends_their_keys(self, deepgram: Bench) -> None:
        other = deepgram.world.add_member(deepgram.project_id)
        made = deepgram.key(member_id=other)
        deepgram.world.remove_member(other)
        assert not (await deepgram.provider.prove(made.secret)).accepted

    async def test_a_secret_outside_of_ascii_is_simply_refused(self, deepgram: Bench) -> None:
        assert not (await deepgram.provider.prove(Secret(f"{CANARY}-größe"))).accepted


class TestOurOwnCredential:
    async def test_without_keys_read_nothing_is_listed_or_read(self, deepgram: Bench) -> None:
        made = deepgram.key()
        weak = deepgram.provider_of(Role.OWNER, ("usage:write",))
        with pytest.raises(Denied, match="403 INSUFFICIENT_PERMISSIONS"):
            await weak.list_keys()
        with pytest.raises(Denied, match="403 INSUFFICIENT_PERMISSIONS"):
            await weak.get_key(made.key_id)

    async def test_without_keys_write_nothing_is_created_or_deleted(self, deepgram: Bench) -> None:
        made = deepgram.key()
        weak = deepgram.provider_of(Role.OWNER, ("keys:read",))
        with pytest.raises(Denied, match="403 INSUFFICIENT_PERMISSIONS"):
            await weak.create_key(request())
        with pytest.raises(Denied, match="403 INSUFFICIENT_PERMISSIONS"):
            await weak.revoke_key(made.key_id)
        assert deepgram.world.accepts(made.secret)

    async def test_trap_14_a_demoted_person_takes_the_rights_of_their_keys_along(
        self, deepgram: Bench
    ) -> None:
        made = deepgram.key(member_id=deepgram.world.add_member(deepgram.project_id))
        deepgram.world.set_role(deepgram.owner_id, Role.MEMBER)
        listing = await deepgram.provider.list_keys()
        assert listing.get(made.key_id) is None
        assert not listing.proves_absence(served_key_id=None)

    async def test_a_deleted_management_key_is_denied_everywhere(self, deepgram: Bench) -> None:
        made = deepgram.key()
        await deepgram.provider.list_keys()
        deepgram.world.person_deletes(deepgram.management.key_id)
        with pytest.raises(Denied, match="401 INVALID_AUTH"):
            await deepgram.provider.list_keys()
        with pytest.raises(Denied, match="401 INVALID_AUTH"):
            await deepgram.provider.get_key(made.key_id)
        with pytest.raises(Denied, match="401 INVALID_AUTH"):
            await deepgram.provider.create_key(request())
        with pytest.raises(Denied, match="401 INVALID_AUTH"):
            await deepgram.provider.revoke_key(made.key_id)

    async def test_a_management_key_that_never_worked_is_denied(self, deepgram: Bench) -> None:
        provider = deepgram.provider_with(Secret(f"{CANARY}-mistyped"))
        with pytest.raises(Denied, match="the management key is refused"):
            await provider.list_keys()

    @pytest.mark.parametrize("project_id", [UNKNOWN_ID, "not-a-uuid"])
    async def test_trap_25_another_project_is_rejected(self, deepgram: Bench, project_id: str) -> None:
        provider = deepgram.provider_with(deepgram.management.secret, project_id=project_id)
        with pytest.raises(Rejected, match="404"):
            await provider.list_keys()
        with pytest.raises(Rejected, match="404"):
            await provider.create_key(request())

    async def test_trap_11_a_wrong_project_does_not_pass_for_a_deleted_key(self, deepgram: Bench) -> None:
        made = deepgram.key()
        provider = deepgram.provider_with(deepgram.management.secret, project_id=UNKNOWN_ID)
        with pytest.raises(Rejected, match="404 PROJECT_NOT_FOUND"):
            await provider.get_key(made.key_id)
        with pytest.raises(Rejected, match="404 PROJECT_NOT_FOUND"):
            await provider.revoke_key(made.key_id)

    async def test_trap_11_a_project_that_is_hidden_does_not_pass_for_an_empty_one(
        self, deepgram: Bench
    ) -> None:
        """What it says of keys then is what it says of deleted ones: only a list could prove that they are gone."""
        deepgram.world.quirks = Quirks(hides_projects=True)
        provider = deepgram.provider_with(deepgram.management.secret, project_id=UNKNOWN_ID)
        with pytest.raises(Rejected, match="404 NOT_FOUND"):
            await provider.list_keys()
        with pytest.raises(NotFound):
            await provider.revoke_key(deepgram.key().key_id)

    async def test_trap_11_a_missing_right_that_is_told_as_401_is_no_dead_key(self, deepgram: Bench) -> None:
        deepgram.world.quirks = Quirks(forbids_with_401=True)
        weak = deepgram.key(scopes=("usage:write",))
        provider = deepgram.provider_with(weak.secret)
        with pytest.raises(Denied, match="401 INSUFFICIENT_PERMISSIONS"):
            await provider.list_keys()
        assert (await deepgram.provider.prove(weak.secret)).accepted


@pytest.mark.promise("P4")
@pytest.mark.parametrize("odd", ["", "a/b", "..", "x?y", "x#y", "x%2fy", "x y", "é", "x" * 65, "x\n"])
async def test_trap_24_an_odd_id_never_reaches_a_url(deepgram: Bench, odd: str) -> None:
    with pytest.raises(Rejected):
        await deepgram.provider.get_key(odd)
    with pytest.raises(Rejected):
        await deepgram.provider.revoke_key(odd)
    with pytest.raises(ValueError, match="project id"):
        deepgram.provider_with(deepgram.management.secret, project_id=odd or "..")
    assert deepgram.simulator.log == []
