"""Logging in to a real server, staying logged in, and what happens to a call when that ends."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from rotator.clock import SystemClock
from rotator.errors import Denied, PolicyError, PortError, Rejected, Unavailable
from rotator.model.entry import EntryState
from rotator.model.secret import Secret
from rotator.policy.settings import SecretReference, SecretSource, TokenAuth, VaultAuth
from rotator.simulator.vault_server import VaultServer
from rotator.vault.client import VaultClient
from tests.support.canary import CANARY, secret_text
from tests.support.vault_auth import Issuer, Kubernetes, Role, jwt_auth, kubernetes, put, reviewed
from tests.support.vault_lab import (
    LEAST_PRIVILEGE,
    Between,
    Reply,
    Root,
    Seen,
    between,
    connected,
    shown,
)
from tests.support.virtual_clock import VirtualClock

DATA = {"api_key": f"{CANARY}-value"}
LIFE = "4s"
OVER_HALF_OF_IT = timedelta(seconds=2.2)


@contextmanager
def watched(server: VaultServer) -> Iterator[Between]:
    """Pass everything on to the server, and see it."""
    with between(lambda _request, forward: forward(), server.address) as lab:
        yield lab


def calls(lab: Between, end: str) -> int:
    return sum(request.path.endswith(end) for request in lab.seen)


def revoke(root: Root, lab: Between) -> None:
    """Let the token die that was used last."""
    token = next(
        each.headers["X-Vault-Token"] for each in reversed(lab.seen) if "X-Vault-Token" in each.headers
    )
    root.do("POST", "auth/token/revoke", {"token": token})


async def wait(duration: timedelta) -> None:
    """Wait in real time: the tokens of a real server live by its own clock."""
    await SystemClock().sleep(duration)


# Each method


@pytest.fixture
def issuer(root: Root) -> Issuer:
    return Issuer.made(root)


@pytest.fixture
def cluster() -> Iterator[Kubernetes]:
    with kubernetes() as stub:
        yield stub


@pytest.fixture(params=["env", "file", "approle", "wrapped", "jwt", "kubernetes"])
def auth(
    request: pytest.FixtureRequest,
    root: Root,
    issuer: Issuer,
    cluster: Kubernetes,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> VaultAuth:
    """Return each way to log in but the certificate, which needs a server with TLS."""
    match request.param:
        case "env":
            monkeypatch.setenv("A_TOKEN", root.new_token(LEAST_PRIVILEGE).reveal())
            return TokenAuth(token=SecretReference(SecretSource.ENV, "A_TOKEN"))
        case "file":
            return TokenAuth(token=put(tmp_path / "token", root.new_token(LEAST_PRIVILEGE)))
        case "approle":
            return Role.made(root, tmp_path).auth()
        case "wrapped":
            role = Role.made(root, tmp_path)
            role.deliver(role.wrapped())
            return role.auth(wrapped=True)
        case "jwt":
            return jwt_auth(issuer, put(tmp_path / "jwt", issuer.sign(sub="rotator")))
        case _:
            return cluster.auth(issuer, put(tmp_path / "jwt", issuer.service_account()))


async def test_each_method_logs_in_when_it_is_needed_and_once(
    server: VaultServer, auth: VaultAuth, place: str
) -> None:
    path = f"rotated/{place}/a"
    with watched(server) as lab:
        async with connected(lab.address, auth) as client:
            assert lab.seen == []
            await client.write("write", "secret", path, DATA, base=0)
            assert (await client.read("read", "secret", path)).data == DATA
        logins = calls(lab, "/login")
    assert logins == (0 if isinstance(auth, TokenAuth) else 1)


async def test_many_calls_at_once_log_in_once(server: VaultServer, root: Root, tmp_path: Path) -> None:
    role = Role.made(root, tmp_path)
    with watched(server) as lab:
        async with connected(lab.address, role.auth()) as client:
            await asyncio.gather(*(client.read("read", "secret", f"rotated/{n}") for n in range(20)))
        assert calls(lab, "/login") == 1


async def test_the_home_directory_and_the_environment_are_not_asked_for_a_token(
    server: VaultServer, root: Root, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VAULT_TOKEN", f"{CANARY}-of-the-environment")
    role = Role.made(root, tmp_path)
    with watched(server) as lab:
        async with connected(lab.address, role.auth()) as client:
            await client.read("read", "secret", "rotated/a")
        (login,) = (request for request in lab.seen if request.path.endswith("/login"))
    assert "X-Vault-Token" not in login.headers


# Staying logged in


async def test_a_token_is_renewed_at_half_its_life_and_lives_on(
    server: VaultServer, root: Root, tmp_path: Path
) -> None:
    role = Role.made(root, tmp_path, token_ttl=LIFE)
    with watched(server) as lab:
        async with connected(lab.address, role.auth()) as client:
            await client.read("read", "secret", "rotated/a")
            for renewals in (1, 2):
                await wait(OVER_HALF_OF_IT)
                await asyncio.gather(*(client.read("read", "secret", f"rotated/{n}") for n in range(5)))
                assert calls(lab, "/renew-self") == renewals
        assert calls(lab, "/login") == 1
        assert calls(lab, "/lookup-self") == 0


async def test_a_token_that_nears_its_longest_life_is_replaced_before_it_dies(
    server: VaultServer, root: Root, tmp_path: Path
) -> None:
    role = Role.made(root, tmp_path, token_ttl=LIFE, token_explicit_max_ttl=LIFE)
    with watched(server) as lab:
        async with connected(lab.address, role.auth()) as client:
            await client.read("read", "secret", "rotated/a")
            await wait(OVER_HALF_OF_IT)
            await client.read("read", "secret", "rotated/a")
        assert [calls(lab, "/renew-self"), calls(lab, "/login")] == [1, 2]


async def test_a_batch_token_is_replaced_at_half_its_life_without_trying_to_renew_it(
    server: VaultServer, root: Root, tmp_path: Path
) -> None:
    role = Role.made(root, tmp_path, token_ttl=LIFE, token_type="batch")
    with watched(server) as lab:
        async with connected(lab.address, role.auth()) as client:
            await client.read("read", "secret", "rotated/a")
            await wait(OVER_HALF_OF_IT)
            await client.read("read", "secret", "rotated/a")
        assert [calls(lab, "/renew-self"), calls(lab, "/login")] == [0, 2]


async def test_a_token_whose_time_is_over_is_replaced_without_asking_about_it(
    server: VaultServer, root: Root, tmp_path: Path
) -> None:
    role, clock = Role.made(root, tmp_path, token_ttl="1m"), VirtualClock()
    with watched(server) as lab:
        async with connected(lab.address, role.auth(), clock=clock) as client:
            await client.read("read", "secret", "rotated/a")
            clock.advance(timedelta(minutes=1))
            await client.read("read", "secret", "rotated/a")
        assert [calls(lab, "/renew-self"), calls(lab, "/login"), calls(lab, "/lookup-self")] == [0, 2, 0]


async def test_a_token_that_lives_is_used_on_while_vault_can_not_renew_it(
    server: VaultServer, root: Root, tmp_path: Path
) -> None:
    def rule(request: Seen, forward: Callable[[], Reply]) -> Reply | None:
        return None if request.path.endswith("/renew-self") else forward()

    role, clock = Role.made(root, tmp_path, token_ttl="1m"), VirtualClock()
    with between(rule, server.address) as lab:
        async with connected(lab.address, role.auth(), clock=clock) as client:
            await client.read("read", "secret", "rotated/a")
            clock.advance(timedelta(seconds=30))
            for _ in range(3):
                await client.read("read", "secret", "rotated/a")
        assert [calls(lab, "/renew-self"), calls(lab, "/login")] == [1, 1]


async def test_a_token_that_can_not_be_replaced_is_used_for_as_long_as_it_lives(
    server: VaultServer, root: Root, tmp_path: Path
) -> None:
    role, clock = Role.made(root, tmp_path, token_ttl="1m", token_type="batch"), VirtualClock()
    async with connected(server.address, role.auth(), clock=clock) as client:
        await client.read("read", "secret", "rotated/a")
        role.deliver(Secret(secret_text("wrong")))
        for _ in range(3):
            clock.advance(timedelta(seconds=19))
            await client.read("read", "secret", "rotated/a")
        clock.advance(timedelta(seconds=3))
        assert "not tried again" in await denied(client)


# A token that dies early


@pytest.mark.promise("P6")
async def test_a_token_that_dies_in_mid_pass_is_replaced_and_a_write_happens_once(
    server: VaultServer, root: Root, tmp_path: Path, place: str
) -> None:
    path = f"rotated/{place}/a"
    role = Role.made(root, tmp_path)
    with watched(server) as lab:
        async with connected(lab.address, role.auth()) as client:
            await client.read("read", "secret", path)
            revoke(root, lab)
            assert (await client.write("write", "secret", path, DATA, base=0)).version == 1
        assert calls(lab, "/login") == 2
    assert root.data(path) == DATA


async def test_of_many_calls_that_meet_a_dead_token_one_logs_in(
    server: VaultServer, root: Root, tmp_path: Path
) -> None:
    role = Role.made(root, tmp_path)
    with watched(server) as lab:
        async with connected(lab.address, role.auth()) as client:
            await client.read("read", "secret", "rotated/a")
            revoke(root, lab)
            reads = (client.read("read", "secret", f"rotated/{n}") for n in range(20))
            assert {read.state for read in await asyncio.gather(*reads)} == {EntryState.ABSENT}
        assert calls(lab, "/login") == 2


async def test_a_missing_right_is_told_and_brings_no_new_login(
    server: VaultServer, root: Root, tmp_path: Path
) -> None:
    role = Role.made(root, tmp_path)
    with watched(server) as lab:
        async with connected(lab.address, role.auth()) as client:
            for _ in range(2):
                with pytest.raises(Denied, match=r"^read secret/elsewhere: 403.*its policies"):
                    await client.read("read", "secret", "elsewhere")
        assert calls(lab, "/login") == 1


async def test_a_role_whose_tokens_may_not_look_themselves_up_is_told(
    server: VaultServer, root: Root, tmp_path: Path
) -> None:
    """Then a dead token can't be told apart from a missing right."""
    role = Role.made(root, tmp_path, token_no_default_policy="true")
    async with connected(server.address, role.auth()) as client:
        assert (await client.read("read", "secret", "rotated/a")).version == 0
        with pytest.raises(Denied, match=r"^read secret/elsewhere: 403.*leave Vault's policy `default` on"):
            await client.read("read", "secret", "elsewhere")


