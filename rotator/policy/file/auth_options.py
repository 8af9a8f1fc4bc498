"""The table of options: the ways to log in to Vault. A secret may be pasted anywhere here, so no key that is found is shown."""

from __future__ import annotations

from rotator.policy.file.kinds import ABSOLUTE_PATH, matching, optional
from rotator.policy.file.option import Needed, Option, Section, Shape
from rotator.policy.file.references import NOWHERE, REFERENCE, REFERENCE_HINT
from rotator.policy.names import MOUNT_OF_LOGIN, NAME, PATH
from rotator.policy.settings import SecretReference, SecretSource

TOKEN = Needed(
    name="token",
    kind=REFERENCE,
    stand_in=NOWHERE,
    why="A token. It is renewed as long as Vault does that, and read again when it is not.",
    hint=REFERENCE_HINT,
)
APPROLE_MOUNT = Option(
    name="mount", kind=matching(MOUNT_OF_LOGIN), default="approle", why="Where AppRole is enabled."
)
ROLE_ID = Needed(
    name="role_id", kind=REFERENCE, stand_in=NOWHERE, why="The id of the role.", hint=REFERENCE_HINT
)
SECRET_ID = Needed(
    name="secret_id",
    kind=REFERENCE,
    stand_in=NOWHERE,
    why="The secret id of the role, or the wrapping token that leads to it.",
    hint=REFERENCE_HINT,
)
WRAPPING_PATH = Option(
    name="secret_id_response_wrapping_path",
    kind=optional(matching(PATH)),
    default=None,
    why="Where in Vault's API the wrapping token was made, such as `auth/approle/role/rotator/secret-id`; "
    "then `secret_id` leads to that token, and one that was made elsewhere is refused.",
)
KUBERNETES_MOUNT = Option(
    name="mount",
    kind=matching(MOUNT_OF_LOGIN),
    default="kubernetes",
    why="Where Kubernetes login is enabled.",
)
ROLE = Needed(
    name="role", kind=matching(NAME), stand_in="", why="The role in Vault.", hint="write `role: NAME`"
)
SERVICE_ACCOUNT = Option(
    name="jwt",
    kind=REFERENCE,
    default=SecretReference(SecretSource.FILE, "/var/run/secrets/kubernetes.io/serviceaccount/token"),
    why="The token of the service account; Kubernetes puts it there and replaces it in time.",
)
JWT_MOUNT = Option(
    name="mount",
    kind=matching(MOUNT_OF_LOGIN),
    default="jwt",
    why="Where login with a JSON Web Token is enabled.",
)
JWT = Needed(name="jwt", kind=REFERENCE, stand_in=NOWHERE, why="The JSON Web Token.", hint=REFERENCE_HINT)
CERT_MOUNT = Option(
    name="mount",
    kind=matching(MOUNT_OF_LOGIN),
    default="cert",
    why="Where login with certificates is enabled.",
)
CERT_NAME = Option(
    name="name",
    kind=optional(matching(NAME)),
    default=None,
    otherwise="any role that the certificate fits",
    why="The role in Vault.",
)
CERT = Needed(
    name="cert",
    kind=ABSOLUTE_PATH,
    stand_in="",
    why="The file with our certificate, in PEM.",
    hint="write `cert: PATH`",
)
CERT_KEY = Needed(
    name="key",
    kind=ABSOLUTE_PATH,
    stand_in="",
    why="The file with its private key, in PEM.",
    hint="write `key: PATH`",
)

APPROLE_LOGIN = Section(
    name="approle",
    why="Log in with an AppRole.",
    parts=(APPROLE_MOUNT, ROLE_ID, SECRET_ID, WRAPPING_PATH),
)
KUBERNETES_LOGIN = Section(
    name="kubernetes",
    why="Log in with the token of a Kubernetes service account.",
    parts=(KUBERNETES_MOUNT, ROLE, SERVICE_ACCOUNT),
)
JWT_LOGIN = Section(name="jwt", why="Log in with a JSON Web Token.", parts=(JWT_MOUNT, ROLE, JWT))
CERT_LOGIN = Section(
    name="cert",
    why="Log in with a TLS client certificate.",
    parts=(CERT_MOUNT, CERT_NAME, CERT, CERT_KEY),
)
AUTH = Section(
    name="auth",
    why="How to log in to Vault: exactly one of these.",
    parts=(TOKEN, APPROLE_LOGIN, KUBERNETES_LOGIN, JWT_LOGIN, CERT_LOGIN),
    shape=Shape.CHOICE,
    needed=True,
    guarded=True,
)
