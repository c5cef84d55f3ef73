import pytest

from emulator.api import messages
from emulator.api.codec import FrameReader, encode_frame
from emulator.api.messages import ControlError, ErrorCode


def through_the_wire(value):
    (message,) = FrameReader().feed(encode_frame(messages.plain(value)))
    return messages.convert(message, type(value))


@pytest.mark.parametrize(
    "value",
    [
        messages.Request(id=1, method="list", params=messages.plain(messages.ListParams(kind="Pod"))),
        messages.Input(id=2, input=b"\x00\xff"),
        messages.Input(id=2, input=None),
        messages.Cancel(id=3, cancel=True),
        messages.Response(id=4, result={}),
        messages.Response(id=4, event={"a": [1]}),
        messages.Response(id=4, error=messages.ErrorBody(code=ErrorCode.EXPIRED, message="too old")),
        messages.ExecOutput(stream=messages.OutputStream.STDERR, data=b"\x80"),
        messages.WatchEvent(type=messages.EventType.DELETED, object={"kind": "Pod"}, revision="7"),
        messages.FlowsEvent(
            changed=(
                messages.FlowRecord(
                    identity="1",
                    node="a",
                    netns="root",
                    protocol="udp",
                    original=messages.FlowTuple(source="10.0.0.1", destination="10.0.0.2"),
                    reply=messages.FlowTuple(source="10.0.0.2", destination="10.0.0.1"),
                    verdict=messages.FlowVerdict.DROPPED,
                ),
            ),
            ended=("2",),
        ),
    ],
)
def test_round_trip(value):
    assert through_the_wire(value) == value


@pytest.mark.parametrize(
    ("frame", "kind"),
    [
        ({"id": 1, "method": "version"}, messages.Request),
        ({"id": 1, "input": b"x"}, messages.Input),
        ({"id": 1, "cancel": True}, messages.Cancel),
    ],
)
def test_client_message(frame, kind):
    assert type(messages.client_message(frame)) is kind


@pytest.mark.parametrize(
    "frame",
    [
        {},
        {"id": 1},
        {"id": "1", "method": "list"},
        {"id": 1, "method": "list", "params": []},
        {"id": 1, "method": "list", "bogus": 1},
        {"id": 1, "method": "list", "params": {b"kind": 1}},
        {"id": 1, "input": "text"},
        {"id": 1, "cancel": 1},
    ],
)
def test_what_is_no_client_message(frame):
    with pytest.raises(ControlError) as caught:
        messages.client_message(frame)
    assert caught.value.code is ErrorCode.INVALID


def test_an_unknown_parameter_is_named():
    with pytest.raises(ControlError, match="bogus"):
        messages.convert({"kind": "Pod", "bogus": 1}, messages.ListParams)


def test_every_method_has_one_definition_a_socket():
    methods = [value for value in vars(messages).values() if isinstance(value, messages.Method)]
    names = [method.name for method in methods if method.name != "status"]
    assert len(names) == len(set(names))
    assert len([method for method in methods if method.name == "status"]) == 3