async def test_a_token_is_taken_from_its_file_again_when_it_dies(
    server: VaultServer, root: Root, tmp_path: Path
) -> None:
    first, second = (root.new_token(LEAST_PRIVILEGE) for _ in range(2))
    auth = TokenAuth(token=put(tmp_path / "token", first))
    async with connected(server.address, auth) as client:
        await client.read("read", "secret", "rotated/a")
        root.do("POST", "auth/token/revoke", {"token": first.reveal()})
        for _ in range(3):
            with pytest.raises(Denied, match=r"^log in with vault.auth.token: the token itself is refused"):
                await client.read("read", "secret", "rotated/a")
        put(tmp_path / "token", second)
        await client.read("read", "secret", "rotated/a")


async def test_a_token_that_somebody_made_is_renewed_at_half_its_life(
    server: VaultServer, root: Root, tmp_path: Path
) -> None:
    auth, clock = TokenAuth(token=put(tmp_path / "token", made(root, period="1m"))), VirtualClock()
    with watched(server) as lab:
        async with connected(lab.address, auth, clock=clock) as client:
            for renewals in (0, 1, 2, 3):
                await client.read("read", "secret", "rotated/a")
                await client.read("read", "secret", "rotated/a")
                assert calls(lab, "/renew-self") == renewals
                clock.advance(timedelta(seconds=31))
        assert calls(lab, "/lookup-self") == 1


