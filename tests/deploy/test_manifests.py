"""The manifests: what they mount is what the policy file refers to, and both kinds of pods are equally restricted."""

from __future__ import annotations

from datetime import timedelta
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from pathlib import Path

import pytest
import yaml

from rotator import __version__
from rotator.cli.app import rotator
from rotator.policy.load import load
from rotator.policy.settings import KubernetesAuth, SecretReference, SecretSource
from tests.deploy.manifests import KUBERNETES, Document, pod_of
from tests.deploy.page import README

CONFIG = KUBERNETES / "base" / "config.yaml"
LONGEST_DRAIN = timedelta(minutes=2, seconds=30)

PODS = {
    "single": {"Deployment": yaml.safe_load((KUBERNETES / "overlays/single/deployment.yaml").read_text())},
    "cronjob": {"CronJob": yaml.safe_load((KUBERNETES / "overlays/cronjob/cronjob.yaml").read_text())},
}

pods = pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=pytest.mark.artefact(f"deploy/kubernetes/overlays/{name}", "static"))
        for name in PODS
    ],
)


def container_of(pod: Document) -> Document:
    (container,) = pod["containers"]
    return dict(container)


@pytest.mark.artefact("deploy/kubernetes/base", "static")
def test_the_policy_file_is_fine_and_is_the_one_of_the_page() -> None:
    file = load(CONFIG.read_bytes(), name="config.yaml")

    assert file.runtime.listen == "0.0.0.0:9464", "asked for from outside of the pod"
    pasted = README.read_text().split("<!-- file: cluster/config.yaml -->\n```yaml\n")[1].split("```")[0]
    assert load(pasted.encode(), name="README.md") == load(CONFIG.read_bytes(), name="README.md")


@pods
def test_the_policy_file_refers_to_what_is_mounted(name: str) -> None:
    file = load(CONFIG.read_bytes(), name="config.yaml")
    pod = pod_of(PODS[name])
    volumes = {volume["name"]: volume for volume in pod["volumes"]}
    mounted = {mount["mountPath"]: volumes[mount["name"]] for mount in container_of(pod)["volumeMounts"]}

    assert isinstance(file.vault.auth, KubernetesAuth)
    token = Path(file.vault.auth.jwt.name)
    (source,) = mounted[str(token.parent)]["projected"]["sources"]
    assert source["serviceAccountToken"]["path"] == token.name
    assert source["serviceAccountToken"]["audience"] == "vault"
    for provider in file.providers:
        assert isinstance(provider.credential, SecretReference)
        assert provider.credential.source is SecretSource.FILE
        path = Path(provider.credential.name)
        assert mounted[str(path.parent)]["secret"]["secretName"] == "rotator"
        assert f"--from-file={path.name}=/dev/stdin" in README.read_text()
    assert mounted["/etc/rotator"]["configMap"]["name"] == "rotator"


@pods
def test_secrets_are_for_the_group_of_the_container_and_changes_reach_it(name: str) -> None:
    pod = pod_of(PODS[name])

    for volume in pod["volumes"]:
        if "configMap" not in volume:
            assert (volume.get("secret") or volume["projected"])["defaultMode"] == 0o440
    assert pod["securityContext"]["fsGroup"] == pod["securityContext"]["runAsGroup"]
    for mount in container_of(pod)["volumeMounts"]:
        assert mount["readOnly"] is True
        assert "subPath" not in mount


@pods
def test_a_pod_is_restricted_and_runs_a_command_that_there_is(name: str) -> None:
    pod = pod_of(PODS[name])
    container = container_of(pod)

    assert container["args"][-1] in rotator.commands
    assert container["image"].endswith(f":{__version__}")
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert pod["automountServiceAccountToken"] is False
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert timedelta(seconds=pod["terminationGracePeriodSeconds"]) > LONGEST_DRAIN


@pytest.mark.artefact("deploy/kubernetes/overlays/cronjob", "static")
def test_both_kinds_of_pods_differ_only_in_what_they_run() -> None:
    """Kustomize can't share one between kinds."""
    service, sweep = (pod_of(PODS[name]) for name in ("single", "cronjob"))
    one, other = container_of(service), container_of(sweep)
    probes_and_ports = {"ports", "startupProbe", "livenessProbe", "readinessProbe"}

    assert service | {"containers": [], "restartPolicy": "Never"} == sweep | {"containers": []}
    assert {key: value for key, value in one.items() if key not in probes_and_ports} == other | {
        "args": one["args"]
    }
    assert other["args"] == [*one["args"][:-1], "once"]


@pytest.mark.artefact("deploy/kubernetes/overlays/cronjob", "static")
def test_one_sweep_at_a_time_and_none_is_repeated() -> None:
    job = PODS["cronjob"]["CronJob"]["spec"]

    assert job["concurrencyPolicy"] == "Forbid"
    assert job["jobTemplate"]["spec"]["backoffLimit"] == 0


@pytest.mark.artefact("deploy/kubernetes/base", "static")
@pytest.mark.parametrize("resolver", ["169.254.20.10", "169.254.169.254"], ids=["on the node", "of a cloud"])
def test_a_resolver_that_is_no_pod_is_asked_for_names_only(resolver: str) -> None:
    policy = yaml.safe_load((KUBERNETES / "base" / "network-policy.yaml").read_text())
    reached = [
        port["port"]
        for rule in policy["spec"]["egress"]
        for peer in rule.get("to", [])
        if "ipBlock" in peer and _lets(peer["ipBlock"], ip_address(resolver))
        for port in rule["ports"]
    ]

    assert reached == [53, 53]


def _lets(block: Document, address: IPv4Address | IPv6Address) -> bool:
    inside, *outside = (ip_network(one) for one in (block["cidr"], *block.get("except", [])))
    return address in inside and not any(address in one for one in outside)


@pytest.mark.artefact("deploy/kubernetes/overlays/single", "static")
def test_probes_ask_what_is_served_at_the_port_that_is_opened() -> None:
    container = container_of(pod_of(PODS["single"]))
    (port,) = container["ports"]
    policy = yaml.safe_load((KUBERNETES / "base" / "network-policy.yaml").read_text())

    for probe, path in (
        ("startupProbe", "/livez"),
        ("livenessProbe", "/livez"),
        ("readinessProbe", "/readyz"),
    ):
        assert container[probe]["httpGet"] == {"path": path, "port": port["name"]}
    served = int(load(CONFIG.read_bytes(), name="config.yaml").runtime.listen.rpartition(":")[2])
    assert port["containerPort"] == served
    assert policy["spec"]["ingress"][0]["ports"][0]["port"] == served
