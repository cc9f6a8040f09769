#!/usr/bin/env python3
"""What plugin.h fixes for binaries, one fact a line.

  facts.py HEADER                    prints the facts
  facts.py --write FILE HEADER       writes them
  facts.py --check OLD NEW           1 when a binary made with OLD may not work with NEW
     --released                      OLD is a release: what was added since needs a new minor number
     --exceptions FILE               "<break> : <reason>" a line, for breaks that were decided on

Types come from clang's syntax tree as the header spells them; sizes, offsets and values come from a
program that is compiled with the header and run.
"""
import argparse
import json
import os
import re
import subprocess
import sys
import tempfile

CLANG = ["clang++", "-x", "c++", "-std=c++17"]
NUMBER = re.compile(r"(0x[0-9A-Fa-f]+|\d+)u?$")


def run(command, **more):
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, **more).stdout


class Header:
    """The declarations of a header, in their order."""

    def __init__(self, path):
        self.path = os.path.abspath(path)
        self.structs = {}  # name: [(member, type)]
        self.opaque = []
        self.typedefs = {}
        self.enumerators = []
        self.functions = {}
        self.macros = {}  # name with parameters: replacement
        tree = run(CLANG + ["-fsyntax-only", "-Xclang", "-ast-dump=json", self.path])
        self._read(json.loads(tree))
        self.opaque = [name for name in dict.fromkeys(self.opaque) if name not in self.structs]
        for line in run(CLANG + ["-dM", "-E", self.path]).splitlines():
            found = re.match(r"#define (OSP_\w+(?:\([^)]*\))?) ?(.*)", line)
            if found:
                self.macros[found.group(1)] = found.group(2)

    def _read(self, node):
        kind, name = node.get("kind"), node.get("name", "")
        ours = name.lower().startswith("osp_")
        if kind == "CXXRecordDecl" and ours and not node.get("isImplicit"):
            members = [(one["name"], one["type"]["qualType"]) for one in node.get("inner", ())
                       if one["kind"] == "FieldDecl"]
            if node.get("completeDefinition"):
                self.structs[name] = members
            else:
                self.opaque.append(name)
        elif kind == "TypedefDecl" and ours:
            spelled = node["type"]["qualType"]
            if spelled not in (name, "struct " + name):
                self.typedefs[name] = spelled
        elif kind == "EnumConstantDecl" and ours:
            self.enumerators.append(name)
        elif kind == "FunctionDecl" and ours:
            self.functions[name] = node["type"]["qualType"]
        elif kind in ("TranslationUnitDecl", "LinkageSpecDecl", "EnumDecl"):
            for one in node.get("inner", ()):
                self._read(one)

    def constants(self):
        return self.enumerators + sorted(
            name for name, text in self.macros.items() if NUMBER.match(text))

    def size_first(self, name):
        members = self.structs[name]
        return bool(members) and members[0] == ("size", "uint32_t")

    def embedded(self):
        """Structs that stand inside another one and so can never grow."""
        inside = set()
        for members in self.structs.values():
            for _, spelled in members:
                inside.add(spelled.split("[")[0].strip())
        return inside & set(self.structs)

    def numbers(self):
        """Sizes, offsets and values by the name of what they belong to."""
        lines = []
        for name, members in self.structs.items():
            lines.append('std::printf("%s %%zu %%zu\\n", sizeof(%s), alignof(%s));' % (name, name, name))
            for member, _ in members:
                lines.append('std::printf("%s.%s %%zu %%zu\\n", offsetof(%s, %s), sizeof(%s::%s));'
                             % (name, member, name, member, name, member))
        for name in self.constants():
            lines.append('std::printf("%s %%lld\\n", static_cast<long long>(%s));' % (name, name))
        with tempfile.TemporaryDirectory() as folder:
            program = os.path.join(folder, "numbers")
            with open(program + ".cpp", "w", encoding="utf-8") as out:
                out.write('#include <cstdio>\n#include "%s"\nint main() {\n%s\n}\n'
                          % (self.path, "\n".join(lines)))
            run(CLANG + [program + ".cpp", "-o", program])
            table = {}
            for line in run([program]).splitlines():
                name, *values = line.split()
                table[name] = values
            return table

    def facts(self):
        numbers = self.numbers()
        out = []
        for name, members in self.structs.items():
            out.append("struct %s size %s align %s%s" % (
                name, *numbers[name], " size-first" if self.size_first(name) else ""))
            for member, spelled in members:
                out.append("member %s.%s at %s size %s type %s" % (
                    name, member, *numbers[name + "." + member], spelled))
        out += ["opaque " + name for name in self.opaque]
        out += ["typedef %s %s" % one for one in self.typedefs.items()]
        out += ["function %s %s" % one for one in self.functions.items()]
        out += ["constant %s %s" % (name, numbers[name][0]) for name in self.constants()]
        for name, text in sorted(self.macros.items()):
            if text.startswith('"'):
                out.append("id %s %s" % (name, text))
            elif not NUMBER.match(text):
                out.append("macro " + name.replace(", ", ","))
        return out


