"""The manifests, as kustomize makes them."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any, Final

import yaml

from tests.deploy import needs
from tests.deploy.lab import ROOT

KUBERNETES: Final = ROOT / "deploy" / "kubernetes"
OVERLAYS: Final = ("single", "high-availability", "cronjob")

Document = dict[str, Any]


def rendered(folder: Path) -> str:
    """Return what kustomize makes of a folder."""
    return subprocess.run(
        (needs.tool("kubectl"), "kustomize", str(folder)), capture_output=True, text=True, check=True
    ).stdout


def overlay(name: str) -> str:
    """Return what kustomize makes of one of ours."""
    return rendered(KUBERNETES / "overlays" / name)


def by_kind(text: str) -> dict[str, Document]:
    """Return the documents of a text by their kinds, of which each is there once."""
    documents: list[Document] = list(yaml.safe_load_all(text))
    found = {document["kind"]: document for document in documents}
    assert len(found) == len(documents)
    return found


def pod_of(found: dict[str, Document]) -> Document:
    """Return the specification of the pods that a Deployment or a CronJob makes."""
    if "Deployment" in found:
        pod: Document = found["Deployment"]["spec"]["template"]["spec"]
    else:
        pod = found["CronJob"]["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    return pod