async def test_a_token_that_can_not_be_renewed_is_read_again_at_half_its_life(
    server: VaultServer, root: Root, tmp_path: Path
) -> None:
    auth, clock = (
        TokenAuth(token=put(tmp_path / "token", made(root, ttl="1m", renewable=False))),
        VirtualClock(),
    )
    with watched(server) as lab:
        async with connected(lab.address, auth, clock=clock) as client:
            await client.read("read", "secret", "rotated/a")
            put(tmp_path / "token", second := made(root, ttl="1m"))
            await client.read("read", "secret", "rotated/b")
            assert second.reveal() not in lab.seen[-1].headers.values()
            clock.advance(timedelta(seconds=31))
            await client.read("read", "secret", "rotated/b")
            assert second.reveal() in lab.seen[-1].headers.values()
        assert calls(lab, "/renew-self") == 0


async def test_a_token_that_may_not_ask_about_itself_is_used_all_the_same(
    server: VaultServer, root: Root, tmp_path: Path
) -> None:
    auth = TokenAuth(token=put(tmp_path / "token", made(root, no_default_policy=True)))
    async with connected(server.address, auth) as client:
        assert (await client.read("read", "secret", "rotated/a")).version == 0


def made(root: Root, **settings: object) -> Secret:
    """Make a token that may do what rotator needs, as Vault's settings say."""
    token = Secret(secret_text(f"token {uuid.uuid4()}"))
    policy = root.new_policy(LEAST_PRIVILEGE)
    root.do("POST", "auth/token/create", {"id": token.reveal(), "policies": [policy], **settings})
    return token


