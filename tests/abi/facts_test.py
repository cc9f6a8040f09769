"""The fact file is that of the header, and the check sees what would break a plugin."""
import os
import sys
import tempfile
import unittest

sys.dont_write_bytecode = True
ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "contrib", "abi"))

from facts import Header, compare, parse, read_exceptions  # noqa: E402

HEADER = os.path.join(ROOT, "sdk", "include", "opensend", "plugin.h")
FACTS = os.path.join(ROOT, "sdk", "abi", "facts-1.txt")
EXCEPTIONS = os.path.join(ROOT, "sdk", "abi", "exceptions.txt")
MUSEUM = os.path.join(ROOT, "tests", "museum")


def read(path):
    with open(path, encoding="utf-8") as file:
        return file.read()


def without_frozen_layout(text):
    """So that it is the check that finds the change and not an assertion of the header."""
    return "\n".join(line for line in text.splitlines() if '"layout of v1"' not in line) + "\n"


class Facts(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.text = without_frozen_layout(read(HEADER))
        cls.old = parse(read(FACTS).splitlines())

    def verdict(self, *changes, released=False):
        """What the check says of the header with each (old, new) text exchanged once."""
        text = self.text
        for before, after in changes:
            self.assertEqual(text.count(before), 1, before)
            text = text.replace(before, after)
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "plugin.h")
            with open(path, "w", encoding="utf-8") as out:
                out.write(text)
            return compare(self.old, parse(Header(path).facts()), released)

    def assert_break(self, expected, *changes):
        breaks, _ = self.verdict(*changes)
        self.assertTrue(any(line.startswith(expected) for line in breaks), (expected, breaks))

    def test_the_file_says_what_the_header_says(self):
        facts = "\n".join(Header(HEADER).facts()) + "\n"
        self.assertEqual(read(FACTS), facts,
                         "run contrib/abi/facts.py --write sdk/abi/facts-1.txt sdk/include/opensend/plugin.h")

    def test_the_unchanged_header_breaks_nothing(self):
        self.assertEqual(self.verdict(), ([], []))

    def test_nothing_breaks_a_released_version(self):
        releases = sorted(name for name in os.listdir(MUSEUM) if os.path.isdir(os.path.join(MUSEUM, name)))
        self.assertTrue(releases)
        allowed = read_exceptions(EXCEPTIONS)
        found = set()
        for release in releases:
            old = parse(read(os.path.join(MUSEUM, release, "facts.txt")).splitlines())
            breaks, _ = compare(old, self.old, released=True)
            found.update(breaks)
            self.assertEqual([line for line in breaks if line not in allowed], [], release)
        self.assertEqual(set(allowed) - found, set(), "exceptions for what no release has")

    def test_a_slot_at_the_end_of_a_table_is_allowed(self):
        breaks, added = self.verdict(
            ("  osp_status (*probe)(osp_inst *, osp_time deadline, osp_error *) OSP_NX;",
             "  osp_status (*probe)(osp_inst *, osp_time deadline, osp_error *) OSP_NX;\n"
             "  void (*later)(osp_inst *) OSP_NX;"))
        self.assertEqual(breaks, [])
        self.assertEqual(added, ["struct osp_transport_v1 grows at its end",
                                 "member osp_transport_v1.later is new"])

    def test_a_word_at_the_end_of_a_struct_is_allowed(self):
        breaks, _ = self.verdict(("uint64_t max_bytes;", "uint64_t max_bytes, max_seconds;"))
        self.assertEqual(breaks, [])

    def test_new_names_and_interfaces_are_allowed(self):
        breaks, added = self.verdict(
            ("OSP_E_PANIC        = -15 ", "OSP_E_PANIC = -15, OSP_E_LATER = -16 "),
            ('#define OSP_KIND_AUTH "opensend.auth/1"',
             '#define OSP_KIND_AUTH "opensend.auth/1"\n#define OSP_KIND_AUTH_2 "opensend.auth/2"\n'
             "typedef struct osp_auth_v2 { uint32_t size, flags; } osp_auth_v2;"))
        self.assertEqual(breaks, [])
        self.assertIn("constant OSP_E_LATER is new", added)
        self.assertIn("id OSP_KIND_AUTH_2 is new", added)

    def test_what_is_added_after_a_release_needs_a_new_minor_number(self):
        word = ("uint64_t max_bytes;", "uint64_t max_bytes, max_seconds;")
        breaks, _ = self.verdict(word, released=True)
        self.assertEqual(breaks, ["OSP_ABI_MINOR is still 0 though something was added"])
        breaks, _ = self.verdict(word, ("#define OSP_ABI_MINOR 0", "#define OSP_ABI_MINOR 1"),
                                 released=True)
        self.assertEqual(breaks, [])

    def test_a_slot_in_the_middle_breaks(self):
        self.assert_break(
            "member osp_transport_v1.later is new and does not stand at the end",
            ("  osp_status (*submit)(osp_inst *, const osp_batch *, osp_error *) OSP_NX;",
             "  void (*later)(osp_inst *) OSP_NX;\n"
             "  osp_status (*submit)(osp_inst *, const osp_batch *, osp_error *) OSP_NX;"))

    def test_slots_that_change_places_break(self):
        send = "  osp_status (*send)(osp_inst *, const osp_batch *, osp_error *) OSP_NX;"
        submit = send.replace("send", "submit")
        self.assert_break("member osp_transport_v1.submit was \"at 16",
                          (send, "@"), (submit, send), ("@", submit))

    def test_another_type_of_a_parameter_breaks(self):
        self.assert_break(
            "member osp_transport_v1.cancel was",
            ("(*cancel)(osp_inst *, osp_token) OSP_NX;", "(*cancel)(osp_inst *, uint32_t) OSP_NX;"))
        self.assert_break(  # of a function that a function is given
            "member osp_host_kv_v1.get was",
            ("void (*use)(void *, osp_bytes, uint64_t version) OSP_NX",
             "void (*use)(void *, osp_bytes, uint32_t version) OSP_NX"))

    def test_a_function_that_may_throw_breaks(self):
        self.assert_break("member osp_transport_v1.cancel was",
                          ("(*cancel)(osp_inst *, osp_token) OSP_NX;", "(*cancel)(osp_inst *, osp_token);"))

    def test_another_type_behind_a_name_breaks(self):
        self.assert_break("typedef osp_token was \"uint64_t\"",
                          ("typedef uint64_t osp_token;", "typedef int64_t osp_token;"))

    def test_a_member_of_the_same_size_and_another_type_breaks(self):
        self.assert_break("member osp_rl_res.allowed was",
                          ("int32_t allowed;", "uint32_t allowed;"))

    def test_swapped_enumerators_break(self):
        changes = (("OSP_OUT_DEFERRED = 1, OSP_OUT_REJECTED = 2", "OSP_OUT_DEFERRED = 2, OSP_OUT_REJECTED = 1"),)
        self.assert_break("constant OSP_OUT_DEFERRED was \"1\" and is \"2\"", *changes)
        self.assert_break("constant OSP_OUT_REJECTED was \"2\" and is \"1\"", *changes)

    def test_an_enumerator_in_between_breaks_those_behind_it(self):
        self.assert_break("constant OSP_LOG_INFO was",
                          ("OSP_LOG_DEBUG, OSP_LOG_INFO", "OSP_LOG_DEBUG, OSP_LOG_NOTE, OSP_LOG_INFO"))

    def test_a_member_that_is_gone_breaks(self):
        self.assert_break("member osp_msg.traceparent is gone",
                          ("  osp_str  traceparent;\n  osp_time deadline;  //", "  osp_time deadline;  //"))
        self.assert_break("member osp_transport_caps.max_bytes is gone", ("uint64_t max_bytes;", ""))

    def test_another_name_of_a_member_breaks(self):
        self.assert_break("member osp_rl_req.cost is gone", ("group, cost;", "group, price;"))

    def test_another_text_of_an_id_breaks(self):
        self.assert_break("id OSP_HOST_TIMER was",
                          ('"opensend.host.timer/1"', '"opensend.host.timers/1"'))

    def test_a_struct_without_its_size_in_front_cannot_grow(self):
        self.assert_break("struct osp_kv was", ("osp_str key, value; }", "osp_str key, value; uint64_t flags; }"))

    def test_a_struct_inside_another_one_cannot_grow(self):
        self.assert_break("member osp_msg_result.rcpts was",
                          ("osp_str transcript;  ", "osp_str transcript, more;  "))
        self.assert_break("member osp_health.why was", ("char msg[240];", "char msg[240]; uint32_t line;"))

    def test_another_entry_breaks(self):
        self.assert_break("function osp_plugin_v1 is gone",
                          ("OSP_EXPORT const osp_plugin *osp_plugin_v1(void)",
                           "OSP_EXPORT const osp_plugin *osp_plugin_main(void)"))

    def test_exceptions_have_reasons(self):
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "exceptions.txt")
            with open(path, "w", encoding="utf-8") as out:
                out.write("# comment\nid OSP_X is gone : nobody could use it\n")
            self.assertEqual(read_exceptions(path), {"id OSP_X is gone": "nobody could use it"})
            with open(path, "a", encoding="utf-8") as out:
                out.write("id OSP_Y is gone\n")
            with self.assertRaises(SystemExit):
                read_exceptions(path)


if __name__ == "__main__":
    unittest.main()
