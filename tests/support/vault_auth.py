"""What logging in needs around a real server: roles, secret ids, signed JWTs, certificates, a Kubernetes that reviews.

JWTs and certificates are signed by the server itself, with its engines `transit` and `pki`: no other program is needed.
"""

from __future__ import annotations

import base64
import json
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from rotator.clock import SystemClock
from rotator.model.secret import Secret
from rotator.policy.settings import AppRoleAuth, JwtAuth, KubernetesAuth, SecretReference, SecretSource
from tests.support.canary import CANARY, secret_text
from tests.support.vault_lab import LEAST_PRIVILEGE, Between, Reply, Root, Seen, between

AUDIENCE = "vault"


def put(path: Path, secret: Secret) -> SecretReference:
    """Write a secret into a file that only we can read, and return the reference to it."""
    path.touch(mode=0o600)
    path.write_text(f"{secret.reveal()}\n")
    return SecretReference(SecretSource.FILE, str(path))


def method(root: Root, kind: str, *, namespace: str = "") -> str:
    """Enable an auth method at a mount of its own, and return the mount."""
    mount = f"{kind}-{uuid.uuid4().hex[:8]}"
    root.do("POST", f"sys/auth/{mount}", {"type": kind}, namespace=namespace)
    return mount


@dataclass(frozen=True, slots=True)
class Role:
    """An AppRole that may do what rotator needs, and the files that its ids are delivered in."""

    root: Root
    mount: str
    folder: Path
    namespace: str = ""

    @classmethod
    def made(
        cls, root: Root, folder: Path, *, namespace: str = "", may: str = LEAST_PRIVILEGE, **settings: str
    ) -> Role:
        """Make the role, with a secret id in its file. `settings` are those of Vault, such as `token_ttl`."""
        role = cls(root, method(root, "approle", namespace=namespace), folder, namespace)
        policy = root.new_policy(may, namespace=namespace)
        root.do(
            "POST",
            f"auth/{role.mount}/role/rotator",
            {"token_policies": [policy], **settings},
            namespace=namespace,
        )
        role.put_role_id(Secret(f"{CANARY}-role-{role.mount}"))
        role.deliver(role.new_secret_id())
        return role

    @property
    def path(self) -> str:
        """Where secret ids are made."""
        return f"auth/{self.mount}/role/rotator/secret-id"

    def put_role_id(self, role_id: Secret) -> None:
        self.root.do(
            "POST",
            f"auth/{self.mount}/role/rotator/role-id",
            {"role_id": role_id.reveal()},
            namespace=self.namespace,
        )
        put(self.folder / "role-id", role_id)

    def new_secret_id(self) -> Secret:
        """Make a secret id that carries the canary."""
        secret_id = Secret(secret_text(f"secret-id {uuid.uuid4()}"))
        path = f"auth/{self.mount}/role/rotator/custom-secret-id"
        self.root.answer("POST", path, {"secret_id": secret_id.reveal()}, namespace=self.namespace)
        return secret_id

    def wrapped(self, path: str = "") -> Secret:
        """Make a secret id and return the wrapping token around it."""
        headers = {"X-Vault-Wrap-TTL": "60s", "X-Vault-Namespace": self.namespace}
        reply = self.root.ask_with(headers, "POST", path or self.path)
        return Secret(json.loads(reply.body)["wrap_info"]["token"])

    def deliver(self, secret_id: Secret) -> None:
        """Put a secret id, or a wrapping token, where rotator reads it."""
        put(self.folder / "secret-id", secret_id)

    def destroy_secret_ids(self) -> None:
        """Make every secret id of the role worthless. Its tokens live on."""
        listed = self.root.answer("GET", f"{self.path}?list=true", namespace=self.namespace)
        for accessor in listed["data"]["keys"]:
            path = f"auth/{self.mount}/role/rotator/secret-id-accessor/destroy"
            self.root.do("POST", path, {"secret_id_accessor": accessor}, namespace=self.namespace)

    def auth(self, *, wrapped: bool = False) -> AppRoleAuth:
        return AppRoleAuth(
            mount=self.mount,
            role_id=SecretReference(SecretSource.FILE, str(self.folder / "role-id")),
            secret_id=SecretReference(SecretSource.FILE, str(self.folder / "secret-id")),
            secret_id_response_wrapping_path=self.path if wrapped else None,
        )


def _engine(root: Root, kind: str) -> str:
    mount = f"{kind}-{uuid.uuid4().hex[:8]}"
    root.do("POST", f"sys/mounts/{mount}", {"type": kind})
    return mount