async def test_a_token_file_that_is_gone_matters_when_the_token_dies(
    server: VaultServer, root: Root, tmp_path: Path
) -> None:
    token = root.new_token(LEAST_PRIVILEGE)
    reference = put(tmp_path / "token", token)
    async with connected(server.address, TokenAuth(token=reference)) as client:
        await client.read("read", "secret", "rotated/a")
        (tmp_path / "token").unlink()
        await client.read("read", "secret", "rotated/b")
        root.do("POST", "auth/token/revoke", {"token": token.reveal()})
        with pytest.raises(Denied, match="can't be read") as caught:
            await client.read("read", "secret", "rotated/a")
        assert str(reference) in str(caught.value)


def test_a_credential_that_is_not_there_is_told_before_vault_is_asked(tmp_path: Path, root: Root) -> None:
    role = Role.made(root, tmp_path)
    Path(role.auth().secret_id.name).unlink()
    with pytest.raises(PolicyError, match="can't be read"):
        asyncio.run(connected("http://127.0.0.1:1", role.auth()).__aenter__())


# Refusals


async def denied(client: VaultClient) -> str:
    """Return what a call meets that is denied, and make sure that it shows no secret."""
    with pytest.raises(Denied) as caught:
        await client.read("read", "secret", "rotated/a")
    assert CANARY not in shown(caught.value)
    return str(caught.value)


async def refusal(address: str, auth: VaultAuth, *, namespace: str = "") -> str:
    async with connected(address, auth, namespace=namespace) as client:
        return await denied(client)


