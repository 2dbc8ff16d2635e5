#!/usr/bin/env python3
"""The fields that the runtime-spec's JSON schema knows, as Tests/OCISpecTests/SchemaFields.swift.

    schema-fields.py REPOSITORY TAG >Tests/OCISpecTests/SchemaFields.swift

REPOSITORY is a clone of github.com/opencontainers/runtime-spec, TAG a version of it. A line is a field: its path as in
Sources/OCISpec/Support.swift (an array's elements are "[]", a map's values ".*"), its type, and "required" if its object
is nothing without it. What has fields of its own is followed by them; the sections of other platforms are not opened.
"""

import json
import subprocess
import sys

FOREIGN = {"solaris", "windows", "zos", "freebsd"}


class Schema:
    def __init__(self, repository, tag):
        self.repository = repository
        self.tag = tag
        self.files = {}

    def file(self, name):
        if name not in self.files:
            command = ["git", "-C", self.repository, "show", f"{self.tag}:schema/{name}"]
            self.files[name] = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
        return self.files[name]

    def resolve(self, node, name):
        """Follows references, and puts what allOf lists into one; the node and the file that it stands in."""
        while "$ref" in node:
            file, _, pointer = node["$ref"].partition("#")
            name = file or name
            node = self.file(name)
            for step in filter(None, pointer.split("/")):
                node = node[step]
        if "allOf" in node:
            merged = {"type": "object", "properties": {}, "required": []}
            for part in node["allOf"]:
                part, part_name = self.resolve(part, name)
                for key, value in part.get("properties", {}).items():
                    merged["properties"][key] = self.resolve(value, part_name)[0]
                merged["required"] += part.get("required", [])
            return merged, name
        if "anyOf" in node and len(node["anyOf"]) == 1:
            return self.resolve(node["anyOf"][0], name)
        return node, name

    def walk(self, node, name, path="", required=False):
        node, name = self.resolve(node, name)
        kind = node.get("type", "object")
        if kind == "array":
            items = node["items"]
            if isinstance(items, list):
                items = items[0]
            yield from self.walk(items, name, path + "[]", required)
            return
        values = node.get("additionalProperties") or next(iter(node.get("patternProperties", {}).values()), None)
        if isinstance(values, dict):
            yield from self.walk(values, name, path + ".*", required)
            return
        if path:
            yield path, self.words(node, kind), required
        if path in FOREIGN:
            return
        for key, value in sorted(node.get("properties", {}).items()):
            below = f"{path}.{key}" if path else key
            yield from self.walk(value, name, below, key in node.get("required", []))

    @staticmethod
    def words(node, kind):
        if kind != "integer" or "maximum" not in node:
            return kind
        # Each range of the schema is that of a type: int64, uint32, or the permissions of a file.
        signed = node["minimum"] < 0
        return f"{'int' if signed else 'uint'}{node['maximum'].bit_length() + signed}"


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__.strip())
    schema = Schema(sys.argv[1], sys.argv[2])
    print(f"// Generated: scripts/schema-fields.py RUNTIME-SPEC {schema.tag}")
    print("// RUNTIME-SPEC being a clone of github.com/opencontainers/runtime-spec.")
    print()
    print(f"/// Every field of config.json in the runtime-spec's JSON schema of {schema.tag}: see the script for the form.")
    print("let schemaFields = [")
    for path, words, required in schema.walk({"$ref": "config-schema.json#"}, "config-schema.json"):
        print(f'    "{path}: {words}{", required" if required else ""}",')
    print("]")


if __name__ == "__main__":
    main()
