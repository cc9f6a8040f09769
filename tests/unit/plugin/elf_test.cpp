#include "kernel/plugin/load/elf.h"

#include <algorithm>

#include <gmock/gmock.h>

#include "kernel/plugin/load/note.h"
#include "tests/support/elf_builder.h"

namespace opensend::plugin {
namespace {

using testing::ElementsAre;
using testing_support::ElfBuilder;
using testing_support::ElfSpec;

/// The problems of a file: of the tables, or of the rules that it breaks, as "step: found".
std::vector<std::string> Findings(const ElfSpec& spec, std::vector<std::string> libraries = {}) {
    const std::string bytes = ElfBuilder(spec).Build();
    const auto container = CheckElf(bytes);
    if (!container.ok()) return {Describe("container", container.error())};
    const auto facts = ReadElf(bytes);
    if (!facts.ok()) return {Describe("tables", facts.error())};
    ElfRules rules{std::move(libraries), 2, 36};
    std::vector<std::string> out;
    for (const GateStep& step : CheckHygiene(*facts, rules)) {
        if (!step.ok) out.push_back(base::Cat(step.id, ": ", step.found));
        EXPECT_EQ(step.ok, step.expected.empty()) << step.id;
    }
    return out;
}

TEST(Elf, TheSmallestGoodFilePasses) { EXPECT_THAT(Findings({}), ElementsAre()); }

TEST(Elf, TheStackHeaderMustBeThereAndForbidCode) {
    ElfSpec spec;
    spec.stack_flags = PF_R | PF_W | PF_X;
    EXPECT_THAT(Findings(spec), ElementsAre("stack: an executable one"));
    spec.headers = {PT_GNU_RELRO};
    EXPECT_THAT(Findings(spec), ElementsAre("stack: no header about it"));
    spec.headers = {PT_GNU_STACK, PT_GNU_STACK, PT_GNU_RELRO};
    EXPECT_THAT(
        Findings(spec), ElementsAre("tables: elf: expected one stack header, found 2 of them")
    );
}

TEST(Elf, ASegmentIsWritableOrExecutable) {
    ElfSpec spec;
    spec.load_flags = PF_R | PF_W | PF_X;
    EXPECT_THAT(Findings(spec), ElementsAre("code: one"));
}

TEST(Elf, TextRelocationsAreSeenInEachOfTheirForms) {
    ElfSpec spec;
    spec.entries = {
        {DT_FLAGS, DF_BIND_NOW | DF_TEXTREL}
    };
    EXPECT_THAT(Findings(spec), ElementsAre("textrel: text relocations"));
    spec.entries = {
        {DT_FLAGS,   DF_BIND_NOW},
        {DT_TEXTREL, 0          }
    };
    EXPECT_THAT(Findings(spec), ElementsAre("textrel: text relocations"));
}

TEST(Elf, ASearchPathOfEitherKindIsRefused) {
    for (const int64_t tag : {DT_RPATH, DT_RUNPATH}) {
        ElfSpec spec;
        spec.texts = {
            {tag, "$ORIGIN/lib"}
        };
        EXPECT_THAT(Findings(spec), ElementsAre("rpath: $ORIGIN/lib"));
        spec.texts = {
            {tag, ""}
        };
        EXPECT_THAT(Findings(spec), ElementsAre("rpath: an empty one"));
    }
}

TEST(Elf, BindingNowIsSeenInEachOfItsForms) {
    ElfSpec spec;
    spec.entries = {};
    EXPECT_THAT(Findings(spec), ElementsAre("now: later ones"));
    const std::pair<int64_t, uint64_t> forms[] = {
        {DT_FLAGS_1,  DF_1_NOW   },
        {DT_BIND_NOW, 0          },
        {DT_FLAGS,    DF_BIND_NOW}
    };
    for (const auto& form : forms) {
        spec.entries = {form};
        EXPECT_THAT(Findings(spec), ElementsAre()) << form.first;
    }
    spec.headers = {PT_GNU_STACK};
    EXPECT_THAT(Findings(spec), ElementsAre("relro: they stay writable"));
}

TEST(Elf, EveryWayToBringALibraryInCounts) {
    ElfSpec spec;
    spec.needed = {"libc.so.6", "libpq.so.5"};
    EXPECT_THAT(Findings(spec), ElementsAre("needed: libpq.so.5"));
    EXPECT_THAT(Findings(spec, {"libpq.so.5"}), ElementsAre());
    spec.needed = {"libc.so.6", "/lib/libc.so.6"};
    EXPECT_THAT(Findings(spec), ElementsAre("needed: /lib/libc.so.6"));
    for (const int64_t tag : {int64_t{DT_FILTER}, int64_t{DT_AUXILIARY}, int64_t{DT_AUDIT}}) {
        spec.needed = {};
        spec.texts = {
            {tag, "evil.so"}
        };
        EXPECT_THAT(Findings(spec), ElementsAre("needed: evil.so"));
    }
}

TEST(Elf, TheNewestVersionOfTheCLibraryIsOurs) {
    const std::pair<const char*, bool> cases[] = {
        {"GLIBC_2.36",                   true },
        {"GLIBC_2.37",                   false},
        {"GLIBC_2.4.9",                  true },
        {"GLIBC_3.0",                    false},
        {"GLIBC_PRIVATE",                false},
        {"GLIBC_ABI_DT_RELR",            true },
        {"GLIBC_2",                      false},
        {"GLIBC_2.x",                    false},
        {"GLIBC_2.99999999999999999999", false},
        {"GLIBC_-1.-1",                  false},
        {"GLIBCXX_3.4.99",               true }
    };
    for (const auto& [name, good] : cases) {
        ElfSpec spec;
        spec.versions = {"GLIBC_2.2.5", name};
        const auto found = Findings(spec);
        const std::vector<std::string> expected =
            good ? std::vector<std::string>() : std::vector{base::Cat("glibc: ", name)};
        EXPECT_EQ(found, expected);
    }
}

TEST(Elf, OnlyEntriesAreExportedAndNoneIsUnique) {
    for (const bool old_hash : {false, true}) {
        ElfSpec spec;
        spec.old_hash = old_hash;
        spec.symbols = {
            {"malloc", STB_GLOBAL, SHN_UNDEF},
            {"osp_plugin_v1"       },
            {"helper", STB_WEAK   }
        };
        EXPECT_THAT(Findings(spec), ElementsAre("exports: helper"));
        spec.symbols = {{"osp_plugin_v1"}, {"osp_plugin_v2"}};
        EXPECT_THAT(Findings(spec), ElementsAre());
        spec.symbols = {{"osp_plugin_v1"}, {"osp_plugin_v"}, {"osp_plugin_v1x"}};
        EXPECT_THAT(Findings(spec), ElementsAre("exports: osp_plugin_v, osp_plugin_v1x"));
        spec.symbols = {
            {"osp_plugin_v1", 10}
        };
        EXPECT_THAT(Findings(spec), ElementsAre("unique: osp_plugin_v1"));
        spec.symbols = {};
        EXPECT_THAT(Findings(spec), ElementsAre("exports: none"));
    }
}

TEST(Elf, NamesAreShownWithoutControlCharacters) {
    ElfSpec spec;
    spec.needed = {"\x1b[2J\n"};
    EXPECT_THAT(Findings(spec), ElementsAre("needed: ?[2J?"));
}

TEST(Elf, TablesThatTheLoaderWouldReadElsewhereAreRefused) {
    ElfSpec spec;
    spec.load_address = 0x1000;
    EXPECT_THAT(
        Findings(spec), ElementsAre("tables: elf: expected a dynamic table inside of a segment, "
                                    "found another place")
    );
    spec.load_address = 1;
    EXPECT_THAT(
        Findings(spec),
        ElementsAre("tables: elf: expected segments at the place of their page, found another place"
        )
    );
    spec = {};
    spec.headers.push_back(PT_LOAD);
    EXPECT_THAT(
        Findings(spec),
        ElementsAre("tables: elf: expected segments in order on pages of their own, "
                    "found overlapping ones")
    );
    spec = {};
    spec.ends = false;
    EXPECT_THAT(
        Findings(spec), ElementsAre("tables: elf: expected a dynamic table with an end, found none")
    );
    spec = {};
    spec.entries.emplace_back(DT_SYMENT, 8);
    EXPECT_THAT(
        Findings(spec),
        ElementsAre("tables: elf: expected each dynamic entry once, found entry 11 again")
    );
}

TEST(Elf, EveryChangedByteAndEveryLengthIsReadWithinTheBytes) {
    const std::string good = ElfBuilder({}).Build();
    for (size_t i = 0; i < good.size(); ++i) {
        for (const int value : {0x00, 0x01, 0x7f, 0x80, 0xff}) {
            std::string bytes = good;
            bytes[i] = static_cast<char>(value);
            (void)ReadElf(bytes);
        }
        (void)ReadElf(std::string(good.data(), i));
    }
}

}  // namespace
}  // namespace opensend::plugin