async def test_a_wrong_secret_id_is_tried_twice_and_a_new_one_at_once(
    server: VaultServer, root: Root, tmp_path: Path
) -> None:
    """Vault locks the role out at the fifth wrong login."""
    role, clock = Role.made(root, tmp_path), VirtualClock()
    role.deliver(Secret(secret_text("wrong")))
    with watched(server) as lab:
        async with connected(lab.address, role.auth(), clock=clock) as client:
            texts = [await denied(client) for _ in range(8)]
            assert calls(lab, "/login") == 2
            clock.advance(timedelta(minutes=14))
            assert await denied(client) == texts[-1], "the same is told once"
            clock.advance(timedelta(minutes=1))
            texts += [await denied(client) for _ in range(3)]
            assert calls(lab, "/login") == 4
            role.deliver(role.new_secret_id())
            await client.read("read", "secret", "rotated/a")
    assert "400: the role id or the secret id is wrong, expired or used up; look at {file: " in texts[0]
    assert "refused 2 times; not tried again for 900 s" in texts[2]


async def test_a_role_that_others_locked_out_is_told(server: VaultServer, root: Root, tmp_path: Path) -> None:
    role = Role.made(root, tmp_path)
    role_id = f"{CANARY}-role-{role.mount}"
    for _ in range(6):
        root.ask("POST", f"auth/{role.mount}/login", {"role_id": role_id, "secret_id": "wrong"})
    assert "403: Vault has locked this role out" in await refusal(server.address, role.auth())


async def test_a_method_that_is_not_mounted_is_told(server: VaultServer, root: Root, tmp_path: Path) -> None:
    role = Role.made(root, tmp_path)
    root.do("DELETE", f"sys/auth/{role.mount}")
    said = await refusal(server.address, role.auth())
    assert f"no such method is mounted at auth/{role.mount}" in said


async def test_a_vault_that_is_down_is_no_refusal(root: Root, tmp_path: Path, server: VaultServer) -> None:
    down = True

    def rule(_request: Seen, forward: Callable[[], Reply]) -> Reply | None:
        return None if down else forward()

    role = Role.made(root, tmp_path)
    with between(rule, server.address) as lab:
        async with connected(lab.address, role.auth()) as client:
            for _ in range(4):
                with pytest.raises(Unavailable, match=r"^log in with vault\.auth\.approle: "):
                    await client.read("read", "secret", "rotated/a")
            down = False
            await client.read("read", "secret", "rotated/a")


@pytest.mark.parametrize(
    ("reply", "error", "says"),
    [
        (Reply.of(503, {"errors": ["Vault is sealed"]}), Unavailable, "sealed"),
        (Reply.of(500, {"errors": [CANARY]}), Unavailable, "500"),
        (Reply(200, b"<html>"), Unavailable, "proxy"),
        (Reply.of(200, {"auth": {"client_token": "", "lease_duration": 0}}), Rejected, "without a token"),
        (
            Reply.of(200, {"auth": {"client_token": "s.\u20ac", "lease_duration": 60}}),
            Rejected,
            "without a token",
        ),
        (
            Reply.of(200, {"auth": {"client_token": CANARY, "lease_duration": 10**18}}),
            Rejected,
            "without a token",
        ),
        (Reply.of(200, [CANARY]), Unavailable, "proxy"),
    ],
)
async def test_answers_to_a_login_that_make_no_sense(
    root: Root, tmp_path: Path, reply: Reply, error: type[PortError], says: str
) -> None:
    role = Role.made(root, tmp_path)
    with between(lambda _request, _forward: reply) as lab:
        async with connected(lab.address, role.auth()) as client:
            with pytest.raises(error, match=says) as caught:
                await client.write("write", "secret", "rotated/a", DATA, base=0)
    assert type(caught.value) is error
    assert CANARY not in shown(caught.value)


# A wrapped secret id


async def test_a_wrapped_secret_id_is_unwrapped_once_and_then_kept_in_memory(
    server: VaultServer, root: Root, tmp_path: Path
) -> None:
    role = Role.made(root, tmp_path)
    role.deliver(role.wrapped())
    with watched(server) as lab:
        async with connected(lab.address, role.auth(wrapped=True)) as client:
            for _ in range(3):
                await client.read("read", "secret", "rotated/a")
                revoke(root, lab)
        assert [calls(lab, "/unwrap"), calls(lab, "/login")] == [1, 3]


