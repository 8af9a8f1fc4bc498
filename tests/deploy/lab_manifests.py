"""The manifests and the container file, judged by programs that others made."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.deploy import needs
from tests.deploy.lab import ROOT, Lab
from tests.deploy.machine import Ran, ran
from tests.deploy.manifests import KUBERNETES, OVERLAYS, by_kind, overlay, pod_of, rendered
from tests.deploy.page import README, follow, section

CONTAINER_FILE = ROOT / "deploy" / "container" / "Containerfile"

VERSIONS = ("1.30", "1.37")
"""The oldest and the newest Kubernetes whose schemas the manifests are held against."""

ACCEPTED = {
    "CKV_K8S_11": "no limit for the processor: one that is slowed down in the middle of a rotation helps nobody",
    "CKV_K8S_15": "the tag of a release does not move, so a node that has the image need not ask for it again",
    "CKV_K8S_43": "the digest of an image is known to whoever built it: it goes into their overlay",
}
"""What checkov finds, and why it stays."""

ACCEPTED_OF_IMAGE = {
    "CKV_DOCKER_2": "no HEALTHCHECK: /livez is asked from outside, and `once` serves none",
    "CKV_DOCKER_7": "the base image has a tag, in an argument where this check does not look",
}

overlays = pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=pytest.mark.artefact(f"deploy/kubernetes/overlays/{name}", "static"))
        for name in OVERLAYS
    ],
)
of_image = pytest.mark.artefact("deploy/container/Containerfile", "static")


@pytest.mark.parametrize("version", VERSIONS)
@overlays
def test_the_api_of_kubernetes_knows_every_field(tmp_path: Path, name: str, version: str) -> None:
    ran = validated(overlay(name), tmp_path, version)

    assert ran.returncode == 0, ran.stderr


@pytest.mark.artefact("deploy/kubernetes/overlays/single", "static")
def test_a_field_that_kubernetes_does_not_know_is_noticed(tmp_path: Path) -> None:
    wrong = overlay("single").replace("readOnlyRootFilesystem", "readOnlyRootFileSystem")

    assert validated(wrong, tmp_path, VERSIONS[-1]).returncode == 1


def validated(text: str, folder: Path, version: str) -> subprocess.CompletedProcess[str]:
    file = folder / "rendered.yaml"
    file.write_text(text)
    command = (needs.tool("kubernetes-validate"), "--strict", "-k", version, str(file))
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def failed(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> dict[str, set[str]]:
    """Return the ids of the checks of checkov that failed, by file. It runs once: it takes its time to start."""
    folder = tmp_path_factory.mktemp("checkov")
    for name in OVERLAYS:
        (folder / f"{name}.yaml").write_text(overlay(name))
    shutil.copy(CONTAINER_FILE, folder / "Dockerfile")
    found = subprocess.run(
        (
            str(lab.checkov),
            *("--directory", str(folder), "--framework", "kubernetes", "dockerfile"),
            *("--output", "json", "--quiet", "--skip-download"),
        ),
        capture_output=True,
        text=True,
        check=False,
    )
    reports = json.loads(found.stdout)
    assert len(reports) == 2
    failures: dict[str, set[str]] = {}
    for report in reports:
        assert report["summary"]["passed"] > 10
        for check in report["results"]["failed_checks"]:
            failures.setdefault(check["file_path"].lstrip("/"), set()).add(check["check_id"])
    return failures


@overlays
def test_what_checkov_finds_in_manifests_is_accepted_with_a_reason(
    failed: dict[str, set[str]], name: str
) -> None:
    assert failed[f"{name}.yaml"] == set(ACCEPTED)


@of_image
def test_what_checkov_finds_in_the_container_file_is_accepted_with_a_reason(
    failed: dict[str, set[str]],
) -> None:
    assert failed["Dockerfile"] == set(ACCEPTED_OF_IMAGE)


@of_image
def test_hadolint_finds_nothing() -> None:
    ran = subprocess.run(
        (needs.tool("hadolint"), str(CONTAINER_FILE)), capture_output=True, text=True, check=False
    )

    assert (ran.returncode, ran.stdout) == (0, "")


@overlays
def test_an_overlay_makes_what_it_should(name: str) -> None:
    found = by_kind(overlay(name))
    common = {"Namespace", "ServiceAccount", "ConfigMap", "NetworkPolicy"}
    own = {
        "single": {"Deployment"},
        "high-availability": {"Deployment", "PodDisruptionBudget"},
        "cronjob": {"CronJob"},
    }

    assert set(found) == common | own[name]
    assert found["ConfigMap"]["metadata"]["name"] == "rotator", "no hash"
    assert {one["metadata"].get("namespace", "rotator") for one in found.values()} == {"rotator"}
    pod_labels = {"app.kubernetes.io/name": "rotator"}
    if "Deployment" in found:
        spec = found["Deployment"]["spec"]
        assert spec["selector"]["matchLabels"] == spec["template"]["metadata"]["labels"] == pod_labels
    for kind, selector in (("NetworkPolicy", "podSelector"), ("PodDisruptionBudget", "selector")):
        if kind in found:
            assert found[kind]["spec"][selector]["matchLabels"] == pod_labels


@pytest.mark.artefact("deploy/kubernetes/overlays/high-availability", "static")
def test_two_replicas_are_never_on_one_node_even_if_there_is_no_other_and_one_of_them_always_stays() -> None:
    found = by_kind(overlay("high-availability"))
    node = next(
        one
        for one in pod_of(found)["topologySpreadConstraints"]
        if one["topologyKey"] == "kubernetes.io/hostname"
    )

    assert found["Deployment"]["spec"]["replicas"] == 2
    assert (node["maxSkew"], node["minDomains"], node["whenUnsatisfiable"]) == (1, 2, "DoNotSchedule")
    assert found["PodDisruptionBudget"]["spec"]["minAvailable"] == 1


class Folder:
    """The hands of somebody who makes an overlay in a copy of the sources."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        shutil.copytree(KUBERNETES, folder / "deploy" / "kubernetes")

    async def shell(self, text: str, given: str = "") -> Ran:
        path = {"PATH": f"{Path(needs.tool('kubectl')).parent}:/usr/bin:/bin"}
        return await ran("sh", "-c", f"cd {self.folder}\n{text}", given=given, environment=path)

    async def write(self, path: str, text: str) -> None:
        (self.folder / path).parent.mkdir(exist_ok=True)
        (self.folder / path).write_text(text)


@pytest.mark.artefact("deploy/kubernetes/overlays/high-availability", "static")
async def test_an_overlay_of_ones_own_is_made_by_the_page(tmp_path: Path) -> None:
    await follow(Folder(tmp_path), section(README, "Kubernetes"))

    text = rendered(tmp_path / "cluster")
    config = (tmp_path / "cluster" / "config.yaml").read_text()
    assert by_kind(text)["ConfigMap"]["data"] == {"config.yaml": config}
    assert by_kind(text)["ConfigMap"]["metadata"]["name"] == "rotator", "no hash"
    assert validated(text, tmp_path, VERSIONS[-1]).returncode == 0
