"""The pod to give commands in: what kubectl asks of a cluster when the page is followed."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from tests.deploy import needs
from tests.deploy.machine import ran
from tests.deploy.manifests import by_kind, overlay, pod_of
from tests.deploy.page import README, section

PODS = "/api/v1/namespaces/rotator/pods"
NAME = "rotator-68c9-x7k2p"


@contextmanager
def cluster(pod: dict[str, Any], folder: Path) -> Iterator[tuple[Path, list[bytes]]]:
    """Run as much of the API as is asked for, with one pod; yield how it is reached, and what is to be created there."""
    metadata = {"name": NAME, "namespace": "rotator", "labels": {"app.kubernetes.io/name": "rotator"}}
    there = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": metadata,
        "spec": pod,
        "status": {"phase": "Succeeded"},
    }
    of_pods = {
        "name": "pods",
        "singularName": "pod",
        "namespaced": True,
        "kind": "Pod",
        "verbs": ["get", "list"],
    }
    answers: dict[str, dict[str, Any]] = {
        "/api": {"kind": "APIVersions", "versions": ["v1"]},
        "/apis": {"kind": "APIGroupList", "groups": []},
        "/api/v1": {"kind": "APIResourceList", "groupVersion": "v1", "resources": [of_pods]},
        PODS: {"kind": "PodList", "apiVersion": "v1", "items": [there]},
        f"{PODS}/{NAME}": there,
    }
    created: list[bytes] = []

    class Api(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            path = self.path.partition("?")[0]
            self._answer(HTTPStatus.OK if path in answers else HTTPStatus.NOT_FOUND, answers.get(path, {}))

        def do_POST(self) -> None:
            assert self.path.partition("?")[0] == PODS
            created.append(self.rfile.read(int(self.headers["content-length"])))
            self._answer(HTTPStatus.CREATED, there)

        def log_message(self, *_: object) -> None:
            pass

        def _answer(self, status: HTTPStatus, what: dict[str, Any]) -> None:
            body = json.dumps(what).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Api)
    address = {"cluster": {"server": f"http://127.0.0.1:{server.server_port}"}, "name": "x"}
    context = {"context": {"cluster": "x"}, "name": "x"}
    kubeconfig = folder / "kubeconfig"
    kubeconfig.write_text(
        json.dumps({"current-context": "x", "clusters": [address], "contexts": [context], "users": []})
    )
    Thread(target=server.serve_forever).start()
    try:
        yield kubeconfig, created
    finally:
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=pytest.mark.artefact(f"deploy/kubernetes/overlays/{name}", "static"))
        for name in ("single", "cronjob")
    ],
)
async def test_a_pod_to_give_commands_in_sleeps_and_has_what_rotator_has(tmp_path: Path, name: str) -> None:
    found = re.search(r"^    (kubectl debug .*)$", section(README, "Give commands"), re.MULTILINE)
    assert found is not None
    with cluster(pod_of(by_kind(overlay(name))), tmp_path) as (kubeconfig, created):
        environment = {
            "PATH": f"{Path(needs.tool('kubectl')).parent}:/usr/bin:/bin",
            "HOME": str(tmp_path),
            "KUBECONFIG": str(kubeconfig),
        }
        done = await ran("sh", "-c", found[1], environment=environment)

    assert done.status == 0, done
    (pod,) = created  # as a protocol buffer, in which texts stand as they are
    for part in (b"sleep", b"/etc/rotator", b"/var/run/secrets/rotator", b"/var/run/secrets/vault", b"768Mi"):
        assert part in pod, part
    for part in (b"livez", b"--config", b"SYS_PTRACE", b"app.kubernetes.io/name"):
        assert part not in pod, part
