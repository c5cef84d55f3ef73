import io
import json

from emulator.runtime.logging import open_log


def test_each_line_is_one_json_object_with_process_and_fields() -> None:
    stream = io.StringIO()
    log = open_log("node-a", stream)
    log.info("peer %s came", "node-b", extra={"mac": "02:42:ac:12:00:03"})
    log.debug("not shown")
    (line,) = stream.getvalue().splitlines()
    record = json.loads(line)
    assert record.pop("time").endswith("+00:00")
    assert record == {
        "level": "INFO",
        "message": "peer node-b came",
        "process": "node-a",
        "mac": "02:42:ac:12:00:03",
    }


def test_two_processes_in_one_interpreter_have_their_own_logs() -> None:
    first, second = io.StringIO(), io.StringIO()
    open_log("node-a", first).warning("one")
    open_log("node-b", second).warning("two")
    assert json.loads(first.getvalue())["process"] == "node-a"
    assert json.loads(second.getvalue())["message"] == "two"
