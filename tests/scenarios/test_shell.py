"""Scripts in pods: init containers that wait, commands with loops, exec probes, files and variables, SIGTERM."""

import shlex
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest
import trio
from trio.testing import MockClock

from emulator.api.messages import LOGS, LogsParams, Object
from emulator.runtime.cluster.cluster import Cluster
from tests.scenarios.world import CONFIG, apply

DOCS = Path(__file__).parents[2] / "docs" / "programs.md"
SHARED = """
apiVersion: v1
kind: ConfigMap
metadata: {name: conf}
data: {greeting: hello, run.sh: 'echo "from file $1, $greeting"'}
---
apiVersion: v1
kind: Secret
metadata: {name: hidden}
stringData: {password: s3cret}
---
apiVersion: v1
kind: Service
metadata: {name: my-web}
spec: {selector: {app: web}, clusterIP: 10.96.7.7, ports: [{name: http, port: 80}]}
"""
CLIENT = """
apiVersion: v1
kind: Pod
metadata: {name: client, labels: {tier: front}}
spec:
  nodeName: node-a
  initContainers:
  - name: wait
    image: busybox:1.36
    command: [sh, -c, 'until nslookup web; do echo waiting; sleep 2; done']
  - name: work
    image: busybox:1.36
    command: [sh, -c, 'echo made by $HOSTNAME > /work/file']
    volumeMounts: [{name: work, mountPath: /work}]
  containers:
  - name: main
    image: busybox:1.36
    command: [sh, -c]
    args:
    - |
      trap 'echo bye; exit 3' TERM
      touch /tmp/healthy
      while true; do
        echo $(WORD) $(wget -qO- http://my-web/ | grep -c Welcome)
        sleep 1 & wait
      done
    workingDir: /work
    env:
    - {name: WORD, value: seen}
    - {name: BOTH, value: $(WORD)-$(MY_WEB_SERVICE_PORT)-$$(WORD)-$(NOT_THERE)}
    - {name: IP, valueFrom: {fieldRef: {fieldPath: status.podIP}}}
    - {name: TIER, valueFrom: {fieldRef: {fieldPath: "metadata.labels['tier']"}}}
    - {name: PASSWORD, valueFrom: {secretKeyRef: {name: hidden, key: password}}}
    - {name: NONE, valueFrom: {configMapKeyRef: {name: nothing, key: x, optional: true}}}
    envFrom: [{configMapRef: {name: conf}}, {prefix: P_, secretRef: {name: hidden}}]
    readinessProbe: {exec: {command: [sh, -c, 'test -f /tmp/healthy && cat /tmp/healthy']}, periodSeconds: 1}
    volumeMounts:
    - {name: work, mountPath: /work}
    - {name: conf, mountPath: /conf}
    - {name: conf, mountPath: /etc/only, subPath: greeting}
  volumes:
  - {name: work, emptyDir: {}}
  - {name: conf, configMap: {name: conf}}
"""
WEB = """
apiVersion: v1
kind: Pod
metadata: {name: web, labels: {app: web}}
spec: {containers: [{name: nginx, image: nginx}]}
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {selector: {app: web}, ports: [{port: 80}]}
"""


@pytest.fixture
async def cluster() -> AsyncIterator[Cluster]:
    async with Cluster.start(CONFIG, simulate=True) as started:
        await started.apply(SHARED)
        yield started


def condition(pod: Object, name: str) -> str:
    """Return a condition's status; of pods that do not tell of it ""."""
    found = {each["type"]: each["status"] for each in pod.get("status", {}).get("conditions", ())}
    return str(found.get(name, ""))


def is_ready(pods: Sequence[Object], name: str) -> bool:
    return any(condition(pod, "Ready") == "True" for pod in pods if pod["metadata"]["name"] == name)


async def log(cluster: Cluster, container: str) -> list[str]:
    params = LogsParams(namespace="default", pod="client", container=container)
    async with (
        cluster.connect_node("node-a") as client,
        client.stream(LOGS, params) as exchange,
    ):
        return [line.text async for line in exchange]


