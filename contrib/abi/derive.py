#!/usr/bin/env python3
"""Writes plugin.h and plugin.hpp as another minor version would have them.

  derive.py longer  SDK_INCLUDE OUT   each struct that may grow has one slot more at its end
  derive.py shorter SDK_INCLUDE OUT   the tables and structs below have one slot less
"""
import os
import re
import sys

from facts import Header

# What an author can do without: the examples and the C++ layer name none of these last slots, or
# only as the last word of a table, from where it is taken away too.
SHORTER = {
    "osp_create_args": "deadline",
    "osp_instance_vt": "get_interface",
    "osp_plugin": "unload",
    "osp_msg": "deadline",
    "osp_transport_caps": "max_bytes",
    "osp_transport_v1": "probe",
}
BODY = re.compile(r"struct (osp_\w+)\s*\{([^{}]*)\}")
TABLE = re.compile(r"(constexpr (osp_\w+) \w+\{)([^{}]*)(\};)")


def without_comments(text):
    return re.sub(r"//[^\n]*", "", text)


def without_frozen_layout(text):
    return re.sub(r'OSP_SA\([^;]*"layout of v1"\);\n', "", text)


def statements(body):
    return [one.strip() for one in body.split(";") if one.strip()]


def longer(text, header):
    frozen = header.embedded()
    numbers = header.numbers()

    def grow(found):
        name, body = found.groups()
        if name in frozen or not header.size_first(name):
            return found.group(0)
        slot = "uint64_t osp_later;" if numbers[name][1] == "8" else "uint32_t osp_later;"
        if "(*" in body:
            slot = "void (*osp_later)(void) OSP_NX;"
        return "struct %s {%s %s }" % (name, body, slot)

    text = re.sub(r"(#define OSP_ABI_MINOR) (\d+)",
                  lambda found: "%s %d" % (found.group(1), int(found.group(2)) + 1), text)
    return BODY.sub(grow, text)


def shorter(text):
    done = set()

    def shrink(found):
        name, body = found.groups()
        if name not in SHORTER:
            return found.group(0)
        *kept, last = statements(body)
        if not re.search(r"\b%s\b" % SHORTER[name], last):
            raise SystemExit("derive: the last slot of %s is not %s any more" % (name, SHORTER[name]))
        done.add(name)
        return "struct %s { %s; }" % (name, "; ".join(kept))

    text = BODY.sub(shrink, text)
    if done != set(SHORTER):
        raise SystemExit("derive: not found: " + ", ".join(sorted(set(SHORTER) - done)))
    return text


def shorter_tables(text):
    """The constants of plugin.hpp without the last word of a table that lost its last slot."""

    def shrink(found):
        head, name, body, tail = found.groups()
        if name not in SHORTER:
            return found.group(0)
        return head + body.rpartition(",")[0] + tail

    return TABLE.sub(shrink, text)


def main():
    if len(sys.argv) != 4 or sys.argv[1] not in ("longer", "shorter"):
        raise SystemExit(__doc__)
    mode, source, out = sys.argv[1:]
    source = os.path.join(source, "opensend")
    out = os.path.join(out, "opensend")
    os.makedirs(out, exist_ok=True)
    texts = {}
    for name in ("plugin.h", "plugin.hpp"):
        with open(os.path.join(source, name), encoding="utf-8") as text:
            texts[name] = text.read()
    contract = without_frozen_layout(without_comments(texts["plugin.h"]))
    if mode == "longer":
        contract = longer(contract, Header(os.path.join(source, "plugin.h")))
    else:
        contract = shorter(contract)
        texts["plugin.hpp"] = shorter_tables(texts["plugin.hpp"])
    texts["plugin.h"] = contract
    for name, text in texts.items():
        with open(os.path.join(out, name), "w", encoding="utf-8") as file:
            file.write(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