async def test_a_new_wrapping_token_is_taken_when_the_secret_id_is_refused(
    server: VaultServer, root: Root, tmp_path: Path
) -> None:
    role = Role.made(root, tmp_path)
    role.deliver(role.wrapped())
    with watched(server) as lab:
        async with connected(lab.address, role.auth(wrapped=True)) as client:
            await client.read("read", "secret", "rotated/a")
            revoke(root, lab)
            role.destroy_secret_ids()
            with pytest.raises(Denied, match="wrong, expired or used up"):
                await client.read("read", "secret", "rotated/a")
            role.deliver(role.wrapped())
            await client.read("read", "secret", "rotated/a")


async def test_a_wrapping_token_that_somebody_used_is_told_as_a_possible_theft(
    server: VaultServer, root: Root, tmp_path: Path
) -> None:
    role = Role.made(root, tmp_path)
    wrapping = role.wrapped()
    role.deliver(wrapping)
    Root(root.address, wrapping).answer("POST", "sys/wrapping/unwrap")
    said = await refusal(server.address, role.auth(wrapped=True))
    assert "somebody else may have stolen the secret id" in said


async def test_a_wrapping_token_that_was_made_elsewhere_is_not_used(
    server: VaultServer, root: Root, tmp_path: Path
) -> None:
    role = Role.made(root, tmp_path)
    other = role.wrapped("auth/token/create")
    role.deliver(other)
    said = await refusal(server.address, role.auth(wrapped=True))
    assert "was not made at `secret_id_response_wrapping_path`" in said
    Root(root.address, other).answer("POST", "sys/wrapping/unwrap")


# JSON Web Tokens


async def test_a_jwt_is_read_again_at_each_login(server: VaultServer, issuer: Issuer, tmp_path: Path) -> None:
    auth = jwt_auth(issuer, put(tmp_path / "jwt", issuer.sign(sub="rotator")))
    with watched(server) as lab:
        async with connected(lab.address, auth) as client:
            await client.read("read", "secret", "rotated/a")
            revoke(issuer.root, lab)
            put(tmp_path / "jwt", renewed := issuer.sign(sub="rotator", jti="second"))
            await client.read("read", "secret", "rotated/a")
        bodies = [request.body for request in lab.seen if request.path.endswith("/login")]
    assert [renewed.reveal().encode() in body for body in bodies] == [False, True]


@pytest.mark.parametrize(
    ("claims", "says"),
    [
        ({"aud": "elsewhere"}, "it is made for another audience"),
        ({"iss": "somebody"}, "it comes from another issuer"),
        ({"sub": "somebody"}, "it does not have the claims that the role is bound to"),
        ({"exp": 1_000_000_000, "nbf": 999_999_999, "iat": 999_999_999}, "it has expired"),
        ({"nbf": 4_000_000_000, "exp": 4_000_000_001}, "it is not valid yet"),
    ],
)
async def test_why_a_jwt_is_refused(
    server: VaultServer, issuer: Issuer, tmp_path: Path, claims: dict[str, object], says: str
) -> None:
    jwt = issuer.sign(**{"sub": "rotator", "note": CANARY} | claims)
    said = await refusal(server.address, jwt_auth(issuer, put(tmp_path / "jwt", jwt)))
    assert f"log in with vault.auth.jwt: 400: the JWT is refused: {says}" in said
    assert said.endswith(f"look at {{file: {tmp_path / 'jwt'}}}")


async def test_a_jwt_that_somebody_else_signed_and_a_text_that_is_none(
    server: VaultServer, root: Root, issuer: Issuer, tmp_path: Path
) -> None:
    other = Issuer.made(root).sign(sub="rotator")
    auth = jwt_auth(issuer, put(tmp_path / "jwt", other))
    assert "no key that Vault knows has signed it" in await refusal(server.address, auth)
    put(tmp_path / "jwt", Secret(f"{CANARY}-no-jwt"))
    assert "400: the JWT is refused" in await refusal(server.address, auth)


