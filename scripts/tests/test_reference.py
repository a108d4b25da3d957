"""docs/api.md: what is read from descriptors, and what is refused."""

import sys
import tempfile
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import generate
import reference
from stage import Failed


def field(name, number, kind, label="OPTIONAL", **more):
    return {"name": name, "number": number, "type": f"TYPE_{kind}", "label": f"LABEL_{label}", **more}


def descriptors():
    """One file: a service with a stream, a message with every kind of field, a message nested in it, and an enum."""
    entry = {
        "name": "LabelsEntry",
        "field": [field("key", 1, "STRING"), field("value", 2, "STRING")],
        "options": {"mapEntry": True},
    }
    thing = {
        "name": "Thing",
        "field": [
            field("id", 1, "STRING"),
            field("size", 2, "INT32", oneofIndex=1, proto3Optional=True),
            field("name", 3, "STRING", oneofIndex=0),
            field("kind", 4, "ENUM", oneofIndex=0, typeName=".tidings.v1.Kind"),
            field("parts", 5, "MESSAGE", "REPEATED", typeName=".tidings.v1.Thing.Part"),
            field("labels", 6, "MESSAGE", "REPEATED", typeName=".tidings.v1.Thing.LabelsEntry"),
            field("time", 7, "MESSAGE", typeName=".google.protobuf.Timestamp"),
            field("error", 8, "MESSAGE", typeName=".google.rpc.Status"),
        ],
        "oneofDecl": [{"name": "choice"}, {"name": "_size"}],
        "nestedType": [entry, {"name": "Part"}],
    }
    comments = {
        (12,): (0, "Things."),
        (6, 0): (1, "Does things."),
        (6, 0, 2, 0): (2, "Watches `a*`,\n and <all> things*.\n\n Twice."),
        (5, 0): (3, "The kinds."),
        (5, 0, 2, 0): (4, "None."),
        (4, 0): (5, "A thing."),
        (4, 0, 8, 0): (6, "Required. Either."),
        (4, 0, 3, 1): (7, "A part."),
        **{(4, 0, 2, index): (8 + index, f"Field {index}.") for index in range(8)},
    }
    locations = [{"path": list(path), "span": [line, 0, 1], "leadingComments": f" {text}\n"}
                 for path, (line, text) in comments.items()]
    method = {"name": "Watch", "inputType": ".tidings.v1.Thing", "outputType": ".tidings.v1.Thing", "serverStreaming": True}
    return {
        "file": [
            {"name": "google/protobuf/timestamp.proto"},
            {
                "name": "tidings/v1/thing_file.proto",
                "service": [{"name": "Things", "method": [method]}],
                "messageType": [thing],
                "enumType": [{"name": "Kind", "value": [{"name": "KIND_UNSPECIFIED", "number": 0}]}],
                "sourceCodeInfo": {"location": locations},
            },
        ]
    }


class ReferenceTest(unittest.TestCase):
    def test_everything_has_its_type_its_number_and_its_comment(self):
        text = reference.render(descriptors()).partition(reference.HEAD)[2]
        self.assertEqual(
            text,
            """
- [Things](#things): [Watch](#watch)
- [thing_file.proto](#thing_fileproto): [Kind](#kind), [Thing](#thing), [Thing.Part](#thingpart)

## Things

Does things.

### Watch

Watches `a*`, and \\<all\\> things\\*.

Twice.

Takes [Thing](#thing), answers a stream of [Thing](#thing).

## thing_file.proto

Things.

### Kind

The kinds.

- `KIND_UNSPECIFIED` = 0. None.

### Thing

A thing.

- `id`: string = 1. Field 0.
- `size`: optional int32 = 2. Field 1.
- `choice`: one of these. Required. Either.
  - `name`: string = 3. Field 2.
  - `kind`: [Kind](#kind) = 4. Field 3.
- `parts`: repeated [Thing.Part](#thingpart) = 5. Field 4.
- `labels`: map of string to string = 6. Field 5.
- `time`: [Timestamp](https://protobuf.dev/reference/protobuf/google.protobuf/#timestamp) = 7. Field 6.
- `error`: [google.rpc.Status](https://github.com/googleapis/googleapis/blob/master/google/rpc/status.proto) = 8. Field 7.

### Thing.Part

A part.
""",
        )

    def test_element_without_a_comment_is_refused(self):
        found = descriptors()
        locations = found["file"][1]["sourceCodeInfo"]["location"]
        locations.remove(next(each for each in locations if each["path"] == [4, 0, 2, 3]))
        with self.assertRaisesRegex(Failed, "thing_file.proto: no comment at 4.0.2.3"):
            reference.render(found)

    def test_two_headings_of_one_anchor_are_refused(self):
        found = descriptors()
        found["file"][1]["service"][0]["method"][0]["name"] = "Kind"
        with self.assertRaisesRegex(Failed, "several headings of the name kind"):
            reference.render(found)

    def test_lines_are_short_and_none_begins_a_list_by_accident(self):
        text = reference.wrapped("- " + "word " * 30 + "- 1) # 2. end" + " word" * 40, "  ")
        first, *others = text.splitlines()
        self.assertTrue(first.startswith("- word"))
        self.assertGreater(len(others), 1)
        for line in others:
            self.assertRegex(line, r"^  (word|end)")
            self.assertLessEqual(len(line), reference.COLUMNS_MAX)

    def test_link_to_nowhere_is_refused(self):
        found = descriptors()
        found["file"][1]["messageType"][0]["field"][3]["typeName"] = ".tidings.v1.Sort"
        with self.assertRaisesRegex(Failed, "links to nowhere: sort"):
            reference.render(found)

    def test_page_that_differs_is_not_current(self):
        with tempfile.TemporaryDirectory() as folder:
            page = Path(folder) / "api.md"
            self.assertFalse(generate.is_current(page, "text"))
            page.write_text("text")
            self.assertTrue(generate.is_current(page, "text"))
            self.assertFalse(generate.is_current(page, "other"))
