"""Writes docs/api.md, the reference of the protocol, from the comments of `proto/`.

What is read is the JSON of a FileDescriptorSet with source info, as `buf build` writes it: a comment is found by the
path of its element (descriptor.proto, `SourceCodeInfo.Location.path`). Services come first, then what each file defines.
"""

import json
import re
import tempfile
from pathlib import Path

from stage import DEV, Failed

DOCUMENT = "docs/api.md"
COLUMNS_MAX = 120
# Field numbers of descriptor.proto, of which paths consist.
FILE_MESSAGES, FILE_ENUMS, FILE_SERVICES, FILE_SYNTAX = 4, 5, 6, 12
MESSAGE_FIELDS, MESSAGE_NESTED, MESSAGE_ENUMS, MESSAGE_ONEOFS = 2, 3, 4, 8
MEMBERS = 2
# Where the types of others are described.
WELL_KNOWN = "https://protobuf.dev/reference/protobuf/google.protobuf/#"
GOOGLE_RPC = "https://github.com/googleapis/googleapis/blob/master/google/rpc/"
# What would begin a list, a heading or a quotation if it came to stand at the beginning of a line.
BEGINS_BLOCK = re.compile(r"([-+*>=~]|#+|\d+[.)])\S*$")
HEAD = """\
# The API

Every call, message, field and value of `tidings.v1`, with the comments of [proto/tidings/v1](../proto/tidings/v1), from
which `make proto` writes this page. [grpcurl.md](grpcurl.md) shows the calls at work.

A field is written as its name, its type and its number. Without `optional`, a field of a scalar type that is absent
reads as zero, `false` or empty; one whose type is a message may always be absent.
"""


def image(log):
    """The protocol as `buf build` describes it."""
    with tempfile.TemporaryDirectory(dir=DEV) as folder:
        path = Path(folder) / "image.json"
        log.run("buf", "build", "--output", path)
        return json.loads(path.read_text(encoding="utf-8"))


def render(descriptors):
    """The reference as Markdown. Raises Failed where a comment is missing, a link has no heading, or has two."""
    files = [File(each) for each in descriptors["file"] if not each["name"].startswith("google/")]
    # Services first: they are what a reader looks for. Files stay in the order of their names.
    files.sort(key=lambda file: file.name)
    services = [part for file in files for part in file.services()]
    types = [part for file in files for part in file.types()]
    text = "\n".join([HEAD, *contents(files), *services, *types])
    anchors = [anchor(heading) for heading in re.findall(r"^#+ (.+)$", text, re.M)]
    twice = sorted({each for each in anchors if anchors.count(each) > 1})
    if twice:
        raise Failed(f"{DOCUMENT} would have several headings of the name {', '.join(twice)}")
    nowhere = sorted(set(re.findall(r"\]\(#([^)]*)\)", text)) - set(anchors))
    if nowhere:
        raise Failed(f"{DOCUMENT} would have links to nowhere: {', '.join(nowhere)}")
    return text


def contents(files):
    """Links to the services with their calls and, file by file, to the types; what calls take and answer, they link to."""
    lists = []
    for file in files:
        for service in file.descriptor.get("service", []):
            lists.append((service["name"], [method["name"] for method in service["method"]]))
    for file in files:
        names = [name for name, *_ in file.definitions()]
        if names:
            lists.append((file.heading, [name for name in names if not name.endswith(("Request", "Response"))]))
    return [*(wrapped(f"- {link(title)}: " + ", ".join(map(link, names)), "  ") for title, names in lists), ""]