# Kubernetes


@pytest.mark.parametrize(
    ("account", "says"),
    [
        ({"name": "other"}, "the role is not for this service account"),
        ({"namespace": "other"}, "the role is not for service accounts of this Kubernetes namespace"),
        ({"audience": "elsewhere"}, "it is made for another audience"),
        ({"exp": 1_000_000_000, "nbf": 999_999_999, "iat": 999_999_999}, "it has expired"),
    ],
)
async def test_why_a_service_account_is_refused(
    server: VaultServer,
    issuer: Issuer,
    cluster: Kubernetes,
    tmp_path: Path,
    account: dict[str, Any],
    says: str,
) -> None:
    jwt = put(tmp_path / "jwt", issuer.service_account(**account))
    said = await refusal(server.address, cluster.auth(issuer, jwt))
    assert f"the JWT is refused: {says}" in said


@pytest.mark.parametrize(
    "answer",
    [
        reviewed({"authenticated": False, "error": "invalid bearer token"}),
        Reply.of(500, {"message": "down"}),
    ],
    ids=["refused", "out of order"],
)
async def test_vault_says_the_same_when_kubernetes_refuses_and_when_it_is_down(
    server: VaultServer, issuer: Issuer, cluster: Kubernetes, tmp_path: Path, answer: Reply
) -> None:
    auth, clock = cluster.auth(issuer, put(tmp_path / "jwt", issuer.service_account())), VirtualClock()
    works = cluster.answer
    cluster.answer = lambda _claims: answer
    async with connected(server.address, auth, clock=clock) as client:
        said = await denied(client)
        cluster.answer = works
        clock.advance(timedelta(minutes=1))
        await client.read("read", "secret", "rotated/a")
    assert "403: the JWT is refused: Kubernetes does not confirm it, or did not answer Vault" in said


async def test_a_role_that_vault_does_not_know(
    server: VaultServer, issuer: Issuer, cluster: Kubernetes, tmp_path: Path
) -> None:
    for auth in (
        cluster.auth(issuer, put(tmp_path / "account", issuer.service_account())),
        jwt_auth(issuer, put(tmp_path / "jwt", issuer.sign(sub="rotator"))),
    ):
        for role in ("rotator", "role"):
            issuer.root.ask("DELETE", f"auth/{auth.mount}/{role}/rotator")
        assert "Vault knows no such role" in await refusal(server.address, auth)


# Namespaces


async def test_login_and_entries_are_in_one_namespace(
    server: VaultServer, root: Root, tmp_path: Path, place: str
) -> None:
    root.do("POST", f"sys/namespaces/{place}", {})
    kv = {"type": "kv", "options": {"version": "2"}}
    root.do("POST", "sys/mounts/secret", kv, namespace=place)
    role = Role.made(root, tmp_path, namespace=place)
    role.deliver(role.wrapped())
    async with connected(server.address, role.auth(wrapped=True), namespace=place) as client:
        await client.write("write", "secret", f"rotated/{place}", DATA, base=0)
    assert root.ask("GET", f"secret/data/rotated/{place}", namespace=place).status == 200
    assert root.ask("GET", f"secret/data/rotated/{place}").status == 404


async def test_a_wrong_namespace_is_told(server: VaultServer, root: Root, tmp_path: Path, place: str) -> None:
    role = Role.made(root, tmp_path)
    async with connected(server.address, role.auth(), namespace="nowhere") as client:
        with pytest.raises(
            Rejected, match=r"log in with vault.auth.approle: 404: there is no such namespace"
        ):
            await client.read("read", "secret", "rotated/a")
    root.do("POST", f"sys/namespaces/{place}", {})
    other = await refusal(server.address, role.auth(), namespace=place)
    assert "no such method is mounted at" in other
    assert "in this namespace" in other