async def test_a_pod_of_scripts(cluster: Cluster, autojump_clock: MockClock) -> None:
    await cluster.apply(CLIENT)
    await trio.sleep(20)  # in which there is no web to wait for
    assert condition(await cluster.get("pod", "client", "default"), "Initialized") == "False"
    await cluster.apply(WEB)
    await cluster.wait_ready()
    found = await cluster.get("pod", "client", "default")
    assert condition(found, "podwire.dev/InitContainersSkipped") == ""
    assert condition(found, "podwire.dev/ProbesSkipped") == ""
    assert (await log(cluster, "wait")).count("waiting") >= 1
    client = cluster.pod("default/client")

    async def sh(script: str) -> tuple[str, str, int]:
        outcome = await client.exec("sh", "-c", script)
        return outcome.stdout, outcome.stderr, outcome.exit_status

    address = await client.address()
    assert await sh("cat file; pwd") == ("made by client\n/work\n", "", 0)
    assert await sh("echo $WORD $BOTH $IP $TIER $PASSWORD $greeting $P_password ${NONE-none}") == (
        f"seen seen-80-$(WORD)-$(NOT_THERE) {address} front s3cret hello s3cret none\n", "", 0
    )  # fmt: skip
    assert (await sh("env | grep ^MY_WEB | sort"))[0].splitlines() == [
        "MY_WEB_PORT=tcp://10.96.7.7:80",
        "MY_WEB_PORT_80_TCP=tcp://10.96.7.7:80",
        "MY_WEB_PORT_80_TCP_ADDR=10.96.7.7",
        "MY_WEB_PORT_80_TCP_PORT=80",
        "MY_WEB_PORT_80_TCP_PROTO=tcp",
        "MY_WEB_SERVICE_HOST=10.96.7.7",
        "MY_WEB_SERVICE_PORT=80",
        "MY_WEB_SERVICE_PORT_HTTP=80",
    ]
    assert await sh("ls /conf; sh /conf/run.sh here; cat /etc/only") == (
        "greeting\nrun.sh\nfrom file here, hello\nhello",
        "",
        0,
    )
    assert await sh("echo x > /conf/greeting") == ("", "sh: can't create /conf/greeting: Read-only file system\n", 1)
    assert await sh("/conf/run.sh") == ("", "sh: /conf/run.sh: Permission denied\n", 126)
    assert await sh("cat /var/run/secrets/kubernetes.io/serviceaccount/namespace") == ("default", "", 0)
    assert await sh("nslookup web | grep -c Address") == ("2\n", "", 0)
    assert await sh("nc -z web 80 && echo ok; nc -z -w 1 web 81 || echo closed") == ("ok\nclosed\n", "", 0)
    assert await sh("for i in 1 2 3; do curl -s -o /dev/null -w '%{http_code} ' http://web/; done") == (
        "200 200 200 ",
        "",
        0,
    )
    assert await sh("tail -n 1 /etc/hosts | cut -f1") == (f"{address}\n", "", 0)
    assert await sh("rm /tmp/healthy; redis-cli ping | grep PONG") == ("", "sh: redis-cli: not found\n", 1)
    await cluster.wait_for("pods", lambda pods: any(condition(pod, "Ready") == "False" for pod in pods), "default")
    assert set(await log(cluster, "main")) == {"seen 2"}


async def test_sigterm_runs_the_trap_of_a_container(cluster: Cluster, autojump_clock: MockClock) -> None:
    await cluster.apply(WEB + "---" + CLIENT)
    await cluster.wait_ready()
    started = autojump_clock.current_time()
    await cluster.delete("pod", "client", "default")
    await cluster.wait_for("pods", lambda pods: all(pod["metadata"]["name"] != "client" for pod in pods), "default")
    assert autojump_clock.current_time() - started < 5  # and not the whole grace period


def examples() -> list[tuple[list[str], str]]:
    """The command lines of docs/programs.md's section `sh`, and what each is said to print."""
    section = DOCS.read_text().partition("## sh\n")[2].partition("```sh\n")[2].partition("```")[0]
    found: list[tuple[list[str], str]] = []
    for line in section.splitlines():
        command, _, said = line.rpartition(" # ")
        words = shlex.split(command)
        assert words[:4] == ["emulator", "exec", "client", "--"]
        found.append((words[4:], said.strip()))
    return found


async def test_the_examples_of_the_documentation(cluster: Cluster, autojump_clock: MockClock) -> None:
    await cluster.delete("service", "my-web", "default")  # whose address is that of the examples
    client = "{apiVersion: v1, kind: Pod, metadata: {name: client}, spec: {containers: [{name: c, image: curl}]}}"
    await apply(cluster, SHARED.replace("my-web", "web"), "---", WEB.partition("---")[0], "---\n", client)
    table = examples()
    assert len(table) > 5
    for words, said in table:
        outcome = await cluster.pod("default/client").exec(*words)
        assert " ".join(outcome.stdout.split()) == said, words


STAND_INS = """
apiVersion: v1
kind: Pod
metadata: {name: db}
spec:
  initContainers:
  - {name: setup, image: mysql:8, command: [bash, -c, 'set -e; mysql -e "create table x"']}
  containers:
  - name: redis
    image: redis:7
    command: [sh, -c, 'exec redis-server --port $PORT']
    ports: [{containerPort: 6379}]
    readinessProbe: {exec: {command: [sh, -c, 'redis-cli ping | grep PONG']}}
    lifecycle: {postStart: {exec: {command: [sh, -c, 'redis-cli set a b']}}}
---
apiVersion: v1
kind: Pod
metadata: {name: broken}
spec:
  restartPolicy: Never
  containers: [{name: c, image: busybox, command: [sh, -c, 'echo begins; my-program; echo "ended with $?"; exit 5']}]
---
apiVersion: v1
kind: Pod
metadata: {name: waits}
spec:
  containers:
  - name: c
    image: busybox
    command: [sh, -c, 'echo $X; sleep 60']
    env: [{name: X, valueFrom: {secretKeyRef: {name: later, key: x}}}]
"""


async def test_what_scripts_need_and_there_is_not(cluster: Cluster, autojump_clock: MockClock) -> None:
    await cluster.apply(STAND_INS)
    pods = await cluster.wait_for(
        "pods",
        lambda pods: is_ready(pods, "db") and any(pod["status"].get("phase") == "Failed" for pod in pods),
        "default",
    )
    by_name = {pod["metadata"]["name"]: pod for pod in pods}
    assert condition(by_name["db"], "podwire.dev/InitContainersSkipped") == "True"
    assert condition(by_name["db"], "podwire.dev/ProbesSkipped") == "True"
    (ended,) = by_name["broken"]["status"]["containerStatuses"]
    assert ended["state"]["terminated"]["exitCode"] == 5
    assert condition(by_name["waits"], "Ready") == "False"
    events = [event for event in await cluster.objects("events", "default") if event["reason"] == "Failed"]
    assert events[0]["message"] == 'Error: secret "later" not found'
    await cluster.apply("{apiVersion: v1, kind: Secret, metadata: {name: later}, stringData: {x: came}}")
    await cluster.wait_for("pods", lambda pods: is_ready(pods, "waits"), "default")
    assert (await cluster.pod("default/waits").exec("printenv", "X")).stdout == "came\n"