def parse(lines):
    """Facts by kind and name; the value is the rest of the line."""
    table = {}
    for line in lines:
        line = line.strip()
        if not line or line.startswith("#"):
            continue
        kind, name, *rest = line.split(" ", 2)
        if (kind, name) in table:
            raise SystemExit("facts: %s %s stands there twice" % (kind, name))
        table[kind, name] = rest[0] if rest else ""
    return table


def numbers_of(text):
    return [int(word) for word in text.split() if word.isdigit()]


def compare(old, new, released=False):
    """What breaks binaries and what is only new, as lists of lines."""
    breaks, added = [], []
    for (kind, name), before in old.items():
        after = new.get((kind, name))
        if after is None:
            breaks.append("%s %s is gone" % (kind, name))
        elif after != before:
            if kind == "struct" and grows(before, after):
                added.append("struct %s grows at its end" % name)
            elif (kind, name) == ("constant", "OSP_ABI_MINOR") and int(after) > int(before):
                pass
            else:
                breaks.append("%s %s was \"%s\" and is \"%s\"" % (kind, name, before, after))
    for kind, name in new:
        if (kind, name) in old:
            continue
        struct = old.get(("struct", name.split(".")[0])) if kind == "member" else None
        if struct is not None and numbers_of(new[kind, name])[0] < numbers_of(struct)[0]:
            breaks.append("member %s is new and does not stand at the end" % name)
        else:
            added.append("%s %s is new" % (kind, name))
    minor = ("constant", "OSP_ABI_MINOR")
    if released and added and old.get(minor) == new.get(minor):
        breaks.append("OSP_ABI_MINOR is still %s though something was added" % old.get(minor))
    return breaks, added


def grows(before, after):
    old_size, old_align = numbers_of(before)
    new_size, new_align = numbers_of(after)
    return (before.endswith("size-first") and after.endswith("size-first")
            and new_size > old_size and new_align == old_align)


def read_exceptions(path):
    table = {}
    with open(path, encoding="utf-8") as lines:
        for line in lines:
            if line.strip() and not line.startswith("#"):
                text, mark, reason = line.rpartition(" : ")
                if not mark or not reason.strip():
                    raise SystemExit("%s: a line without a reason: %s" % (path, line.strip()))
                table[text.strip()] = reason.strip()
    return table


def check(args):
    with open(args.check[0], encoding="utf-8") as old, open(args.check[1], encoding="utf-8") as new:
        breaks, added = compare(parse(old), parse(new), args.released)
    allowed = read_exceptions(args.exceptions) if args.exceptions else {}
    failed = False
    for line in added:
        print("allowed: " + line)
    for line in breaks:
        if line in allowed:
            print("decided: %s (%s)" % (line, allowed[line]))
        else:
            failed = True
            print("BREAK: " + line)
    return 1 if failed else 0


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("header", nargs="?")
    parser.add_argument("--write", metavar="FILE")
    parser.add_argument("--check", nargs=2, metavar=("OLD", "NEW"))
    parser.add_argument("--released", action="store_true")
    parser.add_argument("--exceptions", metavar="FILE")
    args = parser.parse_args()
    if args.check:
        return check(args)
    if not args.header:
        parser.error("a header is missing")
    text = "\n".join(Header(args.header).facts()) + "\n"
    if not args.write:
        sys.stdout.write(text)
        return 0
    with open(args.write, "w", encoding="utf-8") as out:
        out.write(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
