from xml.etree import ElementTree

from emulator.api.junit import JunitCase, JunitSuite, junit_document


def test_counts_messages_and_times():
    cases = [
        JunitCase(name="good", classname="c"),
        JunitCase(name="bad <&>", classname="c", message="it is 5", detail="more\nlines"),
    ]
    text = junit_document("all", [JunitSuite(name="one", cases=cases, seconds=1.5), JunitSuite(name="two", cases=[])])
    root = ElementTree.fromstring(text)
    assert (root.get("name"), root.get("tests"), root.get("failures")) == ("all", "2", "1")
    one, two = root
    assert (one.get("time"), one.get("failures"), two.get("time"), two.get("tests")) == ("1.500", "1", None, "0")
    assert one[0].find("failure") is None
    assert one[1].get("name") == "bad <&>"
    assert one[1].find("failure").get("message") == "it is 5"
    assert one[1].find("failure").text == "more\nlines"
