"""The Deployment, started for real: what kustomize makes, in a pod of podman's, against the real servers.

What podman (4.3) can't do is left out or replaced, and nothing else: see `playable`.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
import yaml

from rotator.model.secret import Secret
from tests.deploy import needs
from tests.deploy.engine import GATEWAY, IMAGE, NETWORK, Engine, engine, trusted
from tests.deploy.installation import RIGHTS
from tests.deploy.internet import PORTS, Internet, internet
from tests.deploy.lab import Lab
from tests.deploy.machine import until
from tests.deploy.manifests import Document, by_kind, overlay, pod_of
from tests.support.vault_auth import AUDIENCE, Issuer, Kubernetes, kubernetes
from tests.support.vault_lab import Root

pytestmark = [
    pytest.mark.artefact("deploy/kubernetes/overlays/single", "real"),
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.timeout(900),
]

CONTAINER = "rotator-pod-0-rotator"
MIB = 1024


@dataclass(frozen=True, slots=True)
class Here:
    """A running pod. `rendered` is what it was made of, before anything was replaced."""

    engine: Engine
    internet: Internet
    rendered: dict[str, Document]

    async def asked(self, path: str) -> str:
        """Return what the pod answers from outside."""
        return (await self.engine.shell(f"curl --silent 127.0.0.1:9464{path}")).shown

    async def inside(self, command: str) -> str:
        """Run a command in the container."""
        return await self.engine.done(f"podman exec {CONTAINER} {command}")

    async def status(self) -> dict[str, str]:
        """Return what the kernel says of the process."""
        lines = (await self.inside("cat /proc/1/status")).splitlines()
        return dict(line.split(":\t") for line in lines if ":\t" in line)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def here(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Here]:
    needs.programs("mmdebstrap", "systemd-nspawn", "podman", "runc", "catatonit", "iptables", "curl")
    rendered = by_kind(overlay("single"))
    folder = Path(tempfile.mkdtemp(prefix="rotator-engine-"))
    with kubernetes() as reviewer:
        async with (
            internet(tmp_path_factory.mktemp("internet")) as there,
            engine(lab, there, folder) as hands,
        ):
            token = logged_in(there.root, reviewer, there.authority)
            await hands.done(f"podman build --quiet --file deploy/container/Containerfile --tag {IMAGE} .")
            (folder / "pod.yaml").write_text(
                playable(lab, folder, token=token, management=there.management.secret)
            )
            await hands.done(f"podman play kube --network={NETWORK} {folder}/pod.yaml")
            yield Here(hands, there, rendered)


def logged_in(root: Root, reviewer: Kubernetes, authority: str) -> Secret:
    """Set Vault up as deploy/README.md says, and return a token of the service account."""
    issuer = Issuer.made(root)
    root.do("POST", "sys/auth/kubernetes", {"type": "kubernetes"})
    config = {
        "kubernetes_host": reviewer.lab.address,
        "kubernetes_ca_cert": authority,
        "token_reviewer_jwt": issuer.service_account("reviewer").reveal(),
    }
    root.do("POST", "auth/kubernetes/config", config)
    role = {
        "bound_service_account_names": ["rotator"],
        "bound_service_account_namespaces": ["rotator"],
        "audience": AUDIENCE,
        "token_policies": [root.new_policy(RIGHTS)],
    }
    root.do("POST", "auth/kubernetes/role/rotator", role)
    return issuer.service_account(namespace="rotator")


def playable(lab: Lab, folder: Path, *, token: Secret, management: Secret) -> str:
    """Return the ConfigMap and the Deployment as podman takes them, with the Secret that an operator makes.

    It knows no projected volumes, so the token comes from a ConfigMap; it does not decode a Secret, so the value stands there
    as it is; it runs probes as programs of the container, so the test asks them. Besides: the image was built here, the
    port is reached from this machine, and the servers of the tests are found and trusted.
    """
    found = by_kind(overlay("single"))
    pod = pod_of(found)
    (container,) = pod["containers"]
    container |= {"image": IMAGE, "imagePullPolicy": "Never"}
    for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
        del container[probe]
    container["ports"][0] |= {"hostPort": 9464, "hostIP": "127.0.0.1"}
    pod["hostAliases"] = [{"ip": GATEWAY, "hostnames": list(PORTS)}]
    container["volumeMounts"].append({"name": "trusted", "mountPath": trusted(lab), "readOnly": True})
    # As the page says, for an authority that only its user knows.
    policy_file = found["ConfigMap"]["data"]
    policy_file["config.yaml"] = policy_file["config.yaml"].replace(
        "  auth:\n", "  ca_cert: /etc/rotator/vault-ca.pem\n  auth:\n", 1
    )
    policy_file["vault-ca.pem"] = (folder / "authority.pem").read_text()
    (projected,) = [volume for volume in pod["volumes"] if "projected" in volume]
    del projected["projected"]
    projected["configMap"] = {"name": "token"}
    pod["volumes"].append(
        {"name": "trusted", "hostPath": {"path": str(folder / "authority.pem"), "type": "File"}}
    )
    tokens = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "token"}}
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "rotator"}}
    documents: list[dict[str, Any]] = [
        found["ConfigMap"],
        tokens | {"data": {"token": token.reveal()}},
        secret | {"data": {"deepgram-api-key": management.reveal()}},
        found["Deployment"],
    ]
    return yaml.safe_dump_all(documents)


async def test_it_becomes_ready_by_its_own_probes_and_rotates(here: Here) -> None:
    (container,) = pod_of(here.rendered)["containers"]
    for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
        path = container[probe]["httpGet"]["path"]
        await until(lambda: _ok(here, path), f"the {probe} passes")  # noqa: B023 (waited for at once)

    await until(lambda: here.internet.serves("gateway"), "the new secret is in Vault")


async def test_it_runs_without_root_and_without_rights_and_can_write_nothing(here: Here) -> None:
    status = await here.status()

    assert set(status["Uid"].split()) == {"65532"}
    assert int(status["CapEff"], 16) == int(status["CapBnd"], 16) == 0
    assert (status["NoNewPrivs"], status["Seccomp"]) == ("1", "2")
    for place in ("/", "/var", "/etc/rotator", "/opt/rotator", "/var/run/secrets/rotator"):
        ran = await here.engine.shell(f"podman exec {CONTAINER} touch {place}/x")
        assert "Read-only file system" in ran.shown, place


async def test_it_needs_less_than_half_of_the_memory_that_it_may_have(here: Here) -> None:
    (container,) = pod_of(here.rendered)["containers"]
    limit = int(container["resources"]["limits"]["memory"].removesuffix("Mi"))

    assert int((await here.status())["VmHWM"].split()[0]) < limit * MIB / 2


async def test_a_changed_config_map_is_taken_and_one_with_a_mistake_is_refused(here: Here) -> None:
    await until(lambda: _ok(here, "/readyz"), "it runs")
    place = await here.engine.done("podman volume inspect rotator --format '{{.Mountpoint}}'")
    as_the_kubelet_makes_it = (
        f"cd {place} && mkdir ..2026 && mv config.yaml ..2026/ && ln -s ..2026 ..data && "
        "ln -s ..data/config.yaml config.yaml && chown --no-dereference --reference . ..data && chmod 0777 ."
    )
    await here.engine.done(as_the_kubelet_makes_it)
    await here.engine.done(f"sed -i s/when_due/when_do/ {place}/..data/config.yaml")
    await until(lambda: _refused(here, "1.0"), "the mistake is noticed")
    assert (await here.asked("/readyz")) == "ok\n", "what was in use before goes on"
    await here.engine.done(f"sed -i s/when_do/when_due/ {place}/..data/config.yaml")
    await until(lambda: _refused(here, "0.0"), "it is mended")


async def test_commands_are_given_in_it_and_the_journal_keeps_who_gave_them(here: Here) -> None:
    await until(lambda: here.internet.serves("gateway"), "the new secret is in Vault")
    for who, what in (("", "secret/x"), ("env USER=ann", "secret/y")):
        await here.inside(f"{who} rotator pause {what} --reason test")
    ended = await here.inside("rotator resume secret/x secret/y")

    (nobody,) = re.findall(r"secret/x, .* by (.*)@rotator-pod-0 ", ended)
    (somebody,) = re.findall(r"secret/y, .* by (.*)@rotator-pod-0 ", ended)
    assert nobody.removeprefix("uid ") == "65532", "podman gives the number as a name"
    assert somebody == "ann"


async def test_it_ends_by_the_signal_that_kubernetes_sends(here: Here) -> None:
    await until(lambda: here.internet.serves("gateway"), "the new secret is in Vault")
    await here.engine.done(f"podman stop --time 30 {CONTAINER}")
    state = (await here.engine.inspected("container", CONTAINER))["State"]
    log = await here.engine.done(f"podman logs {CONTAINER}")

    assert (state["ExitCode"], state["OOMKilled"]) == (0, False)
    assert "gateway" in log
    assert "Traceback" not in log


async def _ok(here: Here, path: str) -> bool:
    return await here.asked(path) == "ok\n"


async def _refused(here: Here, figure: str) -> bool:
    found = re.search(r"^rotator_policy_file_rejected (\S+)$", await here.asked("/metrics"), re.MULTILINE)
    return found is not None and found[1] == figure