@dataclass(frozen=True, slots=True)
class Issuer:
    """Somebody who signs JWTs (RFC 7519)."""

    root: Root
    key: str
    public_key: str

    @classmethod
    def made(cls, root: Root) -> Issuer:
        mount = _engine(root, "transit")
        root.ask("POST", f"{mount}/keys/issuer", {"type": "ecdsa-p256"})
        public_key = root.answer("GET", f"{mount}/keys/issuer")["data"]["keys"]["1"]["public_key"]
        return cls(root, f"{mount}/sign/issuer/sha2-256", public_key)

    def sign(self, **claims: object) -> Secret:
        """Return a JWT that lives for ten minutes, if `claims` do not say otherwise."""
        now = int(SystemClock().now().timestamp())
        all_claims = {"iss": "issuer", "aud": AUDIENCE, "iat": now, "nbf": now, "exp": now + 600} | claims
        parts = [{"alg": "ES256", "typ": "JWT"}, all_claims]
        text = ".".join(_base64url(json.dumps(part).encode()) for part in parts)
        order = {"input": base64.b64encode(text.encode()).decode(), "marshaling_algorithm": "jws"}
        signature = self.root.answer("POST", self.key, order)["data"]["signature"]
        return Secret(f"{text}.{signature.rpartition(':')[2]}")

    def service_account(
        self, name: str = "rotator", *, namespace: str = "ops", audience: str = AUDIENCE, **claims: object
    ) -> Secret:
        """Return the token of a service account, as Kubernetes projects it."""
        account = {"namespace": namespace, "serviceaccount": {"name": name, "uid": "u-1"}}
        subject = f"system:serviceaccount:{namespace}:{name}"
        return self.sign(**{"sub": subject, "aud": [audience], "kubernetes.io": account, **claims})


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def jwt_auth(issuer: Issuer, jwt: SecretReference, **settings: str) -> JwtAuth:
    """Set up a JWT method with a role that may do what rotator needs."""
    root = issuer.root
    mount = method(root, "jwt")
    config = {"jwt_validation_pubkeys": [issuer.public_key], "bound_issuer": "issuer"}
    root.do("POST", f"auth/{mount}/config", config)
    role = {
        "role_type": "jwt",
        "user_claim": "sub",
        "bound_audiences": [AUDIENCE],
        "bound_subject": "rotator",
        "token_policies": [root.new_policy(LEAST_PRIVILEGE)],
        **settings,
    }
    root.do("POST", f"auth/{mount}/role/rotator", role)
    return JwtAuth(mount=mount, role="rotator", jwt=jwt)


@dataclass(slots=True)
class Kubernetes:
    """A stub of Kubernetes' TokenReview: it confirms every token, unless it was told to `answer` otherwise."""

    lab: Between
    answer: Callable[[dict[str, object]], Reply] = field(default_factory=lambda: _review)

    def auth(self, issuer: Issuer, jwt: SecretReference) -> KubernetesAuth:
        """Set up a Kubernetes method with a role that may do what rotator needs."""
        root = issuer.root
        mount = method(root, "kubernetes")
        config = {
            "kubernetes_host": self.lab.address,
            # It has to be there, and is not looked at over plain http.
            "kubernetes_ca_cert": ClientAuthority.made(root).certificate,
            "token_reviewer_jwt": issuer.service_account("reviewer").reveal(),
        }
        root.do("POST", f"auth/{mount}/config", config)
        role = {
            "bound_service_account_names": ["rotator"],
            "bound_service_account_namespaces": ["ops"],
            "audience": AUDIENCE,
            "token_policies": [root.new_policy(LEAST_PRIVILEGE)],
        }
        root.do("POST", f"auth/{mount}/role/rotator", role)
        return KubernetesAuth(mount=mount, role="rotator", jwt=jwt)


@contextmanager
def kubernetes() -> Iterator[Kubernetes]:
    """Run the stub on loopback."""
    made: list[Kubernetes] = []

    def rule(request: Seen, _forward: Callable[[], Reply]) -> Reply | None:
        token = json.loads(request.body)["spec"]["token"]
        body = token.split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
        return made[0].answer(claims)

    with between(rule) as lab:
        made.append(Kubernetes(lab))
        yield made[0]


def _review(claims: dict[str, object]) -> Reply:
    user = {"username": claims["sub"], "uid": "u-1", "groups": ["system:serviceaccounts"]}
    return reviewed({"authenticated": True, "user": user, "audiences": claims["aud"]})


def reviewed(status: object) -> Reply:
    """Return a TokenReview (https://kubernetes.io/docs/reference/kubernetes-api/authentication-resources/)."""
    return Reply.of(201, {"kind": "TokenReview", "apiVersion": "authentication.k8s.io/v1", "status": status})


@dataclass(frozen=True, slots=True)
class ClientAuthority:
    """Somebody who signs client certificates."""

    root: Root
    mount: str
    certificate: str

    @classmethod
    def made(cls, root: Root) -> ClientAuthority:
        mount = _engine(root, "pki")
        key = {"key_type": "ec", "key_bits": 256}
        made = root.answer("POST", f"{mount}/root/generate/internal", {"common_name": "clients", **key})
        rights = {"allow_any_name": True, "enforce_hostnames": False, "server_flag": False}
        root.answer("POST", f"{mount}/roles/client", {**rights, **key, "ttl": "1h"})
        return cls(root, mount, made["data"]["certificate"])

    def sign(self, name: str, certificate: Path, key: Path) -> None:
        """Write a new certificate, made out to `name`, and its key into two files."""
        made = self.root.answer("POST", f"{self.mount}/issue/client", {"common_name": name})["data"]
        key.touch(mode=0o600)
        key.write_text(made["private_key"])
        certificate.write_text(made["certificate"])
