"""The files for several servers name what there is: settings, paths, ports, commands, times, and the queue's depth."""

from __future__ import annotations

import re
import shutil
import subprocess
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
import typer
import yaml

from uncrop import settings
from uncrop.cli import app
from uncrop.model.jobs import NewJob
from uncrop.server.run import SHUTDOWN_S
from uncrop.store.database import open_store
from uncrop.store.jobs import Ending

DEPLOY = Path(__file__).parents[2] / "deploy"
FIELDS = settings.Settings.model_fields
PORT = 8000
LITTLE = {"allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]}}
Json = dict[str, Any]


def manifests(name: str) -> dict[tuple[str, str], Json]:
    found = yaml.safe_load_all((DEPLOY / "kubernetes" / name).read_text())
    return {(each["kind"], each["metadata"]["name"]): each for each in found}


def pods() -> list[Json]:
    """Return what the pods of all that makes any are."""
    return [
        each["spec"]["template"]["spec"] for each in manifests("uncrop.yaml").values() if "template" in each["spec"]
    ]


def composed(name: str) -> Json:
    services: Json = yaml.safe_load((DEPLOY / name).read_text())["services"]
    return services


def is_a_command(words: list[str]) -> bool:
    """Tell whether the command line has this command, with these options."""
    command: Any = typer.main.get_command(app)
    options: list[str] = []
    for word in words:
        if word.startswith("--"):
            options.append(word)
        elif not options:
            command = command.commands[word]
    return {*options} <= {name for parameter in command.params for name in parameter.opts}


def seconds(text: str) -> int:
    found = re.fullmatch(r"(\d+)s", text)
    assert found is not None
    return int(found[1])


def needed_to_stop(delay: float) -> float:
    return delay + SHUTDOWN_S + FIELDS["provider_timeout_s"].default


@pytest.mark.parametrize("pod", pods(), ids=lambda pod: pod["containers"][0]["args"][0])
def test_every_pod_runs_a_command_that_there_is_with_settings_that_there_are(pod: Json) -> None:
    [container] = pod["containers"]
    assert is_a_command(container["args"])
    names = {each["name"].removeprefix(settings.PREFIX).lower() for each in container.get("env", ())}
    assert names <= FIELDS.keys()
    assert container["envFrom"] == [{"secretRef": {"name": "uncrop"}}]
    assert (container["image"], container["securityContext"]) == ("uncrop", LITTLE)
    assert pod["securityContext"]["runAsUser"] == 10001
    assert pod["automountServiceAccountToken"] is False
    assert container["volumeMounts"] == [{"name": "tmp", "mountPath": "/tmp"}]


def test_the_probes_ask_what_the_server_answers() -> None:
    from uncrop.server import app as server_app

    paths = set(re.findall(r'Route\("(/\w+)"', Path(server_app.__file__).read_text()))
    [container] = manifests("uncrop.yaml")["Deployment", "uncrop"]["spec"]["template"]["spec"]["containers"]
    probes = {name: container[name]["httpGet"] for name in ("startupProbe", "readinessProbe", "livenessProbe")}
    assert {probe["path"] for probe in probes.values()} == {"/livez", "/readyz"} <= paths
    assert probes["readinessProbe"]["path"] == "/readyz"  # it alone may depend on others, such as the database
    assert {probe["port"] for probe in probes.values()} == {"http"}
    assert container["ports"] == [{"name": "http", "containerPort": PORT}]
    assert container["args"][-2:] == ["--port", str(PORT)]
    assert manifests("uncrop.yaml")["Service", "uncrop"]["spec"]["ports"][0]["targetPort"] == "http"


def test_what_is_stopped_gets_the_time_that_it_needs() -> None:
    found = manifests("uncrop.yaml")
    for name in ("uncrop", "uncrop-worker"):
        pod = found["Deployment", name]["spec"]["template"]["spec"]
        environment = {each["name"]: each["value"] for each in pod["containers"][0]["env"]}
        assert pod["terminationGracePeriodSeconds"] >= needed_to_stop(float(environment.get("UNCROP_STOP_DELAY_S", 0)))
        assert "lifecycle" not in pod["containers"][0]  # the delay is the server's own
    readiness = found["Deployment", "uncrop"]["spec"]["template"]["spec"]["containers"][0]["readinessProbe"]
    noticed = readiness["periodSeconds"] * readiness["failureThreshold"]
    server = found["Deployment", "uncrop"]["spec"]["template"]["spec"]["containers"][0]
    assert float({each["name"]: each["value"] for each in server["env"]}["UNCROP_STOP_DELAY_S"]) > noticed
    for file in ("compose.yaml", "compose.replicas.yaml"):
        for service in composed(file).values():
            if service.get("image") == "uncrop":
                delay = float(service["environment"].get("UNCROP_STOP_DELAY_S", 0))
                assert seconds(service["stop_grace_period"]) >= needed_to_stop(delay)


def test_what_belongs_together_has_the_same_labels() -> None:
    found = manifests("uncrop.yaml")
    for name in ("uncrop", "uncrop-worker"):
        spec = found["Deployment", name]["spec"]
        assert spec["selector"]["matchLabels"].items() <= spec["template"]["metadata"]["labels"].items()
    servers = found["Deployment", "uncrop"]["spec"]["selector"]["matchLabels"]
    assert found["Service", "uncrop"]["spec"]["selector"] == servers
    assert found["PodDisruptionBudget", "uncrop"]["spec"]["selector"]["matchLabels"] == servers
    scaled = manifests("keda.yaml")["ScaledObject", "uncrop-worker"]["spec"]
    assert scaled["scaleTargetRef"]["name"] == "uncrop-worker"
    assert "replicas" not in found["Deployment", "uncrop-worker"]["spec"]
    assert scaled["minReplicaCount"] >= 1


async def test_the_queues_depth_is_what_keda_asks_for(postgres_url: str) -> None:
    [trigger] = manifests("keda.yaml")["ScaledObject", "uncrop-worker"]["spec"]["triggers"]
    assert trigger["metadata"]["targetQueryValue"] == str(FIELDS["jobs_at_once"].default)
    query = sa.text(trigger["metadata"]["query"])

    async def nothing(_connection: object) -> None:
        """Put nothing into a queue."""

    async with open_store(postgres_url, pepper=bytes(32)) as store:

        async def depth() -> int:
            answer = await store._transactions.read(lambda connection: connection.execute(query))
            return int(answer.scalar_one())

        key = await store.keys.create("org_a")
        assert await depth() == 0
        for number in range(3):
            new = NewJob(id=f"job_{number}", organization_id="org_a", key_id=key.id, provider="local", request="{}")
            await store.jobs.submit(new, most_open=9, also=nothing)
        await store.jobs.begin("job_0")
        await store.jobs.end("job_1", 0, Ending(state="failed", error="{}"), keep=timedelta(days=1))
        assert await depth() == 2


def test_no_value_of_a_secret_is_written_down() -> None:
    text = "".join((DEPLOY / "kubernetes" / name).read_text() for name in ("uncrop.yaml", "keda.yaml"))
    assert "kind: Secret\n" not in text
    assert not re.search(r"(PASSWORD|PEPPER|API_KEY|DATABASE_URL|REDIS_URL)[\"']?:", text)


def test_a_worker_is_a_server_without_a_door() -> None:
    services = composed("compose.replicas.yaml")
    worker, second = services["worker"], services["second"]
    assert is_a_command(worker["command"])
    assert worker["environment"].keys() == second["environment"].keys() - {"UNCROP_STOP_DELAY_S"}
    for rule in ("image", "restart", "volumes", "init", "read_only", "tmpfs", "cap_drop", "security_opt"):
        assert worker[rule] == second[rule], rule
    assert "ports" not in worker
    assert composed("compose.yaml")["uncrop"]["volumes"] == second["volumes"]


def test_nginx_knows_both_servers_and_repeats_nothing_that_was_sent(tmp_path: Path) -> None:
    text = (DEPLOY / "nginx.replicas.conf").read_text()
    services = {**composed("compose.yaml"), **composed("compose.replicas.yaml")}
    servers = re.findall(r"^    server (\w+):(\d+)", text, flags=re.MULTILINE)
    assert servers == [("uncrop", str(PORT)), ("second", str(PORT))]
    assert {name for name, _ in servers} <= services.keys()
    assert "non_idempotent;" not in text
    assert "least_conn;" in text
    program = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
    if program is None:
        pytest.skip("nginx is not installed; on Debian: apt-get install nginx")
    here = re.sub(r"server \w+:8000", "server 127.0.0.1:8000", text)
    (tmp_path / "site").write_text(here)
    whole = f"pid {tmp_path}/pid; events {{}} http {{ access_log off; include {tmp_path}/site; }}"
    (tmp_path / "nginx.conf").write_text(whole)
    command = [program, "-t", "-q", "-e", "stderr", "-p", str(tmp_path), "-c", str(tmp_path / "nginx.conf")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