class File:
    """One .proto file: its comments by path, and what it says of its services and types."""

    def __init__(self, descriptor):
        self.descriptor = descriptor
        self.name = descriptor["name"]
        self.heading = self.name.rsplit("/", 1)[-1]
        locations = descriptor.get("sourceCodeInfo", {}).get("location", [])
        self.lines = {tuple(location.get("path", [])): location["span"][0] for location in locations}
        self.comments = {
            tuple(location.get("path", [])): location["leadingComments"]
            for location in locations
            if location.get("leadingComments", "").strip()
        }

    def comment(self, path):
        """The comment of an element as paragraphs. Raises Failed if it has none."""
        if tuple(path) not in self.comments:
            raise Failed(f"{self.name}: no comment at {'.'.join(map(str, path))}")
        paragraphs = re.split(r"\n\s*\n", self.comments[tuple(path)].strip())
        return [escaped(" ".join(paragraph.split())) for paragraph in paragraphs]

    def services(self):
        for index, service in enumerate(self.descriptor.get("service", [])):
            path = [FILE_SERVICES, index]
            yield f"## {service['name']}\n\n{self.prose(path)}"
            for number, method in enumerate(service.get("method", [])):
                takes = ("a stream of " if method.get("clientStreaming") else "") + type_link(method["inputType"])
                answers = ("a stream of " if method.get("serverStreaming") else "") + type_link(method["outputType"])
                prose = self.prose([*path, MEMBERS, number])
                yield f"### {method['name']}\n\n{prose}\n" + wrapped(f"Takes {takes}, answers {answers}.") + "\n"

    def prose(self, path):
        return "".join(wrapped(paragraph) + "\n\n" for paragraph in self.comment(path)).removesuffix("\n")

    def types(self):
        definitions = self.definitions()
        if definitions:
            yield f"## {self.heading}\n\n{self.prose([FILE_SYNTAX])}"
        for name, path, descriptor, members in definitions:
            listed = "".join(members(descriptor, path))
            yield f"### {name}\n\n{self.prose(path)}" + (f"\n{listed}" if listed else "")

    def definitions(self):
        """(name, path, descriptor, function that lists its members) of every message and enum, in the file's order."""
        found = []
        for index, message in enumerate(self.descriptor.get("messageType", [])):
            found += self.message_definitions("", message, [FILE_MESSAGES, index])
        for index, enum in enumerate(self.descriptor.get("enumType", [])):
            found.append((enum["name"], [FILE_ENUMS, index], enum, self.values))
        return sorted(found, key=lambda definition: self.lines.get(tuple(definition[1]), 0))

    def message_definitions(self, outer, message, path):
        name = outer + message["name"]
        yield name, path, message, self.fields
        for index, nested in enumerate(message.get("nestedType", [])):
            # The entries of maps are messages that nobody wrote.
            if not nested.get("options", {}).get("mapEntry"):
                yield from self.message_definitions(f"{name}.", nested, [*path, MESSAGE_NESTED, index])
        for index, enum in enumerate(message.get("enumType", [])):
            yield f"{name}.{enum['name']}", [*path, MESSAGE_ENUMS, index], enum, self.values

    def fields(self, message, path):
        """A list of a message's fields; those of a oneof below it, which stands where its first field does."""
        entries = {entry["name"]: entry for entry in message.get("nestedType", []) if entry.get("options", {}).get("mapEntry")}
        begun = set()
        for index, field in enumerate(message.get("field", [])):
            indent, oneof = "", field.get("oneofIndex")
            if oneof is not None and not field.get("proto3Optional"):
                indent = "  "
                if oneof not in begun:
                    begun.add(oneof)
                    title = f"`{message['oneofDecl'][oneof]['name']}`: one of these."
                    yield item("", title, self.comment([*path, MESSAGE_ONEOFS, oneof]))
            title = f"`{field['name']}`: {field_type(field, entries)} = {field['number']}."
            yield item(indent, title, self.comment([*path, MESSAGE_FIELDS, index]))

    def values(self, enum, path):
        for index, value in enumerate(enum["value"]):
            title = f"`{value['name']}` = {value.get('number', 0)}."
            yield item("", title, self.comment([*path, MEMBERS, index]))


def field_type(field, map_entries):
    """A field's type as the protocol writes it, with a link where it is a message or an enum."""
    entry = map_entries.get(field.get("typeName", "").rsplit(".", 1)[-1])
    if entry:
        key, value = (field_type(each, {}) for each in entry["field"])
        return f"map of {key} to {value}"
    label = "repeated " if field["label"] == "LABEL_REPEATED" else "optional " if field.get("proto3Optional") else ""
    if "typeName" in field:
        return label + type_link(field["typeName"])
    return f"{label}{field['type'].removeprefix('TYPE_').lower()}"


def type_link(full_name):
    """A link to a type, by its full name with a dot before it: `.tidings.v1.Endpoint`."""
    package, name = re.fullmatch(r"\.((?:[a-z0-9_]+\.)*)(.+)", full_name).groups()
    if package == "google.protobuf.":
        return f"[{name}]({WELL_KNOWN}{name.lower()})"
    if package == "google.rpc.":
        return f"[{package}{name}]({GOOGLE_RPC}{name.lower()}.proto)"
    return link(name)


def link(heading):
    return f"[{heading}](#{anchor(heading)})"


def anchor(heading):
    """The anchor that GitHub gives a heading of letters, digits, dots and underscores."""
    return heading.lower().replace(".", "")


def escaped(text):
    """The text with what Markdown would read as markup made plain, but for what stands in backticks."""
    parts = text.split("`")
    plain = [re.sub(r"([*<>\[\]\\|])", r"\\\1", part) if index % 2 == 0 else part for index, part in enumerate(parts)]
    return "`".join(plain)


def item(indent, title, paragraphs):
    """An item of a list: the title and the first paragraph, and the others below them."""
    first, *others = paragraphs
    inner = f"{indent}  "
    lines = [wrapped(f"{indent}- {title} {first}", inner)]
    lines += [f"\n{wrapped(inner + other, inner)}" for other in others]
    return "\n".join(lines) + "\n"


def wrapped(text, indent=""):
    """`text` in lines of at most COLUMNS_MAX, but for words that are longer; all but the first with `indent`."""
    beginning = re.match(r" *", text)[0]
    lines, line = [], beginning
    for word in text.split():
        if line.strip() and len(line) + 1 + len(word) > COLUMNS_MAX and not BEGINS_BLOCK.match(word):
            lines.append(line)
            line = indent
        line += word if not line.strip() else f" {word}"
    return "\n".join([*lines, line])
